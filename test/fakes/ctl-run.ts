/** mpfctl's command lines run in this process, against a control socket of the test's own. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { runCtl } from '../../firmware/ctl/run.ts'
import { createTerminal } from '../../firmware/ctl/terminal.ts'
import { createAdvisor } from '../../firmware/lib/advice.ts'
import { fakeClock } from './core-clock.ts'
import { type CtlServer, startCtlServer } from './ctl-server.ts'

process.env.TZ = 'UTC'

export interface Outcome {
  readonly code: number
  readonly out: string
  readonly err: string
}

export interface RunOptions {
  readonly isTty?: boolean
  readonly signal?: AbortSignal
  readonly env?: Record<string, string>
  readonly onOutput?: (text: string) => void
}

/** Runs one command line in this process. */
export async function ctl(
  server: Pick<CtlServer, 'path'>,
  line: string,
  options: RunOptions = {},
): Promise<Outcome> {
  let out = ''
  let err = ''
  const env = { MPFD_SOCKET: server.path, LANG: 'C.UTF-8', ...options.env }
  const stdout = {
    isTTY: options.isTty ?? false,
    columns: 100,
    write(text: string) {
      out += text
      options.onOutput?.(text)
    },
  }
  const code = await runCtl(line === '' ? [] : line.split(' '), {
    terminal: createTerminal({ stdout, stderr: { write: text => (err += text) }, env }),
    env,
    clock: fakeClock(),
    advisor: createAdvisor(),
    signal: options.signal ?? new AbortController().signal,
  })
  return { code, out, err }
}

/** Short, unlike tap's fixture directories: a socket's path has 107 bytes. */
export async function socketPath(t: Test): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'mpfctl-'))
  t.teardown(() => rm(directory, { recursive: true }))
  return join(directory, 'control.sock')
}

export async function serverFor(
  t: Test,
  answers: Parameters<typeof startCtlServer>[1],
): Promise<CtlServer> {
  const server = await startCtlServer(await socketPath(t), answers)
  t.teardown(() => server[Symbol.asyncDispose]())
  return server
}
