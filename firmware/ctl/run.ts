/** From a command line to an exit code: options, the command, and errors told the way a field engineer needs them. */

import { type ParseArgsConfig, parseArgs } from 'node:util'
import type { Advisor } from '#lib/advice.ts'
import type { Clock } from '#lib/clock.ts'
import { packageVersion } from '#lib/version.ts'
import { type CtlClient, connectToCore } from './client.ts'
import type { Command, OptionTable } from './command.ts'
import { COMMANDS } from './command-table.ts'
import { CtlError, ctlFault, EXIT, type ExitCode, exitCodeOf } from './errors.ts'
import { GLOBAL_OPTIONS, renderCommandHelp, renderOverview, wrap } from './help.ts'
import { jsonLine, printable } from './render/text.ts'
import type { Terminal } from './terminal.ts'

/** What a run needs from outside. */
export interface CtlEnvironment {
  readonly terminal: Terminal
  readonly env: Readonly<Record<string, string | undefined>>
  readonly clock: Clock
  readonly advisor: Advisor
  /** Aborted by SIGINT and SIGTERM. */
  readonly signal: AbortSignal
}

const DEFAULT_SOCKET = '/run/mpfd/control.sock'
/** Pausing and cancelling wait until the controller has drained. */
const DEFAULT_TIMEOUT_S = 60

/** Runs one command line (without the program's name). Never throws for what a person can mend. */
export async function runCtl(
  argv: readonly string[],
  environment: CtlEnvironment,
): Promise<ExitCode> {
  try {
    return await dispatch(argv, environment)
  } catch (error) {
    if (environment.signal.aborted) return EXIT.interrupted
    if (!(error instanceof CtlError)) throw error
    await tellError(error, argv.includes('--json'), environment)
    return exitCodeOf(error)
  }
}

async function dispatch(argv: readonly string[], environment: CtlEnvironment): Promise<ExitCode> {
  const { terminal } = environment
  const command = commandIn(argv)
  const { values, positionals } = parseStrictly(argv, command?.options ?? {})
  if (values.version) {
    terminal.write(`mpfctl ${await packageVersion()}\n`)
    return EXIT.ok
  }
  if (values.help) {
    terminal.write(command ? renderCommandHelp(command) : renderOverview(COMMANDS))
    return EXIT.ok
  }
  if (command === undefined)
    throw new CtlError('CTL_USAGE', positionals[0] ? `no command ${positionals[0]}` : 'no command')
  const operands = positionals.slice(1)
  if (operands.length > command.maxOperands)
    throw new CtlError('CTL_USAGE', `${command.name}: one argument too many: ${operands.at(-1)}`)
  const timeoutMs = timeoutMsOf(values.timeout)
  using connection = new DisposableStack()
  return await command.run({
    ...environment,
    operands,
    options: values,
    isJson: values.json === true,
    async connect(): Promise<CtlClient> {
      const socketPath = socketPathOf(values.socket, environment.env)
      const { signal } = environment
      return connection.use(await connectToCore({ socketPath, timeoutMs, signal }))
    },
  })
}

/** The command named first, whatever options stand around it. */
function commandIn(argv: readonly string[]): Command | undefined {
  const { positionals } = parseArgs({
    args: [...argv],
    options: GLOBAL_OPTIONS,
    strict: false,
    allowPositionals: true,
  })
  return COMMANDS.find(({ name }) => name === positionals[0])
}

interface ParsedLine {
  readonly values: Readonly<Record<string, string | boolean | undefined>>
  readonly positionals: readonly string[]
}

function parseStrictly(argv: readonly string[], options: OptionTable): ParsedLine {
  const config = {
    args: [...argv],
    options: { ...GLOBAL_OPTIONS, ...options },
    strict: true,
    allowPositionals: true,
  } satisfies ParseArgsConfig
  try {
    const { values, positionals } = parseArgs(config)
    return { values, positionals }
  } catch (cause) {
    // parseArgs adds advice after its first sentence; advice is docs/errors.md's.
    const [reason = ''] = String((cause as Error).message).split('. ')
    throw ctlFault(
      'CTL_USAGE',
      reason.replace(/^[A-Z]/, first => first.toLowerCase()),
      cause,
    )
  }
}

function timeoutMsOf(value: string | boolean | undefined): number {
  if (typeof value !== 'string') return DEFAULT_TIMEOUT_S * 1000
  if (!/^[1-9]\d{0,4}$/.test(value))
    throw new CtlError('CTL_USAGE', `--timeout: not a number of seconds: ${value}`)
  return Number(value) * 1000
}

function socketPathOf(value: string | boolean | undefined, env: CtlEnvironment['env']): string {
  return (typeof value === 'string' && value) || env.MPFD_SOCKET || DEFAULT_SOCKET
}

async function tellError(
  error: CtlError,
  isJson: boolean,
  { terminal, advisor }: CtlEnvironment,
): Promise<void> {
  const code = error.shownCode
  const action = (await advisor.find(code))?.action ?? null
  if (isJson) {
    terminal.write(jsonLine({ error: { code, message: error.message, advice: action } }))
    return
  }
  terminal.writeError(`mpfctl: ${code}: ${printable(error.message)}\n`)
  for (const line of action === null ? [] : wrap(action)) terminal.writeError(`  ${line}\n`)
}
