/** What ended a print, as it is recorded, and whether the print may go on after it. Pure. */

import { DriverError } from '#drivers'
import { MpfError } from '#mpf'
import { CoreError } from '../errors.ts'
import type { EndReason } from '../journal/job-record.ts'

/** What ends a print without anybody or anything having judged it: it may go on. */
const INTERRUPTIONS: ReadonlySet<string> = new Set([
  'JOB_INTERRUPTED',
  'DRIVER_PORT_LOST',
  'DRIVER_RESET',
  'DRIVER_SILENT',
])

/** The file passed preflight: a different reading now means other bytes. */
export function endReasonOf(error: unknown): EndReason {
  if (error instanceof MpfError) {
    const isFileFault = error.errorClass !== 'STATE' && error.errorClass !== 'ENTITLEMENT'
    const code = isFileFault ? 'MPF_CHANGED_MEDIA' : error.code
    return { code, message: `${error.code}: ${error.message}`, line: error.line }
  }
  if (error instanceof DriverError)
    return { code: error.code, message: error.message, line: error.line }
  if (error instanceof CoreError) return { code: error.code, message: error.message }
  return { code: 'JOB_INTERRUPTED', message: 'a fault of the core itself' }
}

/** False for a fault of the core itself. */
export function isForeseen(error: unknown): boolean {
  return error instanceof MpfError || error instanceof DriverError || error instanceof CoreError
}

/** True when nothing but a link or a power supply ended it. */
export function isInterruption(error: unknown): boolean {
  return isForeseen(error) && INTERRUPTIONS.has(endReasonOf(error).code)
}
