/** When a simulated board next speaks by itself: temperature reports and busy lines. Wall milliseconds. Pure. */

export class ReportClock {
  readonly #busyIntervalMs: number
  #autoreportMs = 0
  #autoreportAtMs = 0
  #busyAtMs = 0

  constructor(busyIntervalMs: number) {
    this.#busyIntervalMs = busyIntervalMs
  }

  /** M155: 0 = none. */
  setAutoreport(nowMs: number, intervalMs: number): void {
    this.#autoreportMs = intervalMs
    this.#autoreportAtMs = nowMs + intervalMs
  }

  /** A command begins to take long. */
  startBusy(nowMs: number): void {
    this.#busyAtMs = nowMs + this.#busyIntervalMs
  }

  /** True once an interval. */
  takeAutoreport(nowMs: number): boolean {
    if (this.#autoreportMs === 0 || nowMs < this.#autoreportAtMs) return false
    this.#autoreportAtMs = nowMs + this.#autoreportMs
    return true
  }

  /** True once an interval; asked only while a command takes long. */
  takeBusy(nowMs: number): boolean {
    if (nowMs < this.#busyAtMs) return false
    this.startBusy(nowMs)
    return true
  }

  /** The next time anything is due; infinite when nothing is. */
  nextMs(isBlocked: boolean): number {
    const autoreportMs = this.#autoreportMs > 0 ? this.#autoreportAtMs : Number.POSITIVE_INFINITY
    return isBlocked ? Math.min(autoreportMs, this.#busyAtMs) : autoreportMs
  }
}
