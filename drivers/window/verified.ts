/**
 * Acknowledgement model of RepRapFirmware: damaged lines are discarded without a word and repeated ones are executed again, so one
 * line is in flight and nothing is repeated before its absence is seen in the reported position. Pure.
 */
import type { Position } from '../controller.ts'
import type { Reply } from '../reply.ts'
import { acknowledge, shrink } from './acknowledge.ts'
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
import { ACKED, NOTHING, PROBE, type Verdict } from './verdict.ts'

/** M114 prints three decimals. */
const TOLERANCE_MM = 0.0015
const MISMATCHES_BELIEVED = 3

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
    case 'message':
      // A position too damaged to read is still followed by its ok.
      if (lastQuery(window) !== undefined) window.expecting = 'bareOk'
      return NOTHING
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
  // Its own ok follows at once and means nothing more.
  window.expecting = 'bareOk'
  const query = lastQuery(window)
  if (query === undefined) return NOTHING
  const before = window.motion ?? UNKNOWN_MOTION
  const oldest = entryOf(window, window.acked + 1)
  const doubtful = oldest?.by === 'position' ? undefined : oldest
  const after = doubtful ? applyMotion(before, doubtful.text) : before
  if (doubtful && !wasExecuted(before, after, position)) {
    if (!isHarmless(before, after, doubtful.text, position)) return mismatch(window)
    window.mismatches = 0
    window.settlingFrom = doubtful.n
    return shrink(window) ?? { kind: 'resend', from: doubtful.n }
  }
  if (!couldBe(after, position, TOLERANCE_MM)) return mismatch(window)
  window.mismatches = 0
  window.motion = withPosition(after, position)
  acknowledge(window, query)
  return doubtful ? (shrink(window) ?? ACKED) : ACKED
}

/** A digit may have been damaged on the way: asked again, and believed when it says so three times. */
function mismatch(window: SendWindow<unknown>): Verdict {
  if (++window.mismatches < MISMATCHES_BELIEVED) return PROBE
  return { kind: 'impossible', reason: 'the reported position fits no line sent' }
}

/** Questions follow each other without anything between: whichever an answer belongs to, it answers them all. */
function lastQuery(window: SendWindow<unknown>): number | undefined {
  for (let n = window.cursor - 1; n > window.acked; n--)
    if (entryOf(window, n)?.by === 'position') return n
  return undefined
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
