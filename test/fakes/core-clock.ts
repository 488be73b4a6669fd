/** A clock that moves only when a test says so. */
import type { Clock } from '#lib/clock.ts'

export interface FakeClock extends Clock {
  /** Moves both clocks on and wakes the sleepers whose time has come; resolves when their continuations have run. */
  advance(ms: number): Promise<void>
  readonly sleepers: number
}

interface Sleeper {
  readonly atMs: number
  readonly wake: () => void
}

export function fakeClock(startWallMs = Date.UTC(2026, 10, 1)): FakeClock {
  let elapsedMs = 0
  const sleepers = new Set<Sleeper>()
  return {
    nowMs: () => elapsedMs,
    wallMs: () => startWallMs + elapsedMs,
    get sleepers() {
      return sleepers.size
    },
    sleep(ms, signal) {
      const { promise, resolve, reject } = Promise.withResolvers<void>()
      if (signal?.aborted) return Promise.reject(signal.reason)
      const sleeper = { atMs: elapsedMs + ms, wake: resolve }
      sleepers.add(sleeper)
      signal?.addEventListener('abort', () => {
        sleepers.delete(sleeper)
        reject(signal.reason)
      })
      return promise
    },
    async advance(ms) {
      elapsedMs += ms
      for (const sleeper of [...sleepers].sort((a, b) => a.atMs - b.atMs)) {
        if (sleeper.atMs > elapsedMs) continue
        sleepers.delete(sleeper)
        sleeper.wake()
      }
      for (let turn = 0; turn < 10; turn++) await new Promise(resolve => setImmediate(resolve))
    },
  }
}
