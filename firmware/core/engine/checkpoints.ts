/** How often the last acknowledged line is kept: seldom enough for flash, often enough to go on from. */

import type { Clock } from '#lib/clock.ts'

/** Flash wear: a kept line costs one page of the disk or two (5 kB in the mean): 4 MB a printed hour. */
export const CHECKPOINT_MS = 5000

export class Checkpoints {
  readonly #clock: Clock
  /** The first acknowledgement is kept at once: from then on a print can go on. */
  #keptAtMs = Number.NEGATIVE_INFINITY

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** True when a line that was acknowledged now is to be kept; it counts as kept. */
  isDue(): boolean {
    const nowMs = this.#clock.nowMs()
    if (nowMs - this.#keptAtMs < CHECKPOINT_MS) return false
    this.#keptAtMs = nowMs
    return true
  }
}
