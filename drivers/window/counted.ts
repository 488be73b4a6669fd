/** Acknowledgement model of firmwares that only count: one word for each line, in order (grbl, Klipper). Pure. */
import type { Reply } from '../reply.ts'
import {
  acknowledge,
  acknowledgeFirst,
  acknowledgeNext,
  findInFlight,
  isMoving,
  shrink,
} from './acknowledge.ts'
import { entryOf, type SendWindow } from './send-window.ts'
import { ACKED, NOTHING, type Verdict } from './verdict.ts'

type StatusReply = Extract<Reply, { kind: 'status' }>

/** `ok\r` damaged beyond two characters more may have been an `error:n`, which is not the same at all. */
const MAX_DAMAGED_OK_CHARS = 4
/** A second of standing still, at the five status reports a second that grbl's documentation allows. */
const IDLE_REPORTS_BELIEVED = 5
/** In check mode a machine stands whatever it is sent, and takes each line up at once. */
const CHECKING = 'Check'
const STANDING = /^(?:Idle|Check)/
/** A dwell at least this long could be taken for standing still. */
const LONG_DWELL_S = 0.5

/** Applies one reply. */
export function hearCounted(window: SendWindow<unknown>, reply: Reply): Verdict {
  const { expecting } = window
  window.expecting = 'nothing'
  switch (reply.kind) {
    case 'ok':
      if (expecting === 'bareOk') return NOTHING
      if (entryOf(window, window.acked + 1)?.by !== 'ok')
        window.doubt = 'acknowledged a line never sent'
      return acknowledgeNext(window)
    case 'okTemperatures':
      return acknowledgeFirst(window, 'temperatures')
    case 'refused':
      return hearRefused(window, reply.text, reply.isAcknowledgement)
    case 'unknownCommand':
      return hearUnknown(window)
    case 'status':
      return reconcile(window, reply)
    case 'message':
      window.mayHaveRefused ||= mayHideError(reply.text)
      return NOTHING
    default:
      return NOTHING
  }
}

function hearRefused(
  window: SendWindow<unknown>,
  reason: string,
  isAcknowledgement: boolean,
): Verdict {
  const n = window.acked + 1
  if (n >= window.cursor) return NOTHING
  if (!isAcknowledgement) window.expecting = 'bareOk'
  acknowledge(window, n)
  return { kind: 'refused', n, reason }
}

/**
 * A move is known to all: what is not known is somebody else's on the same terminal, and so is the ok that follows. Of any other word
 * of ours it may be said, or of a line within, for it may be a macro. If no ok follows (said of Klipper's own console), the next M105
 * makes up for the one skipped.
 */
function hearUnknown(window: SendWindow<unknown>): Verdict {
  if (!isMoving(window)) return NOTHING
  window.doubt = 'acknowledged a line never sent'
  window.expecting = 'bareOk'
  return NOTHING
}

/** Damaged line feeds run replies together, their carriage returns still between them; only a status report has bars. */
function mayHideError(text: string): boolean {
  return text.split('\r').some(reply => reply.length > MAX_DAMAGED_OK_CHARS && !reply.includes('|'))
}

/**
 * Acknowledges what a status report proves to have left the receive buffer although its `ok` did not arrive. The report is written
 * after the oks of every line it counts out, so one that is still missing is lost.
 */
function reconcile(window: SendWindow<unknown>, status: StatusReply): Verdict {
  if (status.plannerFree !== undefined) window.plannerFree = status.plannerFree
  const askedAt = window.statusAskedAt
  window.statusAskedAt = undefined
  if (askedAt === undefined || askedAt <= window.acked) return NOTHING
  window.idleReports = STANDING.test(status.state) ? window.idleReports + 1 : 0
  const told = provenLine(window, status, askedAt)
  // Nothing checks a report: what two of them say is believed, as far as the lesser goes.
  const proven = Math.min(told, window.provenBefore)
  window.provenBefore = told
  if (proven <= window.acked) return NOTHING
  if (window.mayHaveRefused)
    return { kind: 'impossible', reason: 'a damaged reply may have been an error' }
  acknowledge(window, proven)
  return shrink(window) ?? ACKED
}

/**
 * A machine that goes on standing although lines were sent has executed them, for it takes a line up at once when it stands; one report
 * alone may come between a line's execution and its ok, and in a dwell it stands on purpose.
 */
function isStanding(window: SendWindow<unknown>, { state }: StatusReply): boolean {
  if (window.idleReports < IDLE_REPORTS_BELIEVED) return false
  if (state === CHECKING) return true
  return findInFlight(window, entry => dwellS(entry.text) >= LONG_DWELL_S) === undefined
}

function dwellS(text: string): number {
  return Number(/^G0?4 ?P([\d.]+)/.exec(text)?.[1] ?? (/^G0?4(?!\d)/.test(text) ? Infinity : 0))
}

function provenLine(window: SendWindow<unknown>, status: StatusReply, askedAt: number): number {
  if (status.receiveFreeBytes === undefined) return provenByLine(window, status, askedAt)
  let waitingBytes = window.ringBytes - status.receiveFreeBytes
  let n = askedAt
  while (n > window.acked && waitingBytes > 0)
    waitingBytes -= entryOf(window, n--)?.frame.length ?? 0
  // One line may have left the buffer and still wait for a free planner block.
  const isDone = isStanding(window, status) && waitingBytes <= 0 && n === askedAt
  return isDone ? n : n - 1
}

/** The line being executed, where it is told: everything before it has been. */
function provenByLine(window: SendWindow<unknown>, status: StatusReply, askedAt: number): number {
  const { line } = status
  if (isStanding(window, status)) return askedAt
  const isInFlight = line !== undefined && line > window.acked && line <= askedAt
  return isInFlight ? line - 1 : window.acked
}
