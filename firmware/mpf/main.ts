/** The `mpf` command: makes, inspects and verifies sealed print files. */

import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { z } from 'zod'
import { createAdvisor } from '#lib/advice.ts'
import { joinIdentifiers } from '#lib/arguments.ts'
import { toldVersion } from '#lib/version.ts'
import { MpfError } from '#mpf'
import type { Command, CommandContext } from './command.ts'
import { grant } from './commands/grant.ts'
import { inspect } from './commands/inspect.ts'
import { keygen } from './commands/keygen.ts'
import { lint } from './commands/lint.ts'
import { preview } from './commands/preview.ts'
import { report as reportCommand } from './commands/report.ts'
import { seal } from './commands/seal.ts'
import { trust } from './commands/trust.ts'
import { verify } from './commands/verify.ts'
import { EXIT, EXIT_MEANING, UsageError, verdictOf } from './errors.ts'

const COMMANDS: readonly Command[] = [
  seal,
  verify,
  inspect,
  grant,
  lint,
  keygen,
  trust,
  reportCommand,
  preview,
]

process.stdout.on('error', endOnLostOutput)
// Where nobody can be told, the exit code still tells.
process.stderr.on('error', () => undefined)
process.exitCode = await main(process.argv.slice(2))

/** A reader that has seen enough (`| head`) is no error; a full disk is. */
function endOnLostOutput(error: NodeJS.ErrnoException): void {
  if (error.code === 'EPIPE') return
  process.stderr.write(`mpf: TOOL_FILE: cannot write -: ${error.message}\n`)
  process.exit(EXIT.tool)
}

async function main(args: readonly string[]): Promise<number> {
  try {
    if (await toldVersion('mpf', args)) return 0
    return await runCommand(args)
  } catch (error) {
    await report(error, args.includes('--json'))
    return verdictOf(error).exitCode
  }
}

async function runCommand([name, ...rest]: readonly string[]): Promise<number> {
  if (name === undefined || isHelp(name) || (name === 'help' && rest.length === 0)) {
    process.stdout.write(overview())
    return name === undefined ? EXIT.usage : 0
  }
  const wanted = name === 'help' ? rest[0] : name
  const command = COMMANDS.find(candidate => candidate.name === wanted)
  if (!command) throw new UsageError(`no command ${wanted}`)
  if (name === 'help' || rest.some(isHelp)) {
    process.stdout.write(manual(command))
    return 0
  }
  return command.run(createContext(command, rest))
}

function isHelp(arg: string): boolean {
  return arg === '--help' || arg === '-h'
}

function createContext(command: Command, args: readonly string[]): CommandContext {
  const { values: given, positionals }: Parsed = parse(command, args)
  const values = { ...readSettings(command, given.settings), ...given }
  const text = (option: string) => {
    const value = values[option]
    return typeof value === 'string' ? value : undefined
  }
  return {
    operands: positionals,
    isJson: values.json === true,
    text,
    required(option) {
      const value = text(option)
      if (value === undefined) throw new UsageError(`--${option} is missing`)
      return value
    },
    list(option) {
      const value = values[option]
      return Array.isArray(value) ? value.filter(item => typeof item === 'string') : []
    },
    integer(option, [min, max], fallback) {
      const value = text(option)
      if (value === undefined) return fallback
      const number = Number(value)
      if (!/^[0-9]+$/.test(value) || number < min || number > max)
        throw new UsageError(`--${option} ${value}: expected a whole number from ${min} to ${max}`)
      return number
    },
    flag: option => values[option] === true,
    print: line => void process.stdout.write(`${line}\n`),
    note: line => void process.stderr.write(`${line}\n`),
  }
}

/** Options kept in a file, for slicers that can only name a script: `{"tenant": "...", "to": ["..."]}`. The command line comes first. */
function readSettings(command: Command, path: unknown): Readonly<Record<string, unknown>> {
  if (typeof path !== 'string') return {}
  let settings: unknown
  try {
    settings = JSON.parse(readFileSync(path, 'utf8'))
  } catch (cause) {
    throw new UsageError(`--settings ${path}: ${(cause as Error).message}`, { cause })
  }
  const parsed = z
    .record(z.string(), z.union([z.string(), z.boolean(), z.array(z.string())]))
    .safeParse(settings)
  const unknown = Object.keys(parsed.data ?? {}).find(name => !Object.hasOwn(command.options, name))
  if (!parsed.success || unknown !== undefined)
    throw new UsageError(
      `--settings ${path}: ${unknown === undefined ? 'expected an object of options' : `no option ${unknown}`}`,
    )
  return parsed.data
}

interface Parsed {
  readonly values: Readonly<Record<string, unknown>>
  readonly positionals: readonly string[]
}

function parse(command: Command, args: readonly string[]): Parsed {
  try {
    return parseArgs({
      args: joinIdentifiers(args),
      options: { ...command.options, json: { type: 'boolean' }, settings: { type: 'string' } },
      allowPositionals: true,
    })
  } catch (cause) {
    // parseArgs adds advice after its first sentence; advice is docs/errors.md's.
    const [reason = ''] = (cause as Error).message.split('. ')
    throw new UsageError(reason, { cause })
  }
}

async function report(error: unknown, isJson: boolean): Promise<void> {
  const { code } = verdictOf(error)
  const message = error instanceof Error ? error.message : String(error)
  const advice = (await createAdvisor().find(code))?.action
  if (isJson) {
    const place =
      error instanceof MpfError
        ? { class: error.errorClass, line: error.line, block: error.block, segment: error.segment }
        : {}
    process.stdout.write(`${JSON.stringify({ ok: false, code, message, advice, ...place })}\n`)
  } else process.stderr.write(`mpf: ${code}: ${message}\n${advice ? `  ${advice}\n` : ''}`)
}

function overview(): string {
  const width = Math.max(...COMMANDS.map(({ name }) => name.length))
  const lines = COMMANDS.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`)
  return `usage: mpf COMMAND [--json] ...\n\n${lines.join('\n')}\n\n'mpf help COMMAND' or 'mpf COMMAND --help' describes one. FILE may be - for standard input.\n`
}

function manual(command: Command): string {
  const codes = Object.entries(EXIT).map(
    ([name, code]) => `  ${String(code).padStart(2)}  ${EXIT_MEANING[name as keyof typeof EXIT]}`,
  )
  return `NAME
  mpf ${command.name} - ${command.summary}

SYNOPSIS
  ${command.usage}

DESCRIPTION
${command.help.replace(/^/gm, '  ')}
  --json          machine-readable output
  --settings FILE options from a JSON file; the command line comes first

EXIT CODES
   0  success
   1  a fault of mpf itself (TOOL_FAULT)
${codes.join('\n')}
  docs/errors.md says of each code what to do about it.
`
}
