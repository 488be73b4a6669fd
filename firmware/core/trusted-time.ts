/** The time this printer believes: never earlier than anything it has good reason to know, never poisoned by one wild clock. */

import type { Clock } from '#lib/clock.ts'
import type { TimeStamp } from './journal/event-log.ts'
import type { Journal } from './journal/journal.ts'

export interface TrustedTime {
  /**
   * Quality 'rtc' when the wall clock fits what is known; 'floor' when it is behind, and time is counted from the floor;
   * 'unconfirmed' when it is further ahead than anything supports: it is used, but never becomes the floor.
   */
  now(): TimeStamp
  /** A time inside a verified signature: no clock is right that is behind it. */
  observe(signedAtMs: number): void
}

/**
 * A day and an hour: more than any change of zone or summer time, less than what makes a grant expire by itself.
 * An RTC may be that far ahead of the floor and the time counted since without anybody vouching for it.
 */
const MAX_LEAP_MS = 25 * 3_600_000
const WATCH_MS = 60_000
/** A file's time costs the flash 12 kB in an ext4's journal; a battery that is empty sets a clock back by years, not by an hour. */
const KEEP_FLOOR_MS = 3_600_000

/**
 * max(build time, persisted floor, last verified signed time, RTC). `floorMs` is the journal's, read at start; the
 * journal raises it with every record, to `floorMs` of the stamp. While the RTC is behind, the floor moves on with the monotonic
 * clock. An RTC more than 25 hours ahead of it is not taken into the floor unless it is synchronised to a time server; the very
 * first start of a printer knows nothing better and believes its RTC.
 */
export function createTrustedTime(options: {
  readonly clock: Clock
  readonly buildAtMs: number
  readonly floorMs: number
  /** True while the wall clock follows a time server. */
  readonly isSynchronised?: () => boolean
  /** True while the wall clock is no more than what `mpfd-clock` raised it to. */
  readonly isRaised?: () => boolean
}): TrustedTime {
  const { clock, isSynchronised, isRaised } = options
  let isFirst = options.floorMs === 0
  let known = {
    atMs: Math.max(options.buildAtMs, options.floorMs),
    sinceMs: clock.nowMs(),
  }
  return {
    now() {
      const floorMs = Math.trunc(known.atMs + (clock.nowMs() - known.sinceMs))
      const wallMs = Math.trunc(clock.wallMs())
      if (wallMs < floorMs) return { atMs: floorMs, quality: 'floor', floorMs }
      // It runs on from the last time that was known: for how long the power was off nobody can say.
      if (isRaised?.() === true && isSynchronised?.() !== true)
        return { atMs: wallMs, quality: 'floor', floorMs }
      const isWithin = wallMs - floorMs <= MAX_LEAP_MS
      if (!isWithin && !isFirst && isSynchronised?.() !== true)
        return { atMs: wallMs, quality: 'unconfirmed', floorMs }
      // Within the bound the base stays: else a day at a time would lead anywhere.
      if (!isWithin) known = { atMs: wallMs, sinceMs: clock.nowMs() }
      isFirst = false
      return { atMs: wallMs, quality: 'rtc', floorMs: wallMs }
    },
    observe(signedAtMs) {
      const elapsedMs = clock.nowMs() - known.sinceMs
      if (signedAtMs > known.atMs + elapsedMs) known = { atMs: signedAtMs, sinceMs: clock.nowMs() }
    },
  }
}

/** Records when the wall clock leaves what is known, and when it fits again, until the signal aborts. */
export async function watchClock(
  time: TrustedTime,
  {
    journal,
    clock,
    keepFloor,
  }: {
    readonly journal: Pick<Journal, 'record'>
    readonly clock: Clock
    /** Told at the start and each hour what no clock may be behind. */
    readonly keepFloor: (floorMs: number) => Promise<void>
  },
  signal: AbortSignal,
): Promise<void> {
  let isUnconfirmed = false
  let keepAtMs = clock.nowMs()
  for (;;) {
    const { atMs, quality, floorMs = atMs } = time.now()
    const isNow = quality === 'unconfirmed'
    if (isNow !== isUnconfirmed) {
      const aheadMs = atMs - floorMs
      if (isNow) {
        const message = `the wall clock is ${Math.round(aheadMs / 3_600_000)} h ahead of what is known`
        journal.record({ type: 'clock.jumped', message, detail: { aheadMs } })
      } else journal.record({ type: 'clock.confirmed', message: `quality ${quality}` })
    }
    isUnconfirmed = isNow
    if (clock.nowMs() >= keepAtMs) {
      keepAtMs += KEEP_FLOOR_MS
      await keepFloor(floorMs)
    }
    await clock.sleep(WATCH_MS, signal)
  }
}
