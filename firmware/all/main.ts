/** `mpfd --all`: core and courier under one parent, for a container or a desk. On a printer they are two units (config/systemd). */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { systemClock } from '#lib/clock.ts'
import { endOnSignals } from '#lib/end-on-signals.ts'
import { toldVersion } from '#lib/version.ts'

const PROGRAMS = ['mpfd', 'mpfd-cloud'] as const
/** As the units: a fault is tried again, a wrong command line or configuration (EX_CONFIG) is for a person. */
const RESTART_MS = 5000
const FINAL = new Set([0, 2, 78])
/** What a shell reports of a program that a signal ended: 128 and its number; here any. */
const SIGNALLED = 128

/** Runs both until one ends for good or a signal comes; the other is ended in order then. Resolves with the exit status. */
export async function main(args: readonly string[]): Promise<number> {
  if (await toldVersion('mpfd', args)) return 0
  const stopping = new AbortController()
  const signal = AbortSignal.any([endOnSignals(1), stopping.signal])
  const statuses = await Promise.all(
    PROGRAMS.map(async program => {
      const status = await keepRunning(program, argumentsOf(program, args), signal)
      stopping.abort()
      return status
    }),
  )
  return Math.max(...statuses)
}

/** What the simulated board is told is for the core alone. */
function argumentsOf(program: string, args: readonly string[]): readonly string[] {
  return program === 'mpfd' ? args : args.filter(each => !each.startsWith('--simulat'))
}

async function keepRunning(
  program: string,
  args: readonly string[],
  signal: AbortSignal,
): Promise<number> {
  while (true) {
    const status = await run(program, args, signal)
    if (signal.aborted || FINAL.has(status)) return status
    process.stderr.write(`${program}: ended with ${status}, started again in ${RESTART_MS} ms\n`)
    await systemClock.sleep(RESTART_MS, signal).catch(() => undefined)
    if (signal.aborted) return status
  }
}

async function run(program: string, args: readonly string[], signal: AbortSignal): Promise<number> {
  const launcher = fileURLToPath(new URL(`../../bin/${program}`, import.meta.url))
  const child: ChildProcess = spawn(launcher, args, { stdio: ['ignore', 'inherit', 'inherit'] })
  const end = () => child.kill('SIGTERM')
  signal.addEventListener('abort', end, { once: true })
  const [status] = (await once(child, 'exit')) as [number | null]
  signal.removeEventListener('abort', end)
  // Ended by our own signal, before it could listen for one.
  if (status === null && signal.aborted) return 0
  return status ?? SIGNALLED
}

if (import.meta.main) process.exit(await main(process.argv.slice(2)))
