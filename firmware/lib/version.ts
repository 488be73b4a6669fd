/** The version of what is installed, the same for all its programs. */

import { readFile } from 'node:fs/promises'
import { z } from 'zod'

export async function packageVersion(): Promise<string> {
  const text = await readFile(new URL('../../package.json', import.meta.url), 'utf8')
  return z.object({ version: z.string() }).parse(JSON.parse(text)).version
}

/** True when the command line asks for the version alone: it is told then. */
export async function toldVersion(program: string, args: readonly string[]): Promise<boolean> {
  if (args.length !== 1 || args[0] !== '--version') return false
  process.stdout.write(`${program} ${await packageVersion()}\n`)
  return true
}
