/** The sample print, and the bigger ones where they are, fit the sample printer. */
import { createReadStream } from 'node:fs'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { createZstdDecompress } from 'node:zlib'
import { type Test, test } from 'tap'
import { loadConfig } from '#config'
import { Machine } from '../../mpf/gcode/machine.ts'
import { createNormaliseReport, normaliseLines } from '../../mpf/gcode/normalise.ts'
import { profileLimits } from '../../mpf/gcode/program.ts'
import { sharedPath } from '../shared.ts'

const root = join(import.meta.dirname, '../..')

/** What the sample printer says against a program, first words only; and how many lines it read. */
async function runOnSamplePrinter(
  path: string,
): Promise<{ readonly problems: readonly string[]; readonly lines: number }> {
  const { printer } = await loadConfig(join(root, 'config/samples/printer.json'))
  const problems: string[] = []
  const machine = new Machine(profileLimits(printer.profile), (code, line, problem) => {
    if (problems.length < 5) problems.push(`${code} line ${line}: ${problem}`)
  })
  const file: Readable = createReadStream(path)
  const text = path.endsWith('.zst') ? file.pipe(createZstdDecompress()) : file
  let held: Buffer[] = []
  for await (const line of normaliseLines(text, createNormaliseReport())) {
    held.push(line)
    if (held.length === 10_000) {
      machine.run(Buffer.concat(held))
      held = []
    }
  }
  if (held.length > 0) machine.run(Buffer.concat(held))
  return { problems, lines: machine.line }
}

async function fits(t: Test, path: string, minLines: number): Promise<void> {
  const { problems, lines } = await runOnSamplePrinter(path)
  t.same(problems, [])
  t.ok(lines > minLines, `${lines} lines`)
}

test('the clip fits the sample printer', async t => {
  await fits(t, join(root, 'test/samples/clip.gcode'), 5000)
})

for (const [name, minLines] of [
  ['tag.gcode', 7000],
  ['bracket.gcode.zst', 110_000],
] as const)
  test(`${name} fits the sample printer`, async t => {
    const path = sharedPath(`gcode/${name}`)
    if (path) await fits(t, path, minLines)
  })

test('a program for another dialect does not fit', async t => {
  const path = sharedPath('gcode/tag-rrf.gcode')
  if (!path) return
  const { problems } = await runOnSamplePrinter(path)
  t.match(problems[0], /^MPF_GCODE line \d+: .*G10/)
})
