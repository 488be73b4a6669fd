/** The compiled scanner against SPEC 6.1 written as expressions: the same lines, the same words, the same numbers. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { test } from 'tap'
import { DEFAULT_WORDS } from '#mpf'
import { EMPTY, LineScanner, MALFORMED } from '../../mpf/gcode/scanner.ts'
import {
  compileTables,
  FORMAT_TABLES,
  type LineTables,
  WORD_NAMES,
} from '../../mpf/gcode/tables.ts'
import { WORDS } from '../../mpf/gcode/words.ts'

const SPEC = readFileSync(join(import.meta.dirname, '../../mpf/SPEC.md'), 'utf8')

const LINE =
  /^ *(?:([GMT])([0-9]{1,3})(\.[0-9])?((?: *[A-Z](?:[+-]?(?:[0-9]{1,9}(?:\.[0-9]*)?|\.[0-9]+)(?![0-9.EX]))?)*) *)?(?:;[ -~]*)?$/
const PARAMETER = /([A-Z])([+-]?)([0-9]*)\.?([0-9]*)/g
const NEVER = new Set('GMNO')

/** What a line says, as text: `word, letter=millionths...`; '' for none, undefined where SPEC 6.1 or the policy refuses it. */
function reference(line: string, words: ReadonlySet<string>, maxBytes: number): string | undefined {
  const match = LINE.exec(line)
  if (!match || line.length > 256) return undefined
  const [, letter, digits, suffix, rest = ''] = match
  if (letter === undefined) return ''
  const name = `${letter}${Number(digits)}`
  const command = line.trimStart().replace(/;.*$/, '').trimEnd()
  if (!words.has(name) || !Object.hasOwn(WORDS, name) || (suffix && name !== 'M862'))
    return undefined
  const said = [...rest.matchAll(PARAMETER)].map(
    ([, parameter = '', sign, whole = '', fraction = '']) => {
      const millionths = BigInt(`${whole}${fraction.slice(0, 6).padEnd(6, '0')}`)
      const value = whole + fraction === '' ? '' : String(sign === '-' ? -millionths : millionths)
      return [parameter, value] as const
    },
  )
  const letters = said.map(([parameter]) => parameter)
  const isAllowed = letters.every(
    parameter => WORDS[name]?.parameters.includes(parameter) && !NEVER.has(parameter),
  )
  if (!isAllowed || new Set(letters).size < letters.length || command.length > maxBytes)
    return undefined
  return [name, ...said.map(pair => pair.join('=')).sort()].join(' ')
}

function scanned(line: string, tables: LineTables): string | undefined {
  const scanner = new LineScanner(tables)
  const text = Buffer.from(`${line}\n`, 'latin1')
  const end = scanner.scan(text, 0)
  if (end !== text.length - 1) throw new Error(`ends at ${end} of ${text.length - 1}`)
  if (scanner.word === MALFORMED) return undefined
  if (scanner.word === EMPTY) return ''
  const said = [...'ABCDEFGHIJKLMNOPQRSTUVWXYZ'].flatMap((letter, at) => {
    if ((scanner.mask & (1 << at)) === 0) return []
    return [
      `${letter}=${(scanner.valued & (1 << at)) === 0 ? '' : BigInt(scanner.values[at] ?? 0)}`,
    ]
  })
  return [WORD_NAMES[scanner.word], ...said].join(' ')
}

const digits = (maxLength: number) =>
  fc.string({ unit: fc.constantFrom(...'0123456789'), maxLength })
const number = fc
  .tuple(fc.constantFrom('', '', '-', '+'), digits(10), fc.constantFrom('', '.', '.'), digits(8))
  .map(parts => parts.join(''))
const parameter = fc
  .tuple(fc.constantFrom('', ' ', ' ', '  '), fc.constantFrom(...'XYZEFSPIJTRNGX'), number)
  .map(parts => parts.join(''))
const word = fc.oneof(
  fc.constantFrom(...WORD_NAMES),
  fc.tuple(fc.constantFrom(...'GMTNS'), digits(4)).map(parts => parts.join('')),
  fc.constantFrom('G01', 'G001', 'M0104', 'M862.3', 'M862.', 'M862.10', 'G1.0', 'T00', 'g1'),
)
const slicerLike = fc
  .tuple(
    fc.constantFrom('', '', ' ', '   '),
    word,
    fc.array(parameter, { maxLength: 6 }).map(parts => parts.join('')),
    fc.constantFrom('', '', ' ', ' ; a comment', ';', '*12', '\t', '(x)'),
  )
  .map(parts => parts.join(''))
const anything = fc
  .string({ maxLength: 300, unit: 'binary-ascii' })
  .map(text => text.replaceAll('\n', ''))
/** A line with one byte replaced: most errors of real media are of this kind. */
const damaged = fc
  .tuple(slicerLike, fc.nat({ max: 200 }), fc.nat({ max: 255 }))
  .map(([line, at, byte]) =>
    byte === 10 || line === ''
      ? line
      : line.slice(0, at % line.length) +
        String.fromCharCode(byte) +
        line.slice((at % line.length) + 1),
  )
const line = fc.oneof(
  { weight: 6, arbitrary: slicerLike },
  { weight: 2, arbitrary: damaged },
  anything,
)

const POLICIES: readonly (readonly [string, ReadonlySet<string>, number])[] = [
  ['every word with a model', new Set(WORD_NAMES), 96],
  ['a narrow policy', new Set([...DEFAULT_WORDS.slice(0, 12), 'M9999', 'G'] as const), 30],
]

for (const [what, words, maxBytes] of POLICIES)
  test(`the scanner and SPEC 6.1 as an expression agree on every line: ${what}`, async t => {
    const tables = compileTables(words, maxBytes)
    const counts = { refused: 0, empty: 0, commands: 0 }
    fc.assert(
      fc.property(line, text => {
        const expected = reference(text, words, maxBytes)
        counts[expected === undefined ? 'refused' : expected === '' ? 'empty' : 'commands']++
        return scanned(text, tables) === expected
      }),
      { seed: 7, numRuns: 20_000 },
    )
    t.comment(JSON.stringify(counts))
    t.ok(Math.min(...Object.values(counts)) > 100, 'each outcome was met')
  })

test('what a policy leaves out is no entry of its tables', async t => {
  const tables = compileTables(new Set(['G1']), 40)
  t.equal([...tables.words].filter(entry => entry >= 0).length, 1)
  t.equal(scanned('G1 X1', tables), 'G1 X=1000000')
  t.equal(scanned('G2 I1', tables), undefined)
  t.equal(scanned('G2 I1', FORMAT_TABLES), 'G2 I=1000000')
  const scanner = new LineScanner(tables)
  for (const [text, problem] of [
    ['G2 I1', 'G2 is not allowed'],
    ['M99', 'a word without a model'],
    [`G1 X${'0'.repeat(9)} Y${'0'.repeat(9)} Z${'0'.repeat(9)} E${'0'.repeat(9)}`, 'limit 40'],
  ] as const) {
    scanner.scan(Buffer.from(`${text}\n`), 0)
    t.match(scanner.problem, problem)
  }
})

test('appendix A lists every word there is, with the parameters it may carry', async t => {
  const [, appendix = ''] = SPEC.split('## Appendix A')
  const listed = [...appendix.matchAll(/^\| ([GMT][0-9]+) \| ([A-Z ]*) \|/gm)].map(
    ([, word, letters = '']) => [word, letters.replaceAll(' ', '')],
  )
  t.same(
    listed,
    Object.entries(WORDS).map(([word, { parameters }]) => [word, parameters]),
  )
})
