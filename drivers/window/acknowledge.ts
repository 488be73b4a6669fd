/** What every acknowledgement model shares: moving `acked` forward, rewinding, growing and shrinking the window. Pure. */

import { type Acknowledgement, type Entry, entryOf, type SendWindow } from './send-window.ts'
import { ACKED, NOTHING, type Verdict } from './verdict.ts'

/** So many lines without damage: a link that damages one in twenty has been found out. */
const CLEAN_LINES = 64
/** Above the threshold the window grows by one line in this many acknowledgements. */
const CAUTIOUS_GROWTH_LINES = 256

/** Takes every line up to `through` as executed. */
export function acknowledge(window: SendWindow<unknown>, through: number): Verdict {
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
  window.mayHaveRefused = false
  window.idleReports = 0
  grow(window, lines)
  return ACKED
}

/** Counting: an ok more than there are lines, or one for a line that announces itself, is no acknowledgement. */
export function acknowledgeNext(window: SendWindow<unknown>): Verdict {
  const n = window.acked + 1
  if (n >= window.cursor || entryOf(window, n)?.by !== 'ok') return NOTHING
  return acknowledge(window, n)
}

/** Commands are executed in order: an answer that names its line acknowledges every line before it. */
export function acknowledgeFirst(window: SendWindow<unknown>, by: Acknowledgement): Verdict {
  const n = findInFlight(window, entry => entry.by === by)
  return n === undefined ? NOTHING : acknowledge(window, n)
}

/** The oldest line in flight is a move: that has no answer but its ok. */
export function isMoving(window: SendWindow<unknown>): boolean {
  return /^G[0-3](?!\d)/.test(entryOf(window, window.acked + 1)?.text ?? '')
}

/** The oldest line in flight that `isIt`. */
export function findInFlight(
  window: SendWindow<unknown>,
  isIt: (entry: Entry<unknown>) => boolean,
): number | undefined {
  for (let n = window.acked + 1; n < window.next; n++) {
    const entry = entryOf(window, n)
    if (entry && isIt(entry)) return n
  }
  return undefined
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

/** A repetition began: one line at a time from here, and above the noise limit the link is given up. */
export function shrink(window: SendWindow<unknown>): Verdict | undefined {
  window.resends++
  window.thresholdLines = isCutting(window) ? 1 : Math.max(1, Math.floor(window.windowLines / 2))
  window.windowLines = 1
  window.cleanAcks = 0
  window.noiseLevel++
  if (window.noiseLevel > window.limits.noiseBurst)
    return { kind: 'noise', resends: window.resends }
  return undefined
}

/** The controller dropped whatever it held: nothing is in flight any more, and nothing of it was executed. */
export function forgetInFlight(window: SendWindow<unknown>): void {
  window.acked = window.next - 1
  window.received = window.acked
  window.cursor = window.next
  window.outstandingBytes = 0
  window.settlingFrom = undefined
  window.statusAskedAt = undefined
  window.expecting = 'nothing'
  window.windowLines = 1
}

/**
 * Marlin and its like empty the receive ring with each error. A line that is arriving then loses its head, number and all, and the tail
 * of a move is a move that nothing checks: until a link is known to be clean, and once it is known not to be, one line is on the wire.
 */
function isCutting({ rules }: SendWindow<unknown>): boolean {
  return rules.okAfterResend !== 'never'
}

function grow(window: SendWindow<unknown>, lines: number): void {
  window.cleanAcks += lines
  if (window.windowLines >= window.bufferLines) return
  if (window.windowLines < window.thresholdLines) {
    if (!isCutting(window) || window.cleanAcks >= CLEAN_LINES) window.windowLines++
  } else if (window.cleanAcks >= CAUTIOUS_GROWTH_LINES) {
    window.cleanAcks = 0
    window.windowLines++
  }
}
