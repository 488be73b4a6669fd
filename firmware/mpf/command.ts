/** What every `mpf` command is, and how a failure becomes a message and an exit code. */

import type { ParseArgsOptionsConfig } from 'node:util'
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

export function exitCodeOf(error: unknown): number {
  if (error instanceof MpfError) return EXIT[error.errorClass]
  if (error instanceof UsageError) return EXIT.usage
  return error instanceof ToolError ? EXIT.tool : 1
}
