/** Writes to a store that may take nothing for a while, because its disk is full or failing. */

import type { Clock } from '#lib/clock.ts'
import { CloudError } from './errors.ts'

const RETRY_MIN_MS = 1000
const RETRY_MAX_MS = 60_000

/** False when the store takes nothing now. Throws whatever else `write` throws than CLOUD_STORE and what SQLite says. */
export function isStored(write: () => void): boolean {
  try {
    write()
    return true
  } catch (error) {
    const isOfStore = error instanceof CloudError && error.code === 'CLOUD_STORE'
    if (!isOfStore && !(error instanceof Error && 'errcode' in error)) throw error
    return false
  }
}

/** Writes as soon as the store takes it: asked again after a second, then less and less often. Rejects with `signal.reason`. */
export async function untilStored(
  write: () => void,
  clock: Pick<Clock, 'sleep'>,
  signal: AbortSignal,
): Promise<void> {
  for (let pauseMs = RETRY_MIN_MS; !isStored(write); pauseMs *= 2)
    await clock.sleep(Math.min(pauseMs, RETRY_MAX_MS), signal)
}
