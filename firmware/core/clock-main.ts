/**
 * The `mpfd-clock` program: once at boot, as root, before core and courier. TLS verifies certificates by the system's clock and
 * cannot be given another time.
 */

import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { loadConfig } from '#config'
import { toldVersion } from '#lib/version.ts'
import { RAISED_MARK, raiseClock, type SystemTime } from './raise-clock.ts'

const USAGE = 'usage: mpfd-clock --config FILE\n'

const systemTime: SystemTime = {
  wallMs: () => Date.now(),
  // date(1): Node cannot set a clock.
  set: async atMs => {
    await promisify(execFile)('date', ['--set', `@${Math.ceil(atMs / 1000)}`])
  },
}

async function main(args: readonly string[]): Promise<number> {
  if (await toldVersion('mpfd-clock', args)) return 0
  const [flag, file] = args
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

process.exit(await main(process.argv.slice(2)))
