/** What Marlin's replies mean for the lines in flight: go-back-N, no clock, no I/O, deterministic. */
import { MARK_MODULUS } from './codec.ts'
import type { Reply } from './replies.ts'
import { type Entry, entryOf, RING_LINES, type SendWindow } from './window-state.ts'

/** What the owner of the window does next. */
export type Verdict =
  | { readonly kind: 'nothing' }
  /** `acked` moved. */
  | { readonly kind: 'acked' }
  /** Write nothing for the settle time, then call {@link settle}. */
  | { readonly kind: 'resend'; readonly from: number }
  /** The reply cannot be right: ask again with a numbered line of its own. */
  | { readonly kind: 'probe' }
  | { readonly kind: 'noise'; readonly resends: number }
  /** No history of a well-behaved link leads here. */
  | { readonly kind: 'impossible'; readonly reason: string }

/** Acknowledged entries kept for a firmware that asks further back than was acknowledged (PrusaLink keeps 100). */
const HISTORY_LINES = 128
/** Above the threshold the window grows by one line in this many acknowledgements. */
const CAUTIOUS_GROWTH_LINES = 64

const NOTHING: Verdict = { kind: 'nothing' }
const ACKED: Verdict = { kind: 'acked' }
const PROBE: Verdict = { kind: 'probe' }
const UNCHECKED_EXECUTION: Verdict = {
  kind: 'impossible',
  reason: 'a line without a number was executed',
}

/** Applies one reply. Everything between the old and the new `acked` was executed. */
export function hear(window: SendWindow<unknown>, reply: Reply): Verdict {
  const { expecting } = window
  window.expecting = 'nothing'
  if (expecting === 'resend' && reply.kind !== 'resend') return hearLostResend(window, reply)
  switch (reply.kind) {
    case 'ok':
      return expecting === 'bareOk' && reply.line === undefined ? NOTHING : hearOk(window, reply)
    case 'okTemperatures':
      return hearTemperatures(window)
    case 'mark':
      return hearMark(window, reply.tag)
    case 'linkError':
      window.expecting = 'resend'
      window.errorLastLine = reply.lastLine
      return NOTHING
    case 'resend': {
      window.expecting = 'bareOk'
      const isConfirmed =
        expecting === 'resend' &&
        window.errorLastLine !== undefined &&
        window.errorLastLine + 1 === reply.from
      return requestRewind(window, reply.from, isConfirmed)
    }
    case 'unknownCommand':
      return hearUnknown(window, reply.text)
    default:
      return NOTHING
  }
}

/** The settle time is over: rewinds to the line the firmware asked for, one line at a time from here. */
export function settle(window: SendWindow<unknown>): void {
  const from = window.settlingFrom
  if (from === undefined) return
  window.settlingFrom = undefined
  if (from <= window.acked) window.acked = from - 1
  window.received = from - 1
  window.cursor = from
  window.outstandingBytes = 0
}

function hearOk(window: SendWindow<unknown>, reply: Reply & { readonly kind: 'ok' }): Verdict {
  if (reply.queueFree !== undefined) learnBuffer(window, reply.queueFree)
  if (reply.line !== undefined) {
    window.isNumbered = true
    const isInFlight = reply.line > window.acked && reply.line < window.next
    return isInFlight ? acknowledge(window, reply.line) : NOTHING
  }
  if (window.isNumbered) return reply.queueFree === undefined ? NOTHING : UNCHECKED_EXECUTION
  window.oksSinceMark++
  // Counting: an ok more than there are lines, or one for a line that announces itself, is no acknowledgement.
  const n = window.acked + 1
  if (n >= window.cursor || entryOf(window, n)?.by !== 'ok') return NOTHING
  return acknowledge(window, n)
}

function hearMark(window: SendWindow<unknown>, tag: number): Verdict {
  const mark = findInFlight(window, entry => entry.by === 'mark' && entry.n % MARK_MODULUS === tag)
  if (mark === undefined) return NOTHING
  if (!window.isNumbered) {
    // Its own ok follows at once and means nothing more.
    window.expecting = 'bareOk'
    // Oks get lost on the way but are never added: one too many was the ok of a line that nobody numbered and nothing checked.
    const isProven = window.lastMark === 0 || window.oksSinceMark < mark - window.lastMark
    window.lastMark = mark
    window.oksSinceMark = 0
    if (!isProven) return UNCHECKED_EXECUTION
  }
  return acknowledge(window, mark)
}

function hearUnknown(window: SendWindow<unknown>, text: string): Verdict {
  for (let n = window.acked + 1; n < window.next; n++)
    if (entryOf(window, n)?.text === text) {
      if (entryOf(window, n)?.by === 'mark') return hearMark(window, n % MARK_MODULUS)
      return NOTHING
    }
  // The tail of a line cut by the firmware's own flush: never sent by us, so its ok acknowledges nothing.
  window.expecting = 'bareOk'
  return NOTHING
}

function findInFlight(
  window: SendWindow<unknown>,
  isIt: (entry: Entry<unknown>) => boolean,
): number | undefined {
  for (let n = window.acked + 1; n < window.next; n++) {
    const entry = entryOf(window, n)
    if (entry && isIt(entry)) return n
  }
  return undefined
}

/** Commands are executed in order: an answer that names its line acknowledges every line before it. */
function hearTemperatures(window: SendWindow<unknown>): Verdict {
  const n = findInFlight(window, entry => entry.by === 'temperatures')
  return n === undefined ? NOTHING : acknowledge(window, n)
}

function acknowledge(window: SendWindow<unknown>, through: number): Verdict {
  const lines = through - window.acked
  for (let n = window.received + 1; n <= through && n < window.cursor; n++)
    window.outstandingBytes -= entryOf(window, n)?.frame.length ?? 0
  window.acked = through
  if (window.received < through) window.received = through
  if (window.cursor <= through) {
    // The firmware had more than a damaged Resend made us believe.
    window.cursor = through + 1
    window.outstandingBytes = 0
  }
  if (window.settlingFrom !== undefined && window.settlingFrom <= through)
    window.settlingFrom = undefined
  window.noiseLevel = Math.max(0, window.noiseLevel - lines * window.limits.noiseResendsPerLine)
  grow(window, lines)
  return ACKED
}

function grow(window: SendWindow<unknown>, lines: number): void {
  window.cleanAcks += lines
  if (window.windowLines >= window.bufferLines) return
  if (window.windowLines < window.thresholdLines) window.windowLines++
  else if (window.cleanAcks >= CAUTIOUS_GROWTH_LINES) {
    window.cleanAcks = 0
    window.windowLines++
  }
}

/** `B` never exceeds BUFSIZE-1, the slot of the acknowledged line itself: believed once it was said twice. */
function learnBuffer(window: SendWindow<unknown>, queueFree: number): void {
  const lines = Math.min(queueFree + 1, window.limits.maxBufferLines)
  if (lines > window.bufferLines && lines === window.reportedLines) window.bufferLines = lines
  if (lines >= window.reportedLines) window.reportedLines = lines
  else if (window.reportedLines > window.bufferLines) window.reportedLines = 0
}

/** The Error line came, its Resend did not (or came damaged): the Error line says the same. */
function hearLostResend(window: SendWindow<unknown>, reply: Reply): Verdict {
  if (reply.kind !== 'ok') window.expecting = 'bareOk'
  if (window.errorLastLine === undefined) return PROBE
  return requestRewind(window, window.errorLastLine + 1, false)
}

function requestRewind(window: SendWindow<unknown>, from: number, isConfirmed: boolean): Verdict {
  const isSane = from > window.acked && from <= window.next
  if (!isSane && !isConfirmed) return PROBE
  if (!isSane) {
    if (from > window.next)
      return { kind: 'impossible', reason: `line ${from} asked, ${window.next} is next` }
    // Counted oks only get lost; one too many belongs to a line that nothing checked. A damaged `ok N` is repaired instead.
    if (!window.isNumbered && window.lastMark > 0) return UNCHECKED_EXECUTION
    const isKept = window.next - from < RING_LINES && window.acked - from < HISTORY_LINES
    if (!isKept) return { kind: 'impossible', reason: `line ${from} asked, too long ago` }
  }
  // Each stale line of the window asks again for the same: one rewind answers them all.
  if (window.settlingFrom === from) return NOTHING
  const isRepeat = window.settlingFrom !== undefined
  window.settlingFrom = from
  if (isRepeat) return NOTHING
  window.resends++
  window.thresholdLines = Math.max(1, Math.floor(window.windowLines / 2))
  window.windowLines = 1
  window.cleanAcks = 0
  window.noiseLevel++
  if (window.noiseLevel > window.limits.noiseBurst)
    return { kind: 'noise', resends: window.resends }
  return { kind: 'resend', from }
}
