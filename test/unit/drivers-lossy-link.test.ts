/** The acknowledgement models with every fact of their protocol at once, over links that damage and lose. */
import fc from 'fast-check'
import t from 'tap'
import { marlin } from '../../drivers/marlin/dialect.ts'
import { reprap } from '../../drivers/reprap/dialect.ts'
import {
  type LossyLinkOptions,
  type LossyLinkOutcome,
  programOf,
  runLossyLink,
} from '../fakes/drivers-lossy-link.ts'

const program = fc
  .array(fc.integer({ min: 0, max: 99_799 }), { minLength: 1, maxLength: 120 })
  // Each line names its own index, so that a duplicate or a gap cannot hide, and moves by more than the micrometre that M114 tells.
  .map(values => values.map((value, i) => `G1 X${i + 1}.${String(value).padStart(5, '0')} F6000`))

type Noise = Pick<
  LossyLinkOptions,
  'flipInPerByte' | 'flipOutPerByte' | 'dropReplyRate' | 'impatience'
>

/** Links whose rates are anything up to these, in thousandths. Uniform, unlike fc.double, which prefers the ends. */
function noiseUpTo(most: Partial<Noise>): fc.Arbitrary<Noise> {
  const rate = (perMille = 0): fc.Arbitrary<number> =>
    fc.integer({ min: 0, max: perMille * 1000 }).map(rate => rate / 1_000_000)
  return fc.record({
    flipInPerByte: rate(most.flipInPerByte),
    flipOutPerByte: rate(most.flipOutPerByte),
    dropReplyRate: rate(most.dropReplyRate),
    impatience: rate(most.impatience),
  })
}

function link(noise: fc.Arbitrary<Noise>, dialect = marlin): fc.Arbitrary<LossyLinkOptions> {
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
    fc.assert(
      fc.property(link(noiseUpTo({})), options => {
        const outcome = runLossyLink(options)
        return (
          outcome.end === 'drained' &&
          outcome.resends === 0 &&
          outcome.overrunBytes === 0 &&
          outcome.maxInFlight <= options.bufferLines &&
          outcome.maxBytes <= 127 &&
          isExact(outcome, options)
        )
      }),
      { numRuns: 300 },
    )
  },
)

t.test(
  'executes every line exactly once and in order when replies are lost or damaged',
  async _t => {
    const lossy = noiseUpTo({ flipOutPerByte: 10, dropReplyRate: 100 })
    fc.assert(
      fc.property(link(lossy), options => {
        const outcome = runLossyLink(options)
        return outcome.end === 'drained' && isExact(outcome, options)
      }),
      { numRuns: 400 },
    )
  },
)

// Where Marlin's own flush cuts a line so that its tail executes unchecked, the extra ok betrays it, unless noise takes just that ok too.
// RepRapFirmware's ok names nothing: where a line is cut so that its tail is a word nobody knows, and the answer to that word is lost as
// well, the ok after it is taken for the line's. So noise in one direction at a time.
const EXACT_OR_STOPPED = {
  'with noise towards the board': link(noiseUpTo({ flipInPerByte: 2 })),
  'RepRapFirmware, with noise towards the board, asked again while the answer is on its way': link(
    noiseUpTo({ flipInPerByte: 2, impatience: 100 }),
    reprap,
  ),
  'RepRapFirmware, with answers lost or damaged, asked again while they are on their way': link(
    noiseUpTo({ flipOutPerByte: 0.5, dropReplyRate: 20, impatience: 100 }),
    reprap,
  ),
}

for (const [name, links] of Object.entries(EXACT_OR_STOPPED))
  t.test(`${name}: executes exactly the program, or stops`, async t => {
    const ends: Record<string, number> = {}
    fc.assert(
      fc.property(links, options => {
        const outcome = runLossyLink(options)
        ends[outcome.end] = (ends[outcome.end] ?? 0) + 1
        return outcome.end !== 'stuck' && (outcome.end !== 'drained' || isExact(outcome, options))
      }),
      { numRuns: 400 },
    )
    t.ok((ends.drained ?? 0) > 100, 'most links of this quality carry the program')
    t.comment(ends)
  })

function isExact({ executed }: LossyLinkOutcome, { lines }: LossyLinkOptions): boolean {
  const done = programOf(executed)
  return done.length === lines.length && done.every((line, i) => line === lines[i])
}
