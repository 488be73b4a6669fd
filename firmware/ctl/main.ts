/** mpfctl: the process around `runCtl` — its streams, signals and exit code. */

import { createAdvisor } from '#lib/advice.ts'
import { systemClock } from '#lib/clock.ts'
import { EXIT } from './errors.ts'
import { runCtl } from './run.ts'
import { createTerminal } from './terminal.ts'

/** A reader that has seen enough (`| head`) is no error. */
function endOnBrokenPipe(error: NodeJS.ErrnoException): void {
  if (error.code === 'EPIPE') process.exit(EXIT.ok)
  throw error
}

async function main(): Promise<void> {
  const interrupt = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM'] as const)
    process.once(name, () => interrupt.abort(new DOMException(name, 'AbortError')))
  process.stdout.on('error', endOnBrokenPipe)
  const { stdout, stderr, env } = process
  process.exitCode = await runCtl(process.argv.slice(2), {
    terminal: createTerminal({ stdout, stderr, env }),
    env,
    clock: systemClock,
    advisor: createAdvisor(),
    signal: interrupt.signal,
  })
}

if (import.meta.main) await main()
