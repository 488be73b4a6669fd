/** Compaction is only worth something if the machine cannot tell: the model of the machine, fed both, must end in the same place by the same way. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { test } from 'tap'
import { createCompactor } from '../../drivers/compact.ts'
import { trace } from '../fakes/gcode-trace.ts'
import { sharedPath } from '../shared.ts'

function compacted(lines: readonly string[]): readonly string[] {
  const compactor = createCompactor()
  return lines.map(line => compactor.compact(line))
}

const ABSOLUTE = ['G21', 'G90', 'M82']

for (const [text, expected] of [
  ['G1 X010.500 Y-0.500', 'G1X10.5Y-.5'],
  ['G01 X+1.0 Y00', 'G1X1Y0'],
  ['G1 X-0.000 Y5.', 'G1X0Y5'],
  ['G1 Y2 E.10000', 'G1Y2 E.1'],
  ['G1 Y2 X0.5', 'G1Y2X.5'],
  ['G1 Y0 X10', 'G1Y0 X10'],
  ['G0 X10', 'G0 X10'],
  ['G92 E0', 'G92 E0'],
  ['G28 X Y', 'G28XY'],
  ['M104 S200', 'M104S200'],
  ['M862.3 P "MK3"', 'M862.3 P "MK3"'],
  ['M117 G1 X1', 'M117 G1 X1'],
  ['M900 K0.05', 'M900 K0.05'],
  ['G1 X1 X2', 'G1 X1 X2'],
  ['T0', 'T0'],
] as const)
  test(`${text} becomes ${expected}`, async t => {
    t.equal(createCompactor().compact(text), expected)
  })

test('drops what the controller holds, once it is certain to', async t => {
  const lines = [...ABSOLUTE, 'G1 X1 Y1 F600', 'G1 X2 Y1 F600', 'G1 X2 Y3 E1 F600', 'G1 X3 Y3 E1']
  t.same(compacted(lines).slice(3), ['G1X1Y1F600', 'G1X2', 'G1Y3 E1', 'G1X3'])
})

test('drops no position before the modes are told, and none in relative ones', async t => {
  t.same(compacted(['G1 X1', 'G1 X1 Y2']), ['G1X1', 'G1X1Y2'])
  t.same(compacted(['G91', 'M83', 'G1 X1 E1', 'G1 X1 E1']), ['G91', 'M83', 'G1X1 E1', 'G1X1 E1'])
})

test('G90 says nothing certain about E: firmware differs', async t => {
  t.same(compacted(['M83', 'G90', 'G1 X1 E1', 'G1 X2 E1']).at(-1), 'G1X2 E1')
})

for (const between of ['G28', 'T1', 'G20', 'M206 X5', 'G92 X0', 'M109 S200', 'M117 hello', 'M600'])
  test(`${between} makes it forget`, async t => {
    t.equal(
      compacted([...ABSOLUTE, 'G1 X1 Y1 F600', between, 'G1 X1 Y2 F600']).at(-1),
      'G1X1Y2F600',
    )
  })

test('a feed of G0 and of G1 may be two: neither is dropped for the other', async t => {
  t.same(compacted(['G1 X1 F600', 'G0 X2 F600', 'G0 X3 F600', 'G1 X4 F600']), [
    'G1X1F600',
    'G0 X2F600',
    'G0 X3',
    'G1X4',
  ])
  t.equal(compacted(['G1 X1 F600', 'G0 X2 F900', 'G1 X3 F600']).at(-1), 'G1X3F600')
})

test('leaves an arc its ends, and a command its last parameter', async t => {
  t.equal(compacted([...ABSOLUTE, 'G1 X1 Y1', 'G2 X1 Y1 I5 J0']).at(-1), 'G2X1Y1I5J0')
  t.equal(compacted([...ABSOLUTE, 'G1 X1 F600', 'G1 F600']).at(-1), 'G1F600')
  t.equal(compacted([...ABSOLUTE, 'G1 X1 F600', 'G1 X1 F600']).at(-1), 'G1X1F600')
})

test('forget is told when others spoke to the controller', async t => {
  const compactor = createCompactor()
  compactor.compact('G1 X1 F600')
  compactor.forget()
  t.equal(compactor.compact('G1 X2 F600'), 'G1X2F600')
})

const number = fc
  .tuple(
    fc.constantFrom('', '-', '+'),
    fc.integer({ min: 0, max: 3 }),
    fc.constantFrom('', '.', '.0', '.5', '.50', '.125000'),
  )
  .map(([sign, whole, part]) => `${sign}${whole}${part}`)
const positive = fc.constantFrom('600', '600.0', '0600', '1200', '7.5')
const move = fc
  .tuple(
    fc.constantFrom('G0', 'G1', 'G01'),
    fc.option(number),
    fc.option(number),
    fc.option(number),
    fc.option(number),
    fc.option(positive),
    fc.constantFrom(' ', '  '),
  )
  .map(([word, x, y, z, e, f, gap]) =>
    [word, x && `X${x}`, y && `Y${y}`, z && `Z${z}`, e && `E${e}`, f && `F${f}`]
      .filter(Boolean)
      .join(gap),
  )
const command = fc.oneof(
  { weight: 8, arbitrary: move },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      'G90',
      'M82',
      'M83',
      'G92 E0',
      'G92 E1.50',
      'G21',
      'M106 S127',
      'M104 S200',
      'M221 S95',
      'T0',
      'G4 P10',
    ),
  },
  { weight: 1, arbitrary: fc.constantFrom('G2 X1 Y1 I1.0 J0', 'G3 X2 Y2 I1 J1 E1 F600') },
)

test('leaves no number that a firmware reading as C does could take for another', async t => {
  fc.assert(
    fc.property(fc.array(command, { maxLength: 60 }), program =>
      compacted(program).every(line => !/\dE[-+.\d]|(?<![\d.])0X/.test(line)),
    ),
  )
  t.pass()
})

test('the model of the machine cannot tell a compacted program from its original', async t => {
  fc.assert(
    fc.property(fc.array(command, { maxLength: 60 }), program => {
      // Known coordinates first: the model refuses an arc from nowhere.
      const lines = ['G90', 'G1 X0 Y0 Z0', ...program]
      const shorter = compacted(lines)
      for (const [i, line] of shorter.entries())
        if (line === '' || line.length > (lines[i]?.length ?? 0)) return false
      const [a, b] = [trace(lines), trace(shorter)]
      return a.state === b.state && JSON.stringify(a.moves) === JSON.stringify(b.moves)
    }),
    { numRuns: 1000 },
  )
  t.pass()
})

for (const name of ['clip', 'tag'])
  test(`${name} is shorter and the same`, async t => {
    const path =
      name === 'clip'
        ? join(import.meta.dirname, '../samples/clip.gcode')
        : sharedPath('gcode/tag.gcode')
    if (!path) return
    const lines = readFileSync(path, 'latin1')
      .split('\n')
      .map(line => line.replace(/;.*/, '').trim())
      .filter(line => line !== '')
    const shorter = compacted(lines)
    t.same(trace(shorter), trace(lines))
    const bytes = (all: readonly string[]) => all.reduce((sum, line) => sum + line.length + 1, 0)
    const ratio = bytes(shorter) / bytes(lines)
    t.ok(ratio < 0.95, `${(100 * ratio).toFixed(1)} %`)
    t.comment(`${name}: ${(100 * ratio).toFixed(1)} % of the bytes`)
  })
