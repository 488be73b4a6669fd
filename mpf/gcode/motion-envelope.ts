/** Where a program may go, how fast, and how much filament it may feed on the way. */

import type { MachineLimits, Refusal } from './limits.ts'

const AXIS_NAMES = 'XYZ'
/** SPEC 4.2: positions are signed as 32-bit micrometres. */
const MIN_POSITION_NM = -(2 ** 31) * 1000
const MAX_POSITION_NM = (2 ** 31 - 1) * 1000
const MAX_E_NM = 2 ** 49
const MAX_FEED_UM_PER_MIN = 0xffffffff
/** One less than a policy can state: a writer signs one more than it measured. */
const MAX_EXTRUSION_UM_PER_MM = 0xfffffffe

/** With `isWidening` a limit that is passed is raised instead, as far as a policy can state it. */
export class MotionEnvelope {
  readonly minNm: Float64Array
  readonly maxNm: Float64Array
  maxFeedUmPerMin: number
  maxExtrusionUmPerMm: number
  readonly #isWidening: boolean
  readonly #refuse: (code: Parameters<Refusal>[0], problem: string) => void

  constructor(
    limits: MachineLimits,
    isWidening: boolean,
    refuse: (code: Parameters<Refusal>[0], problem: string) => void,
  ) {
    this.minNm = Float64Array.from(limits.minNm)
    this.maxNm = Float64Array.from(limits.maxNm)
    this.maxFeedUmPerMin = limits.maxFeedUmPerMin
    this.maxExtrusionUmPerMm = limits.maxExtrusionUmPerMm
    this.#isWidening = isWidening
    this.#refuse = refuse
  }

  /** SPEC 6.3: what keeps inches exact. */
  expectFilament(eNm: number): void {
    if (Math.abs(eNm) > MAX_E_NM) this.#refuse('MPF_ENVELOPE', 'E beyond any spool')
  }

  expectInside(axis: number, lowNm: number, highNm: number): void {
    if (lowNm >= (this.minNm[axis] as number) && highNm <= (this.maxNm[axis] as number)) return
    this.#passBounds(axis, lowNm, highNm)
  }

  #passBounds(axis: number, lowNm: number, highNm: number): void {
    if (!this.#isWidening || lowNm < MIN_POSITION_NM || highNm > MAX_POSITION_NM)
      return this.#refuse('MPF_ENVELOPE', `${AXIS_NAMES[axis]} outside its limits`)
    this.minNm[axis] = Math.min(lowNm, this.minNm[axis] as number)
    this.maxNm[axis] = Math.max(highNm, this.maxNm[axis] as number)
  }

  /** A feed outside what the state can hold (MPF_GCODE) leaves the one in force; returns the feed there is then. */
  feedAfter(feedUmPerMin: number, current: number): number {
    if (feedUmPerMin < 0 || feedUmPerMin > MAX_FEED_UM_PER_MIN) {
      this.#refuse('MPF_GCODE', 'a feed out of range')
      return current
    }
    if (feedUmPerMin > this.maxFeedUmPerMin) {
      if (this.#isWidening) this.maxFeedUmPerMin = feedUmPerMin
      else this.#refuse('MPF_ENVELOPE', 'feed above its limit')
    }
    return feedUmPerMin
  }

  /**
   * SPEC 6.3: filament against travel, in binary64. Flow below 100 percent counts as 100: a controller may keep one a tool.
   * @param eNm above 0
   * @param travelNm above 0
   */
  expectExtrusion(eNm: number, travelNm: number, flowPercent: number): void {
    const fed = eNm * (10 * Math.max(100, flowPercent))
    if (fed <= this.maxExtrusionUmPerMm * travelNm) return
    const measured = Math.ceil(fed / travelNm)
    if (!this.#isWidening || measured > MAX_EXTRUSION_UM_PER_MM)
      return this.#refuse('MPF_ENVELOPE', 'more filament for its travel than its limit')
    this.maxExtrusionUmPerMm = measured
  }
}
