/** What only the courier sees, told to the core's log: in order, not lost while the core restarts, and not more than the log can bear. */

import type { Clock } from '#lib/clock.ts'
import type { CourierEvent, CourierMethods } from '#lib/courier-protocol.ts'
import { FloodGate } from '#lib/flood-gate.ts'
import type { CoreClient } from './core-client.ts'
import { CloudError } from './errors.ts'

export type Report = CourierMethods['cloud.report']['params']

const MAX_WAITING = 256
const MAX_TEXT = 256
/** What only a signature of the fleet end causes is told each time. */
const UNGATED: ReadonlySet<CourierEvent> = new Set([
  ...(['cloud.transfer_started', 'cloud.transfer_finished', 'cloud.transfer_cancelled'] as const),
])

export class Reports {
  readonly #gate: FloodGate
  readonly #waiting: Report[] = []
  #alarms: readonly string[] = []
  #told: readonly string[] | undefined
  #news = Promise.withResolvers<void>()

  constructor(clock: Clock) {
    this.#gate = new FloodGate(clock)
  }

  /** Takes a report; the same kind again and again is counted instead of told. */
  add(report: Report): void {
    const { type, code = '' } = report
    const more = UNGATED.has(type) ? '' : this.#gate.pass(`${type} ${code}`)
    if (more === undefined || this.#waiting.length >= MAX_WAITING) return
    this.#waiting.push({ ...report, message: report.message + more })
    this.#news.resolve()
  }

  /** What is wrong just now, by its codes: shown by the core until it is told otherwise. */
  alarm(codes: readonly string[]): void {
    this.#alarms = codes
    this.#news.resolve()
  }

  /** Tells the core until the connection or the signal ends. */
  async run(core: Pick<CoreClient, 'request' | 'isEnded'>, signal: AbortSignal): Promise<void> {
    signal.addEventListener('abort', () => this.#news.resolve(), { once: true })
    // A core that was started anew knows of none.
    this.#told = undefined
    while (!signal.aborted) {
      if (this.#told !== this.#alarms) {
        const codes: readonly string[] = this.#alarms
        await core.request('cloud.alarms', { codes })
        this.#told = codes
        continue
      }
      const [report] = this.#waiting
      if (!report) {
        this.#news = Promise.withResolvers()
        await this.#news.promise
        continue
      }
      await core.request('cloud.report', clean(report)).catch((error: unknown) => {
        // Refused for good: the next one must not wait behind it for ever.
        if (!(error instanceof CloudError) || signal.aborted || core.isEnded) throw error
      })
      this.#waiting.shift()
    }
  }
}

/** A broker's text is a stranger's: printable and short, or the core takes none of the report. */
function clean(report: Report): Report {
  const { message, detail = {} } = report
  const cleaned = Object.entries(detail).map(([name, value]) => [
    name,
    typeof value === 'string' ? printable(value) : value,
  ])
  return { ...report, message: printable(message), detail: Object.fromEntries(cleaned) }
}

function printable(text: string): string {
  return text.slice(0, MAX_TEXT).replace(/[^\x20-\x7e]/g, '?')
}
