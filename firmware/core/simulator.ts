/** The simulated controller as a process of its own, for the demo and for a desk without a printer. */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import { CoreError } from './errors.ts'

export interface Simulator extends AsyncDisposable {
  /** The pseudo-terminal to open. */
  readonly port: string
}

const PROGRAM = fileURLToPath(import.meta.resolve('#program/simulator'))
const firstLineSchema = z.object({ port: z.string() })

/** Starts it with `options` as its command line takes them; resolves when its port can be opened. @throws CoreError PRINTER_OFFLINE. */
export async function startSimulator(options: readonly string[]): Promise<Simulator> {
  const child = spawn(process.execPath, [PROGRAM, '--attached', ...options], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const lines = createInterface({ input: child.stdout })
  const { value } = await lines[Symbol.asyncIterator]().next()
  if (typeof value !== 'string')
    throw new CoreError('PRINTER_OFFLINE', 'the simulated controller did not start')
  const { port } = firstLineSchema.parse(JSON.parse(value))
  return { port, [Symbol.asyncDispose]: () => end(child) }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.kill('SIGTERM')
  await exited
}
