/** What can keep mpfctl from doing what was asked, and the exit codes a script can rely on. */

export const CTL_ERROR_CODES = [
  'CTL_USAGE', // the command line is not one mpfctl knows
  'CTL_UNREACHABLE', // nothing listens on the control socket
  'CTL_FORBIDDEN', // this user may not open the control socket
  'CTL_TIMEOUT', // the core did not answer in time
  'CTL_DISCONNECTED', // the core closed the connection before it answered
  'CTL_PROTOCOL', // the answer is not one this mpfctl understands
  'CTL_TELEMETRY', // the courier's record of what it sent cannot be read
  'CTL_REFUSED', // the core refused; `coreCode` says why
] as const

export type CtlErrorCode = (typeof CTL_ERROR_CODES)[number]

/** Documented in every `--help`; a script may branch on them. */
export const EXIT = {
  ok: 0,
  usage: 2,
  unreachable: 3,
  refused: 4,
  jobEnded: 5,
  unverified: 6,
  /** 128 + SIGINT, as shells have it. */
  interrupted: 130,
} as const

export type ExitCode = (typeof EXIT)[keyof typeof EXIT]

/** What mpfctl tells instead of an answer. For CTL_REFUSED `coreCode` is the stable code of the core's refusal. */
export class CtlError extends Error {
  override readonly name = 'CtlError'
  readonly code: CtlErrorCode
  readonly coreCode: string | undefined

  constructor(
    code: CtlErrorCode,
    message: string,
    options: { readonly coreCode?: string; readonly cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.coreCode = options.coreCode
  }

  /** The code a person looks up: the core's own where it refused. */
  get shownCode(): string {
    return this.coreCode ?? this.code
  }
}

/** A fault of the connection and the error it came from. */
export function ctlFault(code: CtlErrorCode, message: string, cause: unknown): CtlError {
  return new CtlError(code, message, { cause })
}

/** The exit code of an error; anything that is not ours is a bug and not handled here. */
export function exitCodeOf(error: CtlError): ExitCode {
  if (error.code === 'CTL_USAGE') return EXIT.usage
  if (error.code === 'CTL_REFUSED') return EXIT.refused
  return EXIT.unreachable
}
