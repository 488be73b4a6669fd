/** The system's clock with leaps: hours pass in an instant, and whoever slept through them wakes. */
import { type Clock, systemClock } from '#lib/clock.ts'

export interface LeapingClock extends Clock {
  leap(ms: number): void
}

export function leapingClock(): LeapingClock {
  let leaptMs = 0
  const sleepers = new Set<{ readonly atMs: number; readonly wake: () => void }>()
  const nowMs = () => systemClock.nowMs() + leaptMs
  return {
    nowMs,
    wallMs: () => systemClock.wallMs() + leaptMs,
    async sleep(ms, signal) {
      const { promise, resolve } = Promise.withResolvers<void>()
      const sleeper = { atMs: nowMs() + ms, wake: resolve }
      const ended = new AbortController()
      const either = signal ? AbortSignal.any([signal, ended.signal]) : ended.signal
      sleepers.add(sleeper)
      try {
        await Promise.race([promise, systemClock.sleep(ms, either)])
      } finally {
        sleepers.delete(sleeper)
        ended.abort()
      }
    },
    leap(ms) {
      leaptMs += ms
      for (const { atMs, wake } of sleepers) if (atMs <= nowMs()) wake()
    },
  }
}
