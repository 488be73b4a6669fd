/** Time spent printing, pauses left out. */

import type { Clock } from '#lib/clock.ts'

/** Runs from its making on. */
export class ActiveTime {
  readonly #clock: Clock
  #beforeMs = 0
  #sinceMs: number | undefined

  constructor(clock: Clock) {
    this.#clock = clock
    this.start()
  }

  start(): void {
    this.#sinceMs = this.#clock.nowMs()
  }

  stop(): void {
    this.#beforeMs = this.ms
    this.#sinceMs = undefined
  }

  /** Monotonic milliseconds. */
  get ms(): number {
    return this.#beforeMs + (this.#sinceMs === undefined ? 0 : this.#clock.nowMs() - this.#sinceMs)
  }
}
