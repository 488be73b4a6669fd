/** What a command of mpfctl is: its words for the manual, its options, and what it does with a connection. */

import type { Advisor } from '#lib/advice.ts'
import type { Clock } from '#lib/clock.ts'
import type { CtlClient } from './client.ts'
import { CtlError, type ExitCode } from './errors.ts'
import type { Terminal } from './terminal.ts'

/** One option: how it is parsed and how the manual names it. */
export interface OptionSpec {
  readonly type: 'boolean' | 'string'
  /** The manual's word for the value, e.g. `N`. */
  readonly value?: string
  readonly help: string
}

export type OptionTable = Readonly<Record<string, OptionSpec>>

/** All a command may use. */
export interface CommandContext {
  readonly operands: readonly string[]
  readonly options: Readonly<Record<string, string | boolean | undefined>>
  readonly isJson: boolean
  readonly terminal: Terminal
  readonly clock: Clock
  readonly advisor: Advisor
  /** Aborts on SIGINT and SIGTERM. */
  readonly signal: AbortSignal
  /** Opens the control socket; the connection is closed when the command ends. */
  connect(): Promise<CtlClient>
}

export interface Command {
  readonly name: string
  /** The manual's synopsis after the name, e.g. `[JOB]`. */
  readonly operands: string
  readonly maxOperands: number
  readonly summary: string
  /** Paragraphs of the manual. */
  readonly description: readonly string[]
  readonly options: OptionTable
  /** @throws CtlError */
  run(context: CommandContext): Promise<ExitCode>
}

/** The value of an option that takes one. */
export function textOption(context: CommandContext, name: string): string | undefined {
  const value = context.options[name]
  return typeof value === 'string' ? value : undefined
}

/** A whole number from 0, or undefined when the option is absent. @throws CtlError CTL_USAGE */
export function numberOption(context: CommandContext, name: string): number | undefined {
  const value = textOption(context, name)
  if (value === undefined) return undefined
  if (!/^\d{1,15}$/.test(value))
    throw new CtlError('CTL_USAGE', `--${name}: not a number: ${value}`)
  return Number(value)
}

/** Lines, each ended. */
export function writeLines(terminal: Terminal, lines: readonly string[]): void {
  terminal.write(lines.map(line => `${line}\n`).join(''))
}
