/** The priorities the printer's services have by their units, for the same programs started here. */

import { readFileSync } from 'node:fs'
import { setPriority } from 'node:os'
import { join } from 'node:path'

const UNITS = join(import.meta.dirname, '../config/systemd')

/** False where it cannot be given: raising one needs root. */
export function prioritise(pid: number, unit: 'mpfd' | 'mpfd-cloud'): boolean {
  const [, nice] =
    /^Nice=(-?\d+)$/m.exec(readFileSync(join(UNITS, `${unit}.service`), 'utf8')) ?? []
  if (nice === undefined) throw new Error(`${unit}.service has no priority`)
  try {
    setPriority(pid, Number(nice))
    return true
  } catch {
    return false
  }
}
