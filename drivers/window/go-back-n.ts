/** Acknowledgement model of firmwares that number and check their lines: go-back-N. No clock, no I/O, deterministic. */
import type { Reply } from '../reply.ts'
import {
  acknowledge,
  acknowledgeFirst,
  acknowledgeNext,
  findInFlight,
  shrink,
} from './acknowledge.ts'
import { entryOf, RING_LINES, type SendWindow } from './send-window.ts'
import { LOST, NOTHING, PROBE, type Verdict } from './verdict.ts'

/** Marks repeat after this many lines: far more than can be in flight or in history. */
export const MARK_MODULUS = 10_000
/** Acknowledged entries kept for a firmware that asks further back than was acknowledged (PrusaLink keeps 100). */
const HISTORY_LINES = 128
/** A `Last Line` this far from ours is no damage of a link that otherwise works: somebody else sets the counter. */
const JUMP_LINES = 256

const UNCHECKED_EXECUTION: Verdict = {
  kind: 'impossible',
  reason: 'a line without a number was executed',
}

/** Applies one reply. Everything between the old and the new `acked` was executed. */
export function hearNumbered(window: SendWindow<unknown>, reply: Reply): Verdict {
  const { expecting } = window
  window.expecting = 'nothing'
  if (expecting === 'resend' && reply.kind !== 'resend') return hearLostResend(window, reply)
  switch (reply.kind) {
    case 'ok':
      return expecting === 'bareOk' && reply.line === undefined ? NOTHING : hearOk(window, reply)
    case 'damagedOk':
      return expecting === 'bareOk' ? NOTHING : LOST
    case 'okTemperatures':
      return acknowledgeFirst(window, 'temperatures')
    case 'mark':
      return hearMark(window, reply.tag)
    case 'linkError':
      window.expecting = 'resend'
      window.errorLastLine = reply.lastLine
      return NOTHING
    case 'resend':
      return hearResend(window, reply.from, expecting === 'resend')
    case 'unknownCommand':
      return hearUnknown(window, reply.text)
    default:
      return NOTHING
  }
}

function hearOk(window: SendWindow<unknown>, reply: Reply & { readonly kind: 'ok' }): Verdict {
  if (reply.queueFree !== undefined) learnBuffer(window, reply.queueFree)
  if (reply.plannerFree !== undefined) window.plannerFree = reply.plannerFree
  if (reply.line !== undefined) {
    window.isNumbered = true
    if (reply.line >= window.next) window.doubt = 'acknowledged a line never sent'
    const isInFlight = reply.line > window.acked && reply.line < window.next
    return isInFlight ? acknowledge(window, reply.line) : LOST
  }
  if (window.isNumbered) return reply.queueFree === undefined ? NOTHING : UNCHECKED_EXECUTION
  window.oksSinceMark++
  return acknowledgeNext(window)
}

function hearMark(window: SendWindow<unknown>, tag: number): Verdict {
  const mark = findInFlight(window, entry => entry.by === 'mark' && entry.n % MARK_MODULUS === tag)
  if (mark === undefined) return NOTHING
  // Its own ok follows at once and means nothing more.
  window.expecting = 'bareOk'
  // The tail of a mark, its number lost to the firmware's flush, echoes as well: where `ok N` is said only that proves a line, and
  // what was asked for again has not been executed.
  if (window.isNumbered || mark >= (window.settlingFrom ?? window.next)) return NOTHING
  // Oks get lost on the way but are never added: one too many was the ok of a line that nobody numbered and nothing checked.
  const isProven = !isCounted(window) || window.oksSinceMark < mark - window.lastMark
  // Or this is the echo of the next mark, a digit of it damaged: the one after decides, for every ok is counted until then.
  if (!isProven && isMarkAfter(window, mark)) {
    window.expecting = 'nothing'
    return LOST
  }
  window.lastMark = mark
  window.oksSinceMark = 0
  return isProven ? acknowledge(window, mark) : UNCHECKED_EXECUTION
}

/** Another mark was written after this one. */
function isMarkAfter(window: SendWindow<unknown>, mark: number): boolean {
  for (let n = mark + 1; n < window.cursor; n++) if (entryOf(window, n)?.by === 'mark') return true
  return false
}

function hearUnknown(window: SendWindow<unknown>, text: string): Verdict {
  for (let n = window.acked + 1; n < window.next; n++)
    if (entryOf(window, n)?.text === text) {
      if (entryOf(window, n)?.by === 'mark') return hearMark(window, n % MARK_MODULUS)
      return NOTHING
    }
  const n = findInFlight(window, entry => isCollision(text, entry.text))
  if (n !== undefined) {
    window.expecting = 'bareOk'
    acknowledge(window, n)
    return { kind: 'refused', n, reason: 'damaged on the way, with the same checksum' }
  }
  // A line that lost its number, or the tail of one cut by the firmware's own flush: never sent like this, so its ok acknowledges nothing.
  window.expecting = 'bareOk'
  return LOST
}

/** Two flips in one bit column pass an XOR checksum: the line had its number, so it was taken, and is no command any more. */
function isCollision(heard: string, sent: string): boolean {
  return isSameXor(heard, sent) || isSameXor(heard, ` ${sent}`)
}

function isSameXor(heard: string, sent: string): boolean {
  if (heard.length !== sent.length) return false
  let xor = 0
  for (let i = 0; i < heard.length; i++) xor ^= heard.charCodeAt(i) ^ sent.charCodeAt(i)
  return xor === 0
}

/** `B` never exceeds BUFSIZE-1, the slot of the acknowledged line itself: believed once it was said twice. */
function learnBuffer(window: SendWindow<unknown>, queueFree: number): void {
  const lines = Math.min(queueFree + 1, window.limits.maxBufferLines)
  if (lines > window.bufferLines && lines === window.reportedLines) window.bufferLines = lines
  if (lines >= window.reportedLines) window.reportedLines = lines
  else if (window.reportedLines > window.bufferLines) window.reportedLines = 0
}

function hearResend(window: SendWindow<unknown>, from: number, wasAnnounced: boolean): Verdict {
  if (window.rules.okAfterResend !== 'never') window.expecting = 'bareOk'
  const isConfirmed = wasAnnounced && window.errorLastLine === from - 1
  if (isConfirmed && Math.abs(from - window.next) > JUMP_LINES) window.doubt = 'line number jumped'
  return requestRewind(window, from, isConfirmed)
}

/** The Error line came, its Resend did not (or came damaged): the Error line says the same. */
function hearLostResend(window: SendWindow<unknown>, reply: Reply): Verdict {
  if (reply.kind !== 'ok') window.expecting = 'bareOk'
  if (window.errorLastLine === undefined) return PROBE
  return requestRewind(window, window.errorLastLine + 1, false)
}

function requestRewind(window: SendWindow<unknown>, from: number, isConfirmed: boolean): Verdict {
  if (!isPlausible(window, from)) {
    if (!isConfirmed) return PROBE
    const objection = objectionTo(window, from)
    if (objection) return objection
  }
  // Each stale line of the window asks again for the same: one rewind answers them all.
  if (window.settlingFrom === from) return NOTHING
  const isRepeat = window.settlingFrom !== undefined
  window.settlingFrom = from
  if (isRepeat) return NOTHING
  return shrink(window) ?? { kind: 'resend', from }
}

/** Between the oldest line in flight and the next; where the firmware checks every number, as far back as its own history goes. */
function isPlausible(window: SendWindow<unknown>, from: number): boolean {
  if (from > window.next) return false
  if (from > window.acked) return true
  return (
    from >= window.next - window.rules.historyLines &&
    isKept(window, from) &&
    !isRestart(window, from)
  )
}

/** Why a request that Error and Resend agree on still cannot be answered. */
function objectionTo(window: SendWindow<unknown>, from: number): Verdict | undefined {
  if (from > window.next)
    return { kind: 'impossible', reason: `line ${from} asked, ${window.next} is next` }
  if (isRestart(window, from))
    return { kind: 'restarted', reason: `line 1 asked after ${window.acked}` }
  // Counted oks only get lost; one too many belongs to a line that nothing checked. A damaged `ok N` is repaired instead.
  if (!window.isNumbered && isCounted(window)) return UNCHECKED_EXECUTION
  if (!isKept(window, from))
    return { kind: 'impossible', reason: `line ${from} asked, too long ago` }
  return undefined
}

function isKept(window: SendWindow<unknown>, from: number): boolean {
  return window.next - from < RING_LINES && window.acked - from < HISTORY_LINES
}

/** Every ok since the last mark belongs to a line of the window. */
function isCounted(window: SendWindow<unknown>): boolean {
  return window.lastMark >= window.uncountedAt
}

/** A board whose restart went unheard asks for line 1: answering it would print the beginning again, cold. */
function isRestart(window: SendWindow<unknown>, from: number): boolean {
  return from === 1 && window.acked > window.bufferLines
}
