/**
 * `mpfd-clock`: once at boot, as root, before core and courier. TLS verifies certificates by the system's clock and cannot be given
 * another time; a clock that an empty battery left in 1970 is therefore raised to the latest time known. Never set back.
 */

import { execFile } from 'node:child_process'
import { open, stat, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { loadConfig } from '#config'
import { BUILD_AT_MS } from './build-time.ts'

const CLOCK_FILE = 'clock'
/** Present while nothing better than the raise stands behind the system's clock. */
export const RAISED_MARK = '/run/mpfd-clock/raised'
const USAGE = 'usage: mpfd-clock --config FILE\n'

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

const systemTime: SystemTime = {
  wallMs: () => Date.now(),
  // date(1): Node cannot set a clock.
  set: async atMs => {
    await promisify(execFile)('date', ['--set', `@${Math.ceil(atMs / 1000)}`])
  },
}

async function main([flag, file]: readonly string[]): Promise<number> {
  if (flag !== '--config' || file === undefined) {
    process.stderr.write(USAGE)
    return 2
  }
  const { stateDirectory } = await loadConfig(file)
  const raisedMs = await raiseClock(stateDirectory, systemTime)
  if (raisedMs === null) return 0
  await writeFile(RAISED_MARK, '')
  process.stderr.write(`the clock was behind; raised to ${new Date(raisedMs).toISOString()}\n`)
  return 0
}

if (import.meta.main) process.exit(await main(process.argv.slice(2)))
