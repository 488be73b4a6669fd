/** Optional test data beside the checkout (`../shared`): bigger prints than the project ships. Never required. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'

const shared = join(import.meta.dirname, '../../shared')

/**
 * The path of `name` in `../shared`, or undefined where it is absent, which is then said in one line.
 * A test without its data passes: `const path = sharedPath('gcode/tag.gcode'); if (!path) return`.
 */
export function sharedPath(name: string): string | undefined {
  const path = join(shared, name)
  if (existsSync(path)) return path
  process.stderr.write(`../shared/${name} is absent: what needs it is left out\n`)
  return undefined
}
