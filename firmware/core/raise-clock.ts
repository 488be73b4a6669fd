/** Raising a clock that an empty battery left in 1970 to the latest time known. It is never set back. */

import { open, stat, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { BUILD_AT_MS } from './build-time.ts'

const CLOCK_FILE = 'clock'
/** Present while nothing better than the raise stands behind the system's clock. */
export const RAISED_MARK = '/run/mpfd-clock/raised'

export interface SystemTime {
  wallMs(): number
  /** Sets the system's clock. */
  set(atMs: number): Promise<void>
}

/** Keeps the floor of trusted time as the time of a file, where it survives a boot without any database. */
export async function keepFloor(stateDirectory: string, floorMs: number): Promise<void> {
  const path = join(stateDirectory, CLOCK_FILE)
  await using _ = await open(path, 'a', 0o644)
  await utimes(path, floorMs / 1000, floorMs / 1000)
}

/** Resolves with the time the clock was raised to, or null when it was not behind anything known. */
export async function raiseClock(
  stateDirectory: string,
  time: SystemTime,
  buildAtMs = BUILD_AT_MS,
): Promise<number | null> {
  const kept = await stat(join(stateDirectory, CLOCK_FILE)).catch(() => undefined)
  const knownMs = Math.max(buildAtMs, kept?.mtimeMs ?? 0)
  if (time.wallMs() >= knownMs) return null
  await time.set(knownMs)
  return knownMs
}
