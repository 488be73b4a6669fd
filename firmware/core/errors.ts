/** What the core itself can refuse or fail at: one class, stable codes. The file format and the drivers have their own. */

/** Every code of the core. docs/errors.md says for each what the operator does. */
export const CORE_ERROR_CODES = [
  'INTAKE_PLAINTEXT', // an unsealed print file on the stick
  'INTAKE_NOT_REGULAR', // a link, directory or device named like a print file
  'INTAKE_SIZE', // empty, or larger than one print file may be
  'INTAKE_INTERRUPTED', // the stick went away in the middle of the copy
  'INTAKE_CHANGED', // the file changed while it was being copied
  'SPOOL_FULL', // the spool's own limit leaves no room for the file
  'SPOOL_RESERVE', // the disk's free-space reserve leaves no room for the file
  'SPOOL_IO', // the spool could not be written or read
  'JOB_UNKNOWN', // no job has this id
  'JOB_AMBIGUOUS', // several jobs fit what was named
  'JOB_STATE', // the job's state does not allow what was asked
  'JOB_NONE_READY', // no job is ready to print
  'JOB_CANCELLED', // cancelled by a person
  'JOB_STOPPED', // emergency stop by a person
  'JOB_INTERRUPTED', // the core ended in the middle of the print
  'JOB_NOT_RESUMABLE', // nobody can say where the interrupted print stood
  'JOB_FILE_LOST', // the spool no longer holds the job's file
  'PRINTER_BUSY', // a print is running
  'PRINTER_IDLE', // no print is running
  'PRINTER_OFFLINE', // the motion controller is not connected
  'PRINTER_NO_PROMPT', // the controller shows no prompt with this choice
  'PRINTER_POSITION', // the controller is not where the program brought it
  'PRINTER_REFUSED_PROGRAM', // the controller does not take a line of the program in its check mode
  'PRINTER_RELAY', // the safety relay's file could not be written
  'PRINTER_SCRIPT', // a script of the printer's configuration was not carried out
  'THERMAL_RUNAWAY', // a heater rose beyond its target
  'THERMAL_NOT_HEATING', // a heater does not rise towards its target
  'THERMAL_FALLING', // a heater lost its target
  'THERMAL_SENSOR', // a sensor reports what cannot be
  'THERMAL_SILENT', // no temperature was reported while a heater is on
  'THERMAL_LIMIT', // above what the printer's profile allows
  'ADMISSION_FAULT', // the check itself could not be carried out
  'REPORT_UNAVAILABLE', // a report or preview was asked of a file that cannot be read now
  'CONTROL_SOCKET', // the control socket could not be opened
  'CONTROL_CLIENTS', // more clients than the control socket serves
  'KEYS_MODE', // a private key's file can be read by others
  'KEYS_UNREADABLE', // a key or the trust bundle is missing or not what it should be
  'TRUST_ROLLBACK', // the trust bundle is older than one that was believed before
  'JOURNAL_IN_USE', // another core runs on the same state directory
  'JOURNAL_CORRUPT', // the journal's database is damaged
  'JOURNAL_FOREIGN', // the file is not a journal of this program, or of a newer one
  'JOURNAL_WRITE', // a record could not be made durable
  'INTAKE_EVENTS_FULL', // the store of unsent events is full: no new job
  'INTAKE_GRANT', // named like a grant, and not one
  'PRINTER_LOCKED', // locked by a signed command
  'PRINTER_HELD', // what it keeps is held as evidence
  'PRINTER_RETIRED', // out of service: retired or wiped
  'COMMAND_MALFORMED', // not a command of this version
  'COMMAND_SIGNATURE', // not signed by a trusted command key
  'COMMAND_PRINTER', // for another printer or tenant
  'COMMAND_ROLE', // the signer may not ask for this
  'COMMAND_SIGNERS', // needs two authorities
  'COMMAND_EXPIRED', // too old, too early, too long-lived, or no clock to tell
  'COMMAND_REPLAY', // its counter or id was used before
  'COMMAND_ARGS', // the verb does not take these arguments
  'COMMAND_INTERRUPTED', // the core ended while it was carried out
  'COMMAND_UNSUPPORTED', // a verb this printer cannot carry out yet
] as const

export type CoreErrorCode = (typeof CORE_ERROR_CODES)[number]

/** A refusal or fault of the core. The message states what and numbers, never content of the part. */
export class CoreError extends Error {
  override readonly name = 'CoreError'
  readonly code: CoreErrorCode

  constructor(code: CoreErrorCode, message: string, options: { readonly cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
  }
}

/** A fault of the core and the error it came from. */
export function coreFault(code: CoreErrorCode, message: string, cause: unknown): CoreError {
  return new CoreError(code, message, { cause })
}
