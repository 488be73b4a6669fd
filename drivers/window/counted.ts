/** Acknowledgement model of firmwares that only count: one word for each line, in order (grbl, Klipper). Pure. */
import type { Reply } from '../reply.ts'
import { acknowledge, acknowledgeFirst, acknowledgeNext, shrink } from './acknowledge.ts'
import { entryOf, type SendWindow } from './send-window.ts'
import { ACKED, NOTHING, type Verdict } from './verdict.ts'

type StatusReply = Extract<Reply, { kind: 'status' }>

/** `ok\r` damaged beyond two characters more may have been an `error:n`, which is not the same at all. */
const MAX_DAMAGED_OK_CHARS = 4

/** Applies one reply. */
export function hearCounted(window: SendWindow<unknown>, reply: Reply): Verdict {
  const { expecting } = window
  window.expecting = 'nothing'
  switch (reply.kind) {
    case 'ok':
      if (expecting === 'bareOk') return NOTHING
      if (window.acked + 1 >= window.cursor) window.doubt = 'acknowledged a line never sent'
      return acknowledgeNext(window)
    case 'okTemperatures':
      return acknowledgeFirst(window, 'temperatures')
    case 'refused':
      return hearRefused(window, reply.text, reply.isAcknowledgement)
    case 'status':
      return reconcile(window, reply)
    case 'message':
      window.damagedReplyChars = Math.max(window.damagedReplyChars, reply.text.length)
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
 * Acknowledges what a status report proves to have left the receive buffer although its `ok` did not arrive. The report is written
 * after the oks of every line it counts out, so one that is still missing is lost.
 */
function reconcile(window: SendWindow<unknown>, status: StatusReply): Verdict {
  if (status.plannerFree !== undefined) window.plannerFree = status.plannerFree
  const askedAt = window.statusAskedAt
  window.statusAskedAt = undefined
  if (askedAt === undefined || askedAt <= window.acked) return NOTHING
  const proven = provenLine(window, status, askedAt)
  if (proven <= window.acked) return NOTHING
  if (window.damagedReplyChars > MAX_DAMAGED_OK_CHARS)
    return { kind: 'impossible', reason: 'a damaged reply may have been an error' }
  acknowledge(window, proven)
  return shrink(window) ?? ACKED
}

function provenLine(window: SendWindow<unknown>, status: StatusReply, askedAt: number): number {
  // The line being executed: everything before it has been.
  const byNumber =
    status.line !== undefined && status.line > window.acked && status.line <= askedAt
      ? status.line - 1
      : window.acked
  if (status.receiveFreeBytes === undefined) return byNumber
  let waitingBytes = window.ringBytes - status.receiveFreeBytes
  let n = askedAt
  while (n > window.acked && waitingBytes > 0)
    waitingBytes -= entryOf(window, n--)?.frame.length ?? 0
  // One line may have left the buffer and still wait for a free planner block.
  const isDone = status.state.startsWith('Idle') && waitingBytes <= 0 && n === askedAt
  return Math.max(byNumber, isDone ? n : n - 1)
}
