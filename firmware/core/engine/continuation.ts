/** How an interrupted print goes on: from which line, and what brings the machine back there first. */

import type { Position } from '#drivers'
import { MODAL_BIT } from '#mpf'
import type { OpenedPrint } from '../admission/opened-print.ts'
import type { ResumePoint } from '../admission/resume-point.ts'
import { CoreError } from '../errors.ts'
import type { JobRecord } from '../journal/job-record.ts'
import type { Journal } from '../journal/journal.ts'
import { type DialectWords, wordsOf } from './dialect-words.ts'
import type { Machine } from './machine.ts'
import type { ModalTracker } from './modal-tracker.ts'

/** Marlin Configuration_adv.h, BLOCK_BUFFER_SIZE: so many acknowledged moves may have been lost with the power. */
const PLANNER_COMMANDS = 16
const CLEAR_MM = 5
const NM_PER_MM = 1e6
/** What a controller reports for a place it was told may differ by its steps. */
const STEP_MM = 0.02
const KNOWN = MODAL_BIT.knownX | MODAL_BIT.knownY | MODAL_BIT.knownZ

export interface Continuation {
  /** The last line taken as executed. */
  readonly line: number
  readonly position: Position
  /** Of the machine, in millimetres: nothing is lifted above it. */
  readonly heightMm: number
  readonly isSameBoot: boolean
  /** The controller did not lose power: it reports the height the program left it at, or higher. */
  readonly isPositionKept: boolean
  /** The controller itself says that `line` was the last; otherwise what was executed after it is printed again. */
  readonly isExact: boolean
}

export interface ContinuationParts {
  readonly journal: Journal
  readonly machine: Machine
  readonly heightMm: number
}

/** @throws CoreError JOB_NOT_RESUMABLE; MpfError, DriverError by code; `signal.reason`. */
export async function planContinuation(
  job: JobRecord,
  print: OpenedPrint,
  { journal, machine, heightMm }: ContinuationParts,
  signal: AbortSignal,
): Promise<Continuation> {
  const isSameBoot = journal.isSameBoot(job)
  const reported = isSameBoot ? await machine.position(signal) : undefined
  const standing = reported && (await print.standingLine(job.ackedLine, reported, signal))
  const last = await print.resumePoint(standing ?? job.ackedLine, 0, signal)
  const zMm = last.modal.zNm / NM_PER_MM
  const isPositionKept = reported !== undefined && zMm > STEP_MM && reported.z >= zMm - STEP_MM
  if (!isPositionKept && !wordsOf(machine.controller.identity).setHeight)
    throw new CoreError('JOB_NOT_RESUMABLE', 'this controller cannot be told where it stands')
  const point = isPositionKept
    ? last
    : await print.resumePoint(job.ackedLine, PLANNER_COMMANDS, signal)
  const isExact = isPositionKept && standing !== undefined
  if ((point.modal.bits & KNOWN) !== KNOWN)
    throw new CoreError(
      'JOB_NOT_RESUMABLE',
      `the place of the head at line ${point.line} is unknown`,
    )
  const { line } = point
  return { line, position: positionOf(point), heightMm, isSameBoot, isPositionKept, isExact }
}

/** From cold or warm to the place of the print, heat as it was; `recover` is the printer's own script. */
export function continuationCommands(
  { position, heightMm, isPositionKept }: Continuation,
  tracker: ModalTracker,
  recover: readonly string[],
  words: DialectWords,
): readonly string[] {
  const clearMm = Math.max(0, Math.min(CLEAR_MM, heightMm - position.z))
  return [
    ...tracker.recoverCommands(position.z, clearMm, isPositionKept ? undefined : words.setHeight),
    ...recover,
    ...tracker.restoreCommands(position, words),
  ]
}

function positionOf({ modal }: ResumePoint): Position {
  const { xNm, yNm, zNm, eNm } = modal
  const [x, y, z, e] = [xNm / NM_PER_MM, yNm / NM_PER_MM, zNm / NM_PER_MM, eNm / NM_PER_MM]
  return { x, y, z, e }
}
