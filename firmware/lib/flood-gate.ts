/** What a stranger can cause as often as he likes must not fill a log: the first few of a kind are told, then only how many there were. */

import type { Clock } from './clock.ts'

const TOLD_PER_WINDOW = 5
const WINDOW_MS = 60_000
/** Afterwards each power of ten is told: ten thousand of a kind leave nine records. */
const isPowerOfTen = (count: number) => Number.isInteger(Math.log10(count))

interface Window {
  readonly sinceMs: number
  count: number
}

export class FloodGate {
  readonly #clock: Pick<Clock, 'nowMs'>
  readonly #windows = new Map<string, Window>()

  constructor(clock: Pick<Clock, 'nowMs'>) {
    this.#clock = clock
  }

  /** Counts one of a kind (a closed set: each is remembered). What to add to its message; undefined when it is not to be told. */
  pass(kind: string): string | undefined {
    const nowMs = this.#clock.nowMs()
    let window = this.#windows.get(kind)
    if (!window || nowMs - window.sinceMs > WINDOW_MS) {
      window = { sinceMs: nowMs, count: 0 }
      this.#windows.set(kind, window)
    }
    window.count += 1
    if (window.count <= TOLD_PER_WINDOW) return ''
    if (!isPowerOfTen(window.count)) return undefined
    return `; ${window.count} of these within ${Math.ceil((nowMs - window.sinceMs) / 1000)} s`
  }
}
