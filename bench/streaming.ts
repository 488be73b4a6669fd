/**
 * The streaming rows of the benchmark: S1 lines a second and processor time a line, S2 use of the wire, S3 a noisy wire. Rivals on the
 * same simulated board: printrun's printcore where Debian's package is installed, and a stop-and-wait sender as the floor.
 */
import { systemClock } from '#lib/clock.ts'
import { type LineSource, openController } from '../drivers/index.ts'
import type { BenchPart } from './row.ts'
import { loadRows } from './streaming-load.ts'
import { type Board, printcore, startBoard, stopAndWait } from './streaming-rivals.ts'

/** One row of the report. `ratio`: ours over the best rival's, above 1 is better. */
export interface MeasuredRow {
  readonly row: 'S1' | 'S2' | 'S3'
  readonly what: string
  readonly ratio: number | undefined
  readonly figures: Readonly<Record<string, number | string>>
}

const RUNS = 5
const S1_LINES = 20_000
const S2_SECONDS = 8
const S3_LINES = 1_500
const BAUDS = [115_200, 250_000, 1_000_000] as const
const BITS_PER_BYTE = 10
const MS_PER_S = 1000
/** `N12345 G1 X123.45 Y123.45 E12.34567*99`: what a slicer's line weighs on the wire. */
const LINE_BYTES = 42

/** Moves far below a step, so that nothing but the link is measured. */
function programOf(count: number): readonly string[] {
  return Array.from(
    { length: count },
    (_, i) =>
      `G1 X${(100 + (i % 90)).toFixed(3)} Y${(100 + (i % 80)).toFixed(3)} E${(i % 9).toFixed(5)}`,
  )
}

function sourceOf(lines: readonly string[]): LineSource {
  let line = 0
  return {
    next: () => {
      const text = lines[line]
      return text === undefined ? undefined : { line: ++line, text }
    },
  }
}

/** What one sender did with one program. */
export interface Run {
  readonly seconds: number
  /** Of the program's last three quarters: the window is learnt, the code is warm. */
  readonly steadySeconds?: number
  readonly cpuUsPerLine: number | undefined
  readonly isExact: boolean
  readonly outcome: string
}

async function ours(board: Board, baud: number, lines: readonly string[]): Promise<Run> {
  const signal = new AbortController().signal
  const quarter = Math.ceil(lines.length / 4)
  let steadyMs = Number.NaN
  await using controller = await openController(
    { dialect: 'marlin', port: board.port, baud: baud || 250_000, tuning: { greetingMs: 50 } },
    {
      ...{ clock: systemClock, signal },
      onEvent: event => {
        if (event.kind === 'acked' && event.line <= quarter) steadyMs = performance.now()
      },
    },
  )
  const cpu = process.cpuUsage()
  const beganMs = performance.now()
  const outcome = await controller.stream(sourceOf(lines), { signal }).then(
    () => 'done',
    (error: { readonly code?: string }) => error.code ?? 'failed',
  )
  const seconds = (performance.now() - beganMs) / MS_PER_S
  const steadySeconds = (performance.now() - steadyMs) / MS_PER_S
  const { user, system } = process.cpuUsage(cpu)
  const { isExact } = await board.end(lines)
  const cpuUsPerLine = (user + system) / lines.length
  return { seconds, steadySeconds, cpuUsPerLine, isExact, outcome }
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[sorted.length >> 1] ?? Number.NaN
}

function rate(runs: readonly Run[], lines: number): number {
  return Math.round(median(runs.map(run => lines / run.seconds)))
}

/** S1: to an instantly acknowledging board on a pseudo-terminal; default window and one learnt from ADVANCED_OK. */
export async function measureS1(runs: number = RUNS): Promise<MeasuredRow> {
  const lines = programOf(S1_LINES)
  const few = lines.slice(0, 1_000)
  const plain: Run[] = []
  const learnt: Run[] = []
  const floor: Run[] = []
  const rival: Run[] = []
  for (let i = 0; i < runs; i++) {
    plain.push(await ours(await startBoard([]), 0, lines))
    learnt.push(
      await ours(
        await startBoard(['--advanced-ok', '--buffer-lines', '32', '--ring-bytes', '1023']),
        0,
        lines,
      ),
    )
    floor.push(await stopAndWait(await startBoard([]), 0, few))
    const run = await printcore(await startBoard([]), 250_000, few)
    if (run) rival.push(run)
  }
  const best = Math.max(rate(floor, few.length), rival.length > 0 ? rate(rival, few.length) : 0)
  return {
    row: 'S1',
    what: 'lines/s and µs CPU/line to an instantly acknowledging board, window 4 lines',
    ratio: rate(plain, lines.length) / best,
    figures: {
      'lines/s, window 4': rate(plain, lines.length),
      'µs CPU/line, window 4': Math.round(median(plain.map(run => run.cpuUsPerLine ?? 0))),
      'lines/s, window learnt 32': rate(learnt, lines.length),
      'µs CPU/line, window learnt 32': Math.round(median(learnt.map(run => run.cpuUsPerLine ?? 0))),
      'lines/s, stop-and-wait': rate(floor, few.length),
      'µs CPU/line, stop-and-wait': Math.round(median(floor.map(run => run.cpuUsPerLine ?? 0))),
      'lines/s, printcore': rival.length > 0 ? rate(rival, few.length) : 'not installed',
      exact: [...plain, ...learnt].filter(run => run.isExact).length,
      runs: plain.length + learnt.length,
    },
  }
}

/** S2: share of the wire's bytes a second that carry the program's own lines. */
export async function measureS2(runs: number = 1): Promise<MeasuredRow> {
  const figures: Record<string, number | string> = {}
  let worst = Number.POSITIVE_INFINITY
  for (const baud of BAUDS) {
    const bytesPerS = baud / BITS_PER_BYTE
    const lines = programOf(Math.round((bytesPerS / LINE_BYTES) * S2_SECONDS))
    const wireBytes = framedBytes(lines)
    const use = (run: Run): number => wireBytes / bytesPerS / run.seconds
    const steadyUse = (run: Run): number =>
      (0.75 * wireBytes) / bytesPerS / (run.steadySeconds ?? Number.NaN)
    const steady: number[] = []
    const args = ['--baud', String(baud)]
    const own: number[] = []
    const floor: number[] = []
    const rival: number[] = []
    for (let i = 0; i < runs; i++) {
      const mine = await ours(await startBoard(args), baud, lines)
      own.push(use(mine))
      steady.push(steadyUse(mine))
      floor.push(use(await stopAndWait(await startBoard(args), baud, lines)))
      const run = await printcore(await startBoard(args), baud, lines)
      if (run) rival.push(use(run))
    }
    figures[`${baud} baud, ours %`] = Math.round(median(steady) * 100)
    figures[`${baud} baud, ours from the first line, window learnt from 1 %`] = Math.round(
      median(own) * 100,
    )
    figures[`${baud} baud, stop-and-wait %`] = Math.round(median(floor) * 100)
    figures[`${baud} baud, printcore %`] =
      rival.length > 0 ? Math.round(median(rival) * 100) : 'not installed'
    worst = Math.min(worst, median(own) / Math.max(median(floor), ...rival))
  }
  return {
    row: 'S2',
    what: 'share of the wire used, real-time wire, window 4',
    ratio: worst,
    figures,
  }
}

function framedBytes(lines: readonly string[]): number {
  let bytes = 0
  lines.forEach((text, i) => {
    bytes += `N${i + 1} ${text}*00\n`.length
  })
  return bytes
}

/** S3: 1 500 moves over a wire that flips a bit in 500 bytes, both ways; exact, or an honest stop. */
export async function measureS3(
  seeds: number = 20,
  hasRival: boolean = true,
): Promise<MeasuredRow> {
  const lines = Array.from({ length: S3_LINES }, (_, i) => `G1 X${(i / 10).toFixed(1)}`)
  const runs: Run[] = []
  for (let seed = 1; seed <= seeds; seed++) {
    const fault = `seed=${seed},flip-in=0.002,flip-out=0.002`
    const args = ['--advanced-ok', '--fault', fault]
    runs.push(await ours(await startBoard(args), 0, lines))
  }
  const done = runs.filter(run => run.outcome === 'done')
  const rival =
    hasRival &&
    (await printcore(
      await startBoard(['--fault', 'seed=1,flip-in=0.002,flip-out=0.002']),
      250_000,
      lines,
    ))
  return {
    row: 'S3',
    what: '1 500 moves at 0.2 % a byte of noise both ways',
    ratio: undefined,
    figures: {
      'seconds (median of finished)':
        done.length > 0 ? Number(median(done.map(run => run.seconds)).toFixed(2)) : 'none',
      finished: done.length,
      'finished but not exact': done.filter(run => !run.isExact).length,
      'stopped honestly': runs.filter(run => run.outcome.startsWith('DRIVER_')).length,
      seeds,
      printcore: rival ? rival.outcome : 'not run',
    },
  }
}

/** The rows as the table prints them. */
export const streamingBench: BenchPart = {
  name: 'streaming',
  async *rows(context) {
    const { runs } = context
    for (const measured of [await measureS1(runs), await measureS2(), await measureS3()])
      yield {
        id: measured.row,
        what: measured.what,
        peer: 'the best rival on the same board',
        ratio: measured.ratio,
        figure: JSON.stringify(measured.figures),
        owed: OWED[measured.row],
        isMet: undefined,
      }
    yield* loadRows(context)
  },
}

const OWED = {
  S1: '>= 10,000 lines/s, <= 60 us',
  S2: '>= 98 / 98 / 95 %',
  S3: '<= 4 s, exact or an honest stop',
} as const
