/** The priorities the printer's services have by their units, for the same programs started here. */

import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { setPriority } from 'node:os'
import { join } from 'node:path'

const UNITS = join(import.meta.dirname, '../config/systemd')
/** Of a board's own processor: it waits for nobody here. */
const HARDWARE_PRIORITY = '10'

/** False where it cannot be given: raising one needs root. */
export function prioritise(pid: number, unit: 'mpfd' | 'mpfd-cloud'): boolean {
  const text = readFileSync(join(UNITS, `${unit}.service`), 'utf8')
  const setting = (name: string) => new RegExp(`^${name}=(\\S+)$`, 'm').exec(text)?.[1]
  const nice = setting('Nice')
  if (nice === undefined) throw new Error(`${unit}.service has no priority`)
  try {
    // Inherited at the start on a printer; here each thread has to be told.
    for (const thread of threadsOf(pid)) setPriority(thread, Number(nice))
    const [policy, priority] = [setting('CPUSchedulingPolicy'), setting('CPUSchedulingPriority')]
    // The main thread, and none that it starts.
    if (policy === 'rr' && priority) beRealTime(pid, priority)
    return true
  } catch {
    return false
  }
}

/** A simulated board stands for hardware: nothing here may make it late, nor what its own memory is tidied by. False where it cannot be given. */
export function prioritiseHardware(pid: number): boolean {
  try {
    for (const thread of threadsOf(pid)) beRealTime(thread, HARDWARE_PRIORITY)
    return true
  } catch {
    return false
  }
}

function threadsOf(pid: number): readonly number[] {
  return readdirSync(`/proc/${pid}/task`).map(Number)
}

function beRealTime(thread: number, priority: string): void {
  const args = ['--reset-on-fork', '--rr', '--pid', priority, String(thread)]
  execFileSync('chrt', args, { stdio: 'ignore' })
}
