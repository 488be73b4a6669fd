/** How often the last acknowledged line is kept: seldom enough for flash, often enough to go on from. */

import type { Clock } from '#lib/clock.ts'

/** Flash wear: a kept line costs a page of 4 KiB, and BENCH allows 5 MB a printed hour; a new layer is kept sooner. */
export const CHECKPOINT_MS = 4000
const LAYER_CHECKPOINT_MS = 2000

export class Checkpoints {
  readonly #clock: Clock
  /** The first acknowledgement is kept at once: from then on a print can go on. */
  #keptAtMs = Number.NEGATIVE_INFINITY
  #keptLayer = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** True when a line of `layer` that was acknowledged now is to be kept; it counts as kept. */
  isDue(layer: number): boolean {
    const nowMs = this.#clock.nowMs()
    const waitMs = layer === this.#keptLayer ? CHECKPOINT_MS : LAYER_CHECKPOINT_MS
    if (nowMs - this.#keptAtMs < waitMs) return false
    this.#keptAtMs = nowMs
    this.#keptLayer = layer
    return true
  }
}
