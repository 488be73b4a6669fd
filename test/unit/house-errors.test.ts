/** Every code is documented, and nothing is documented that no code can say. Reads the sources: a union has no runtime value. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'tap'
import { parseAdvice } from '../../firmware/lib/advice.ts'

const root = join(import.meta.dirname, '../..')
const FOLDERS = ['mpf', 'drivers', 'ota', 'config', 'firmware', 'fleet']

/** Every `errors.ts` outside of tests: the one place of its folder where codes may be born. */
async function errorFiles(): Promise<readonly string[]> {
  const found = await Promise.all(
    FOLDERS.map(folder =>
      readdir(join(root, folder), { recursive: true }).then(
        names => names.map(name => join(folder, name)),
        () => [],
      ),
    ),
  )
  return found.flat().filter(name => name.endsWith('/errors.ts'))
}

/** Codes in three shapes: a union of literals, an `as const` list, the keys of a table. */
function codesIn(source: string): readonly string[] {
  const lines = source.split('\n')
  return lines.flatMap(line => {
    const [, code] =
      /^ {2}(?:\| )?'?([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)'?(?:,|:| *$| *\/\/)/.exec(line) ?? []
    return code === undefined ? [] : [code]
  })
}

test('documents exactly the codes the program can say', async t => {
  const files = await errorFiles()
  t.ok(files.length >= 5, files.join(' '))
  const said = new Set<string>()
  for (const file of files) {
    const codes = codesIn(await readFile(join(root, file), 'utf8'))
    t.ok(codes.length > 0, `${file} names codes`)
    for (const code of codes) said.add(code)
  }
  const rows = parseAdvice(await readFile(join(root, 'docs/errors.md'), 'utf8'))
  const documented = new Set(rows.map(({ code }) => code))
  t.equal(rows.length, documented.size, 'no code twice')
  t.same([...said.difference(documented)], [], 'every code has its row')
  t.same([...documented.difference(said)], [], 'every row has its code')
})

test('every row is one the parser understands', async t => {
  const text = await readFile(join(root, 'docs/errors.md'), 'utf8')
  const rows = text.split('\n').filter(line => line.startsWith('| `'))
  t.equal(parseAdvice(text).length, rows.length)
  for (const { code, section } of parseAdvice(text)) t.ok(section.includes(': '), code)
})

test('reads codes in each shape they are written in', async t => {
  t.same(codesIn("export type X =\n  | 'A_ONE' // why\n  | 'A_TWO'"), ['A_ONE', 'A_TWO'])
  t.same(codesIn("const X = [\n  'B_ONE', // why\n] as const"), ['B_ONE'])
  t.same(codesIn("const X = {\n  C_ONE: 'FORMAT', // why\n}"), ['C_ONE'])
})
