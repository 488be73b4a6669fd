/** Looks for a part's own text where only ciphertext may be. */

import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

const CANARIES = 20
/** Shorter commands may be anywhere by chance. */
const DISTINCTIVE_BYTES = 16

/** Files under `directory` that hold one of a sample of the part's own commands. @throws Error when the part has no distinctive command */
export async function findPlaintext(
  directory: string,
  commands: readonly string[],
): Promise<readonly string[]> {
  const distinctive = commands.filter(command => command.length > DISTINCTIVE_BYTES)
  const canaries = Array.from(
    { length: CANARIES },
    (_, i) => distinctive[Math.floor((i * distinctive.length) / CANARIES)],
  ).filter(canary => canary !== undefined)
  if (canaries.length === 0) throw new Error('the part has no command to look for')
  const files = await readdir(directory, { recursive: true, withFileTypes: true })
  const leaks: string[] = []
  for (const file of files) {
    if (!file.isFile()) continue
    const bytes = await readFile(join(file.parentPath, file.name))
    if (canaries.some(canary => bytes.includes(canary))) leaks.push(file.name)
  }
  return leaks
}
