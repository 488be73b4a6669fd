/** The acknowledgement model with every fact of Marlin's protocol at once, over links that damage and lose. */
import fc from 'fast-check'
import t from 'tap'
import { marlin } from '../../drivers/marlin/dialect.ts'
import { reprap } from '../../drivers/reprap/dialect.ts'
import { type LossyLinkOptions, programOf, runLossyLink } from '../fakes/drivers-lossy-link.ts'

const program = fc
  .array(fc.integer({ min: 0, max: 99_799 }), { minLength: 1, maxLength: 120 })
  // Each line names its own index, so that a duplicate or a gap cannot hide, and moves by more than the micrometre that M114 tells.
  .map(values => values.map((value, i) => `G1 X${i + 1}.${String(value).padStart(5, '0')} F6000`))

type Noise = Pick<
  LossyLinkOptions,
  'flipInPerByte' | 'flipOutPerByte' | 'dropReplyRate' | 'impatience'
>

function link(noise: fc.Arbitrary<Noise>, dialect = marlin) {
  return fc
    .record({
      dialect: fc.constant(dialect),
      seed: fc.integer({ min: 1 }),
      lines: program,
      hasAdvancedOk: fc.boolean(),
      bufferLines: fc.constantFrom(4, 8),
      ringBytes: fc.constantFrom(127, 255),
    })
    .chain(base => noise.map(rates => ({ ...base, ...rates })))
}

t.test(
  'executes every line exactly once and in order over a clean link, whatever the interleaving',
  async _t => {
    const clean = fc.constant({
      flipInPerByte: 0,
      flipOutPerByte: 0,
      dropReplyRate: 0,
      impatience: 0,
    })
    fc.assert(
      fc.property(link(clean), options => {
        const outcome = runLossyLink(options)
        return (
          outcome.end === 'drained' &&
          outcome.resends === 0 &&
          outcome.overrunBytes === 0 &&
          outcome.maxInFlight <= options.bufferLines &&
          outcome.maxBytes <= 127 &&
          isSame(programOf(outcome.executed), options.lines)
        )
      }),
      { numRuns: 300 },
    )
  },
)

t.test(
  'executes every line exactly once and in order when replies are lost or damaged',
  async _t => {
    const lossy = fc.record({
      flipInPerByte: fc.constant(0),
      flipOutPerByte: perMille(10),
      dropReplyRate: perMille(100),
      impatience: fc.constant(0),
    })
    fc.assert(
      fc.property(link(lossy), options => {
        const outcome = runLossyLink(options)
        return outcome.end === 'drained' && isSame(programOf(outcome.executed), options.lines)
      }),
      { numRuns: 400 },
    )
  },
)

// Marlin's own flush can cut a line so that its tail executes unchecked: the extra ok betrays it, unless noise takes just that ok too.
t.test(
  'with noise towards the board it executes exactly the program, or stops: never something else unnoticed',
  async t => {
    const noise = fc.record({
      flipInPerByte: perMille(2),
      flipOutPerByte: fc.constant(0),
      dropReplyRate: fc.constant(0),
      impatience: fc.constant(0),
    })
    const ends: Record<string, number> = {}
    fc.assert(
      fc.property(link(noise), options => {
        const outcome = runLossyLink(options)
        ends[outcome.end] = (ends[outcome.end] ?? 0) + 1
        return (
          outcome.end !== 'stuck' &&
          (outcome.end !== 'drained' || isSame(programOf(outcome.executed), options.lines))
        )
      }),
      { numRuns: 400 },
    )
    t.ok((ends.drained ?? 0) > 100, 'most links of this quality carry the program')
    t.comment(ends)
  },
)

t.test(
  'RepRapFirmware: asked twice because the first answer is late, a line is not executed twice',
  async t => {
    const noise = fc.record({
      flipInPerByte: perMille(2),
      flipOutPerByte: perMille(0.5),
      dropReplyRate: perMille(20),
      impatience: perMille(100),
    })
    const ends: Record<string, number> = {}
    fc.assert(
      fc.property(link(noise, reprap), options => {
        const outcome = runLossyLink(options)
        ends[outcome.end] = (ends[outcome.end] ?? 0) + 1
        return (
          outcome.end !== 'stuck' &&
          (outcome.end !== 'drained' || isSame(programOf(outcome.executed), options.lines))
        )
      }),
      { numRuns: 400 },
    )
    t.ok((ends.drained ?? 0) > 100, 'most links of this quality carry the program')
    t.comment(ends)
  },
)

/** Uniform, unlike fc.double, which prefers the ends. */
function perMille(max: number): fc.Arbitrary<number> {
  return fc.integer({ min: 0, max: max * 1000 }).map(rate => rate / 1_000_000)
}

function isSame(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((line, i) => line === b[i])
}
