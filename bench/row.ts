/** One row of the table of measurements, and the statistics every row uses. */

/** What `npm run bench` prints and `--json` writes. Ratios first: absolute figures are this machine's. */
export interface Row {
  /** Name in the table, M1 to A1. */
  readonly id: string
  readonly what: string
  readonly peer: string
  /** Ours relative to the peer or limit, measured in the same run; undefined where there is none. */
  readonly ratio: number | undefined
  readonly figure: string
  readonly owed: string
  /** True when what is owed is met, undefined when the row owes no threshold here. */
  readonly isMet: boolean | undefined
  readonly note?: string
}

/** A part of the bench: rows as they are measured. */
export interface BenchPart {
  readonly name: string
  rows(context: BenchContext): AsyncIterable<Row>
}

export interface BenchContext {
  /** Counted runs of each measurement. */
  readonly runs: number
  /** A directory for files of this run. */
  readonly directory: string
  /** The launchers of a release built for this run: what a printer has. */
  readonly programs: string
  say(line: string): void
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5)
}

/** The value below which `fraction` of the sorted values lie. */
export function quantile(values: readonly number[], fraction: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * fraction))] ?? Number.NaN
}

/** CPU seconds (user and system) this process used in `work`. */
export async function cpuSeconds(work: () => Promise<void>): Promise<number> {
  const before = process.cpuUsage()
  await work()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1e6
}
