/** What can keep `mpf` from doing what was asked besides the file itself, and the exit codes a script can rely on. */

import { ConfigError } from '#config'
import { MpfError, type MpfErrorClass } from '#mpf'

export type ToolErrorCode =
  | 'TOOL_USAGE' // the command line is not one mpf knows
  | 'TOOL_FILE' // a file could not be read or written
  | 'TOOL_KEY' // a file does not hold the key, or the trust bundle, that is needed
  | 'TOOL_CLOCK' // the clock says what cannot be
  | 'TOOL_FAULT' // a fault of mpf itself

/** What keeps a command from its work, other than the sealed file. */
export class ToolError extends Error {
  override readonly name: string = 'ToolError'
  readonly code: ToolErrorCode

  constructor(code: ToolErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.code = code
  }
}

/** The command line was not understood. */
export class UsageError extends ToolError {
  override readonly name = 'UsageError'

  constructor(message: string, options: { readonly cause?: unknown } = {}) {
    super('TOOL_USAGE', message, options.cause)
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
  usage: 'the command line was not understood (TOOL_USAGE)',
  tool: 'a key, configuration or file could not be read or written, or the clock is wrong (TOOL_*, CONFIG_*)',
  FORMAT: 'the file is damaged or no MPF file',
  TRUST: 'its signature, signer or tenant is not to be believed',
  ENTITLEMENT: 'no grant, or one that is over',
  KEY: 'the key does not open it',
  INTEGRITY: 'its bytes are not those that were signed',
  CONTENT: 'the program does what its envelope, or this printer, does not allow',
  STATE: 'reading or writing failed underneath',
}

/** The code of any error and its exit code; what is not ours is a fault of the tool. */
export function verdictOf(error: unknown): { readonly code: string; readonly exitCode: number } {
  if (error instanceof MpfError) return { code: error.code, exitCode: EXIT[error.errorClass] }
  if (error instanceof UsageError) return { code: error.code, exitCode: EXIT.usage }
  if (error instanceof ToolError || error instanceof ConfigError)
    return { code: error.code, exitCode: EXIT.tool }
  return { code: 'TOOL_FAULT' satisfies ToolErrorCode, exitCode: 1 }
}
