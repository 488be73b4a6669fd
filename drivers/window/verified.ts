/**
 * Acknowledgement model of RepRapFirmware: damaged lines are discarded without a word and repeated ones are executed again, so one
 * line is in flight and nothing is repeated before its absence is seen in the reported position. Pure.
 */
import type { Position } from '../controller.ts'
import type { Reply } from '../reply.ts'
import { acknowledge, findInFlight, shrink } from './acknowledge.ts'
import {
  applyMotion,
  couldBe,
  isRepeatable,
  isUnknown,
  type MotionState,
  UNKNOWN_MOTION,
  withPosition,
} from './motion-state.ts'
import { entryOf, type SendWindow } from './send-window.ts'
import { ACKED, NOTHING, type Verdict } from './verdict.ts'

/** M114 prints three decimals. */
const TOLERANCE_MM = 0.0015

/** Applies one reply. */
export function hearVerified(window: SendWindow<unknown>, reply: Reply): Verdict {
  const { expecting } = window
  window.expecting = 'nothing'
  switch (reply.kind) {
    case 'ok':
      if (expecting === 'bareOk') return NOTHING
      if (window.acked + 1 >= window.cursor) window.doubt = 'acknowledged a line never sent'
      return entryOf(window, window.acked + 1)?.by === 'ok' ? executed(window) : NOTHING
    case 'okTemperatures':
      // A later answer proves nothing of the line before it: that one may have been discarded.
      return entryOf(window, window.acked + 1)?.by === 'temperatures' ? executed(window) : NOTHING
    case 'position':
      return hearPosition(window, reply.position)
    case 'unknownCommand':
      // Never sent: the tail of a line cut by noise, whose ok acknowledges nothing.
      if (entryOf(window, window.acked + 1)?.text !== reply.text) window.expecting = 'bareOk'
      return NOTHING
    case 'refused':
      return hearRefused(window, reply.text)
    default:
      return NOTHING
  }
}

function executed(window: SendWindow<unknown>): Verdict {
  const n = window.acked + 1
  const text = entryOf(window, n)?.text
  if (n >= window.cursor || text === undefined) return NOTHING
  window.motion = applyMotion(window.motion ?? UNKNOWN_MOTION, text)
  return acknowledge(window, n)
}

function hearRefused(window: SendWindow<unknown>, reason: string): Verdict {
  const n = window.acked + 1
  if (n >= window.cursor) return NOTHING
  window.expecting = 'bareOk'
  window.motion = undefined
  acknowledge(window, n)
  return { kind: 'refused', n, reason }
}

function hearPosition(window: SendWindow<unknown>, position: Position): Verdict {
  const query = findInFlight(window, entry => entry.by === 'position')
  if (query === undefined || query >= window.cursor) return NOTHING
  // Its own ok follows at once and means nothing more.
  window.expecting = 'bareOk'
  const before = window.motion ?? UNKNOWN_MOTION
  const doubtful = entryOf(window, window.acked + 1)
  const isDoubted = doubtful !== undefined && doubtful.n < query && doubtful.by !== 'position'
  const after = isDoubted ? applyMotion(before, doubtful.text) : before
  if (isDoubted && !wasExecuted(before, after, position)) {
    const mayRepeat = isHarmless(before, after, doubtful.text, position)
    if (!mayRepeat)
      return { kind: 'impossible', reason: 'position fits neither before nor after a lost line' }
    window.settlingFrom = doubtful.n
    return shrink(window) ?? { kind: 'resend', from: doubtful.n }
  }
  window.motion = withPosition(after, position)
  acknowledge(window, query)
  if (!isDoubted) return ACKED
  return shrink(window) ?? ACKED
}

/** The position has left where the line began and is where it ends. An effect that is not known fits every position. */
function wasExecuted(before: MotionState, after: MotionState, position: Position): boolean {
  return (
    !isUnknown(after) &&
    !couldBe(before, position, TOLERANCE_MM) &&
    couldBe(after, position, TOLERANCE_MM)
  )
}

/** The line certainly was not executed, or doing it twice is the same as once. */
function isHarmless(
  before: MotionState,
  after: MotionState,
  text: string,
  position: Position,
): boolean {
  if (isUnknown(after)) return isRepeatable(before, text)
  if (!couldBe(before, position, TOLERANCE_MM)) return false
  return !couldBe(after, position, TOLERANCE_MM) || isRepeatable(before, text)
}
