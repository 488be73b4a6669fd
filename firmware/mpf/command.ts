/** What every `mpf` command is. */

import type { ParseArgsOptionsConfig } from 'node:util'

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
