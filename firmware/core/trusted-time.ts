/** The time this printer believes: never earlier than anything it has good reason to know. */

import type { Clock } from '#lib/clock.ts'
import type { TimeStamp } from './journal/event-log.ts'

export interface TrustedTime {
  /** Quality 'rtc' when the wall clock is not behind what is known; 'floor' when it is, and time is counted from the floor. */
  now(): TimeStamp
  /** A time inside a verified signature: no clock is right that is behind it. */
  observe(signedAtMs: number): void
}

/**
 * max(build time, persisted floor, last verified signed time, RTC). `floorMs` is the journal's, read at start; the
 * journal raises it with every record. While the RTC is behind, the floor moves on with the monotonic clock.
 */
export function createTrustedTime(options: {
  readonly clock: Clock
  readonly buildAtMs: number
  readonly floorMs: number
}): TrustedTime {
  const { clock } = options
  let known = {
    atMs: Math.max(options.buildAtMs, options.floorMs),
    sinceMs: clock.nowMs(),
  }
  return {
    now() {
      const floorMs = known.atMs + (clock.nowMs() - known.sinceMs)
      const wallMs = clock.wallMs()
      if (wallMs >= floorMs) return { atMs: Math.trunc(wallMs), quality: 'rtc' }
      return { atMs: Math.trunc(floorMs), quality: 'floor' }
    },
    observe(signedAtMs) {
      const elapsedMs = clock.nowMs() - known.sinceMs
      if (signedAtMs > known.atMs + elapsedMs) known = { atMs: signedAtMs, sinceMs: clock.nowMs() }
    },
  }
}
