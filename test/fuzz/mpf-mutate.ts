/**
 * A seeded fuzzer of the print file reader. Mutates good files at random and by structure, re-signs some of them as a hostile
 * publisher would, and stops at the first finding: a crash, an error that is no MpfError, or a text that was never sealed.
 *
 *     node test/fuzz/mpf-mutate.ts --count 100000 --seed 1
 *     node test/fuzz/mpf-mutate.ts --seconds 60
 */
import { parseArgs } from 'node:util'
import { createProgramCheck, MpfError, openBody } from '#mpf'
import {
  createUnwrapMemo,
  type Reader,
  reader,
  source,
  unlockFile,
  verifyFile,
} from '../fakes/mpf-reader.ts'
import { createMutants, createSpecimens, type Mutant } from './mpf-mutants.ts'

export function createJudge(): (mutant: Mutant) => Promise<string> {
  const by = reader({ unwrap: createUnwrapMemo() })
  return async mutant => {
    const outcome = await outcomeOf(() => readBlocks(mutant, by))
    const keyless = await outcomeOf(() => verifyFile(source(mutant.bytes), by))
    if (outcome === 'opens' && keyless !== 'opens')
      throw new Error(`${mutant.mutation}: opens with keys, without them ${keyless}`)
    return outcome
  }
}

async function outcomeOf(run: () => Promise<void>): Promise<string> {
  try {
    await run()
    return 'opens'
  } catch (error) {
    if (error instanceof MpfError) return error.code
    throw error
  }
}

/** Reads as a print does; whatever comes out before a refusal must be what was sealed. */
async function readBlocks({ bytes, blocks, mutation }: Mutant, by: Reader): Promise<void> {
  const { container, manifest, keys, meta } = await unlockFile(source(bytes), by)
  const { pol, enc } = manifest.payload
  const check = createProgramCheck(pol, meta.index, enc.body.lines)
  let opened = 0
  for await (const block of openBody(container, manifest, keys, meta.index)) {
    opened++
    if (blocks && block.text.toString('latin1') !== blocks[block.index])
      throw new Error(`${mutation}: block ${block.index} was released with another text`)
    check.check(block)
  }
  check.end()
  if (blocks && opened !== blocks.length) throw new Error(`${mutation}: ${opened} blocks`)
}

/** What a run saw. */
export interface Tally {
  readonly mutants: number
  readonly outcomes: ReadonlyMap<string, number>
  readonly slowestMs: number
  readonly slowest: string
}

/** Reads `count` mutants, or as many as fit before `isOver`. Throws at the first finding, naming seed and number. */
export async function fuzz(
  seed: number,
  count: number,
  isOver: () => boolean = () => false,
  nowMs: () => number = () => 0,
): Promise<Tally> {
  const next = createMutants(seed, createSpecimens())
  const judge = createJudge()
  const outcomes = new Map<string, number>()
  let [mutants, slowestMs, slowest] = [0, 0, '']
  while (mutants < count && !isOver()) {
    const mutant = next()
    const startedMs = nowMs()
    const outcome = await judge(mutant).catch((cause: unknown) => {
      throw new Error(`seed ${seed}, mutant ${mutants}: ${mutant.mutation}`, { cause })
    })
    const tookMs = nowMs() - startedMs
    if (tookMs > slowestMs) [slowestMs, slowest] = [tookMs, `${mutant.mutation}: ${outcome}`]
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
    mutants++
  }
  return { mutants, outcomes, slowestMs, slowest }
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      count: { type: 'string', default: '10000' },
      seconds: { type: 'string' },
      seed: { type: 'string', default: '1' },
    },
  })
  const nowMs = () => performance.now()
  const judge = createJudge()
  const [good] = createSpecimens().slice(3)
  const baseline = { mutation: 'none', bytes: good?.bytes ?? Buffer.alloc(0), blocks: good?.blocks }
  await judge(baseline)
  const calibratedAtMs = nowMs()
  await judge(baseline)
  const baselineMs = nowMs() - calibratedAtMs
  const endMs = nowMs() + Number(values.seconds ?? Infinity) * 1000
  const count = values.seconds === undefined ? Number(values.count) : Infinity
  const tally = await fuzz(Number(values.seed), count, () => nowMs() > endMs, nowMs)
  process.stdout.write(`${tally.mutants} mutants of seed ${values.seed}, no finding\n`)
  for (const [outcome, times] of [...tally.outcomes].sort((a, b) => b[1] - a[1]))
    process.stdout.write(`${String(times).padStart(8)} ${outcome}\n`)
  process.stdout.write(
    `slowest ${tally.slowestMs.toFixed(1)} ms (${tally.slowest}), a good read ${baselineMs.toFixed(1)} ms\n`,
  )
}
