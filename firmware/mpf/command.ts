/** What every `mpf` command is, and how a failure becomes a message and an exit code. */

import type { ParseArgsOptionsConfig } from 'node:util'
import { ConfigError } from '#config'
import { MpfError, type MpfErrorClass } from '#mpf'

export interface Command {
  readonly name: string
  /** One line for the overview. */
  readonly summary: string
  readonly usage: string
  /** The rest of the help page. */
  readonly help: string
  readonly options: ParseArgsOptionsConfig
  /** Resolves with the exit code. */
  run(context: CommandContext): Promise<number>
}

/** Parsed arguments, with accessors that name the option when it is missing or wrong. */
export interface CommandContext {
  readonly operands: readonly string[]
  readonly isJson: boolean
  text(option: string): string | undefined
  required(option: string): string
  list(option: string): readonly string[]
  /** A whole number within [min, max]. */
  integer(option: string, range: readonly [min: number, max: number], fallback: number): number
  flag(option: string): boolean
  /** Writes a line to standard output. */
  print(line: string): void
  /** Writes a line to standard error. */
  note(line: string): void
}

/** The command line was not understood. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
  readonly code = 'USAGE'
}

/** A key or file the command needs could not be read or written. */
export class ToolError extends Error {
  override readonly name = 'ToolError'
  readonly code: 'TOOL_FILE' | 'TOOL_KEY'

  constructor(code: ToolError['code'], message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.code = code
  }
}

/** Exit codes by error class; 0 is success, 1 an internal error. */
export const EXIT = {
  usage: 2,
  tool: 3,
  FORMAT: 10,
  TRUST: 11,
  ENTITLEMENT: 12,
  KEY: 13,
  INTEGRITY: 14,
  CONTENT: 15,
  STATE: 16,
} as const satisfies Record<MpfErrorClass | 'usage' | 'tool', number>

/** For the manual. */
export const EXIT_MEANING: Readonly<Record<keyof typeof EXIT, string>> = {
  usage: 'the command line was not understood (USAGE)',
  tool: 'a key, configuration or file could not be read or written (TOOL_*, CONFIG_*)',
  FORMAT: 'the file is damaged or no MPF file',
  TRUST: 'its signature, signer or tenant is not to be believed',
  ENTITLEMENT: 'no grant, or one that is over',
  KEY: 'the key does not open it',
  INTEGRITY: 'its bytes are not those that were signed',
  CONTENT: 'the program does what its envelope, or this printer, does not allow',
  STATE: 'reading or writing failed underneath',
}

export function exitCodeOf(error: unknown): number {
  if (error instanceof MpfError) return EXIT[error.errorClass]
  if (error instanceof UsageError) return EXIT.usage
  return error instanceof ToolError || error instanceof ConfigError ? EXIT.tool : 1
}
