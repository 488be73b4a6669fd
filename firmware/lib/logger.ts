/** The engineers' log: one JSON object a line on stderr. May be lost; what may not be lost is an event. */

import { pino } from 'pino'

export type LogFields = Readonly<Record<string, unknown>>

/** Fields first, one sentence second. Never a line of a program, never a key, never a title. */
export interface Logger {
  debug(fields: LogFields, message: string): void
  info(fields: LogFields, message: string): void
  warn(fields: LogFields, message: string): void
  error(fields: LogFields, message: string): void
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent'

/** A logger that has written before it returns, so that the last line before a crash is there. */
export function createLogger(options: { readonly name: string; readonly level: LogLevel }): Logger {
  const destination = pino.destination({ dest: 2, sync: true })
  // A reader of the log that went away (EPIPE) must not end a print.
  destination.on('error', () => undefined)
  return pino(
    {
      name: options.name,
      level: options.level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
    },
    destination,
  )
}
