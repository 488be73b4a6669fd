/** What only the courier sees, told to the core's log: in order, not lost while the core restarts, and not more than the log can bear. */

import type { Clock } from '#lib/clock.ts'
import type { CourierMethods } from '#lib/control-protocol.ts'
import type { CoreClient } from './core-client.ts'
import { CloudError } from './errors.ts'

export type Report = CourierMethods['cloud.report']['params']

/** A broker that floods must not fill the log: so many of one type in a window, then one with the number left out. */
const MAX_PER_WINDOW = 5
const WINDOW_MS = 60_000
const MAX_WAITING = 256

interface Window {
  readonly sinceMs: number
  told: number
  leftOut: number
}

export class Reports {
  readonly #clock: Clock
  readonly #waiting: Report[] = []
  readonly #windows = new Map<string, Window>()
  #news = Promise.withResolvers<void>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Takes a report; refusals of the same kind again and again are counted instead of told. */
  add(report: Report): void {
    const key = `${report.type} ${report.code ?? ''}`
    const nowMs = this.#clock.nowMs()
    let window = this.#windows.get(key)
    if (!window || nowMs - window.sinceMs > WINDOW_MS) {
      const leftOut = window?.leftOut ?? 0
      window = { sinceMs: nowMs, told: 0, leftOut: 0 }
      this.#windows.set(key, window)
      if (leftOut > 0) this.#push({ ...report, message: `${leftOut} more of these before` })
    }
    if (window.told >= MAX_PER_WINDOW) {
      window.leftOut += 1
      return
    }
    window.told += 1
    this.#push(report)
  }

  /** Tells the core until the connection or the signal ends. */
  async run(core: CoreClient, signal: AbortSignal): Promise<void> {
    signal.addEventListener('abort', () => this.#news.resolve(), { once: true })
    while (!signal.aborted) {
      const [report] = this.#waiting
      if (!report) {
        this.#news = Promise.withResolvers()
        await this.#news.promise
        continue
      }
      await core.request('cloud.report', clean(report)).catch((error: unknown) => {
        // Refused for good: the next one must not wait behind it for ever.
        if (!(error instanceof CloudError) || signal.aborted) throw error
        if (error.message === 'the core has gone') throw error
      })
      this.#waiting.shift()
    }
  }

  #push(report: Report): void {
    if (this.#waiting.length >= MAX_WAITING) return
    this.#waiting.push(report)
    this.#news.resolve()
  }
}

/** A broker's text is a stranger's: printable and short. */
function clean(report: Report): Report {
  const message = report.message.replace(/[^\x20-\x7e]/g, '?').slice(0, 256)
  return { ...report, message }
}
