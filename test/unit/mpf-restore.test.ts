/** A print that goes on after an interruption starts in the middle: the check from there must equal the check from the start. */
import fc from 'fast-check'
import { test } from 'tap'
import { createProgramCheck, openBody } from '#mpf'
import type { MachineLimits } from '../../mpf/gcode/limits.ts'
import { Machine } from '../../mpf/gcode/machine.ts'
import { decodeModal, encodeModal } from '../../mpf/gcode/modal.ts'
import { reader, source, unlockFile } from '../fakes/mpf-reader.ts'
import { programText } from '../fakes/mpf-samples.ts'
import { sealText } from '../fakes/mpf-sealed.ts'

const LINES = [
  ...[
    'G28',
    'G90',
    'G91',
    'M82',
    'M83',
    'G20',
    'G21',
    'T0',
    'T1',
    'G92 E0',
    'M107',
    'M221 S90',
    'M84 Y',
    'M84',
  ],
  ...['G1 X10 Y5 F900', 'G1 X3.5', 'G1 Z0.25 E1.5', 'G2 X12 Y7 I1 J1', 'G3 X2 I3', 'G0 X1 Y1'],
  ...['M104 S200', 'M109 R190', 'M140 S60', 'M190 S55', 'M106 S128', '; a comment', 'M104 T1 S90'],
]
const LIMITS: MachineLimits = {
  words: new Set(),
  ...{
    minNm: [0, 0, 0],
    maxNm: [0, 0, 0],
    maxFeedUmPerMin: 0,
    maxExtrusionUmPerMm: 0,
    maxHotendDeciC: [0, 0, 0, 0],
  },
  ...{ maxBedDeciC: 0, maxChamberDeciC: 0, maxCommandBytes: 0 },
}
const follow = () => new Machine(LIMITS, () => undefined, { isWidening: true })
const textOf = (lines: readonly string[]) =>
  Buffer.from(lines.map(line => `${line}\n`).join(''), 'latin1')

test('a machine restored from the stored state goes on as the one that never stopped', async t => {
  const program = fc.array(fc.constantFrom(...LINES), { minLength: 2, maxLength: 60 })
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(program, fc.nat(), (lines, seed) => {
        const cut = 1 + (seed % (lines.length - 1))
        const whole = follow()
        whole.run(textOf(lines.slice(0, cut)))
        const stored = decodeModal(encodeModal(whole.modal()))
        if (!stored) return false
        const resumed = follow()
        resumed.restore(stored, cut)
        for (const machine of [whole, resumed]) machine.run(textOf(lines.slice(cut)))
        const [a, b] = [whole, resumed].map(machine => Buffer.from(encodeModal(machine.modal())))
        return whole.line === resumed.line && a !== undefined && b !== undefined && a.equals(b)
      }),
    ),
  )
})

test('a file checked from any block on passes to its end, and refuses a block that does not follow', async t => {
  const bytes = await sealText(programText(60_000))
  const { container, manifest, keys, meta } = await unlockFile(source(bytes), reader())
  const { pol, enc } = manifest.payload
  t.ok(meta.index.length > 1, 'several blocks')
  for (const fromBlock of meta.index.keys()) {
    const check = createProgramCheck(pol, meta.index, enc.body.lines, { fromBlock })
    for await (const block of openBody(container, manifest, keys, meta.index, { fromBlock }))
      check.check(block)
    t.doesNotThrow(() => check.end(), `from block ${fromBlock}`)
  }
  const check = createProgramCheck(pol, meta.index, enc.body.lines, { fromBlock: 1 })
  for await (const block of openBody(container, manifest, keys, meta.index)) {
    t.throws(() => check.check(block), { code: 'MPF_INDEX' })
    break
  }
})
