/**
 * Acknowledgement model of RepRapFirmware: damaged lines are discarded without a word and repeated ones are executed again, so one
 * line is in flight and nothing is repeated before its absence is seen in the reported position. Pure.
 */
import type { Position } from '../controller.ts'
import type { Reply } from '../reply.ts'
import { acknowledge, isMoving, shrink } from './acknowledge.ts'
import {
  applyMotion,
  couldBe,
  isRepeatable,
  isUnknown,
  type MotionState,
  UNKNOWN_MOTION,
  withPosition,
} from './motion-state.ts'
import { type Entry, entryOf, type SendWindow } from './send-window.ts'
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
      return expecting === 'bareOk' ? NOTHING : hearOk(window)
    case 'okTemperatures':
      // A later answer proves nothing of the line before it: that one may have been discarded.
      return entryOf(window, window.acked + 1)?.by === 'temperatures' ? executed(window) : NOTHING
    case 'position':
      return hearPosition(window, reply.position)
    case 'message':
      // A position or a refusal too damaged to read is still followed by its ok.
      if (window.answersOwed > 0 || isMoving(window)) window.expecting = 'bareOk'
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

function hearOk(window: SendWindow<unknown>): Verdict {
  if (window.acked + 1 >= window.cursor) window.doubt = 'acknowledged a line never sent'
  if (entryOf(window, window.acked + 1)?.by !== 'ok') return NOTHING
  // It may follow a position that was lost on the way.
  return window.staleAnswers > 0 ? PROBE : executed(window)
}

function executed(window: SendWindow<unknown>): Verdict {
  const n = window.acked + 1
  const text = entryOf(window, n)?.text
  if (n >= window.cursor || text === undefined) return NOTHING
  window.motion = applyMotion(window.motion ?? UNKNOWN_MOTION, text)
  forgetStaleAnswers(window)
  return acknowledge(window, n)
}

/** Answers come in order: after the line's own, none is of a question asked before it. */
function forgetStaleAnswers(window: SendWindow<unknown>): void {
  window.answersOwed -= window.staleAnswers
  window.staleAnswers = 0
}

/** One answer came; true when the line written last may not have been there yet when it was asked for. */
function takeAnswer(window: SendWindow<unknown>): boolean {
  const isStale = window.staleAnswers > 0
  if (isStale) window.staleAnswers--
  if (window.answersOwed > 0) window.answersOwed--
  return isStale
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
  const isStale = takeAnswer(window)
  const query = lastQuery(window)
  if (query === undefined) return NOTHING
  const before = window.motion ?? UNKNOWN_MOTION
  const oldest = entryOf(window, window.acked + 1)
  if (oldest && oldest.by !== 'position')
    return judge(window, { oldest, before, position, isStale, query })
  if (!couldBe(before, position, TOLERANCE_MM)) return mismatch(window, before, position)
  return settleAt(window, before, position, query)
}

interface Told {
  readonly oldest: Entry<unknown>
  readonly before: MotionState
  readonly position: Position
  readonly isStale: boolean
  readonly query: number
}

/** Whether the line in flight was executed, by where the machine stands. */
function judge(window: SendWindow<unknown>, told: Told): Verdict {
  const { oldest, before, position, isStale, query } = told
  const after = applyMotion(before, oldest.text)
  if (!isToldTwice(window, position)) return PROBE
  if (!wasExecuted(before, after, position)) {
    if (isStale) return window.answersOwed > 0 ? NOTHING : PROBE
    if (!isHarmless(before, after, oldest.text, position)) return mismatch(window, before, position)
    window.mismatches = 0
    window.settlingFrom = oldest.n
    return shrink(window) ?? { kind: 'resend', from: oldest.n }
  }
  forgetStaleAnswers(window)
  settleAt(window, after, position, query)
  return shrink(window) ?? ACKED
}

function settleAt(
  window: SendWindow<unknown>,
  motion: MotionState,
  position: Position,
  query: number,
): Verdict {
  window.mismatches = 0
  window.motion = withPosition(motion, position)
  return acknowledge(window, query)
}

/** A digit may have been damaged on the way: asked again, and believed when it says so three times. */
function mismatch(window: SendWindow<unknown>, before: MotionState, position: Position): Verdict {
  if (++window.mismatches < MISMATCHES_BELIEVED) return PROBE
  const isElsewhere = !couldBe(before, position, TOLERANCE_MM)
  if (isElsewhere && couldBe(withoutOrigin(before, position), position, TOLERANCE_MM))
    return { kind: 'restarted', reason: 'it stands at an origin that nothing sent it to' }
  return { kind: 'impossible', reason: 'the reported position fits no line sent' }
}

/** One damaged digit could make another place of it. */
function isToldTwice(window: SendWindow<unknown>, { x, y, z, e }: Position): boolean {
  const told = `${x} ${y} ${z} ${e}`
  const isSame = window.positionTold === told
  window.positionTold = told
  return isSame
}

/** Where a machine may be whose axes began anew at zero: those it stands at zero of say nothing. */
function withoutOrigin(motion: MotionState, { x, y, z, e }: Position): MotionState {
  return {
    ...motion,
    x: x === 0 ? undefined : motion.x,
    y: y === 0 ? undefined : motion.y,
    z: z === 0 ? undefined : motion.z,
    e: e === 0 ? undefined : motion.e,
  }
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
