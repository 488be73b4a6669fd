/** What can be wrong with the configuration: one class, two codes. */

export const CONFIG_ERROR_CODES = [
  'CONFIG_UNREADABLE', // the file is missing, too large, or may not be read
  'CONFIG_INVALID', // not JSON, or a key is unknown, missing or out of its range
] as const

export type ConfigErrorCode = (typeof CONFIG_ERROR_CODES)[number]

/** A configuration the program cannot start with. The message names the key path and what is expected there. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly code: ConfigErrorCode

  constructor(code: ConfigErrorCode, message: string, options: { readonly cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
  }
}

/** A fault of reading the configuration and the error it came from. */
export function configFault(code: ConfigErrorCode, message: string, cause: unknown): ConfigError {
  return new ConfigError(code, message, { cause })
}
