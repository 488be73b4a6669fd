/** What is in flight to a controller: lines in order, kept for a resend, and whether there is room for more. No clock, no I/O. */
import type { MotionState } from './motion-state.ts'

export interface WindowLimits {
  /** Lines the firmware queues (BUFSIZE) as assumed until it tells. */
  readonly bufferLines: number
  readonly maxBufferLines: number
  /** Bytes its receive ring holds. */
  readonly ringBytes: number
  readonly noiseBurst: number
  readonly noiseResendsPerLine: number
}

/** How a firmware of the numbering kind differs from the next. */
export interface WindowRules {
  /** The bare `ok` after a Resend: Buddy may leave it out, Smoothie always does. */
  readonly okAfterResend: 'always' | 'maybe' | 'never'
  /** How far behind the next line an unannounced Resend may ask: MK3 goes back to lines it had acknowledged. 0 = never. */
  readonly historyLines: number
  /** What proves the count of acknowledgements. */
  readonly mark: 'echo' | 'temperatures' | 'position' | 'none'
}

/** How an entry is acknowledged: `temperatures` only by `ok T:`, `position` by its report, `mark` by its own echo, the rest by `ok`. */
export type Acknowledgement = 'ok' | 'temperatures' | 'position' | 'mark'

/** One numbered line, kept until long after it is acknowledged. */
export interface Entry<Owner> {
  readonly n: number
  text: string
  frame: string
  by: Acknowledgement
  owner: Owner
}

/** Entries remembered, in flight and acknowledged: a power of two far above any window. */
export const RING_LINES = 512
const MASK = RING_LINES - 1

/** Owned and changed by one driver; read freely, change only through the functions of this file and window.ts. */
export interface SendWindow<Owner> {
  readonly limits: WindowLimits
  rules: WindowRules
  readonly entries: (Entry<Owner> | undefined)[]
  /** Every line up to this number was executed. */
  acked: number
  /** Every line up to this number was at least received (a Resend said so); never below `acked`. */
  received: number
  /** The number written next; below `next` while rewound. */
  cursor: number
  /** The number the next new line gets. */
  next: number
  /** Bytes of the lines in (received, cursor). */
  outstandingBytes: number
  /** Bytes its receive ring holds; learnt where the firmware tells. */
  ringBytes: number
  windowLines: number
  thresholdLines: number
  cleanAcks: number
  bufferLines: number
  reportedLines: number
  /**
   * Queue slots left free: 1 where no emergency parser reads the receive ring, for there an M112 acts only once it has left the ring,
   * which a full queue behind an M109 would not let it.
   */
  reservedLines: number
  /** True once an `ok N` was seen: from then on bare oks mean nothing. */
  isNumbered: boolean
  /** A Resend was accepted and the stale lines of the window are still arriving. */
  settlingFrom: number | undefined
  /** What the very next reply must be, for Marlin prints error, Resend and its bare ok in one breath. */
  expecting: 'nothing' | 'resend' | 'bareOk'
  errorLastLine: number | undefined
  /** Marks prove the count: the last one heard (0 = none yet), and the plain oks counted since. */
  lastMark: number
  oksSinceMark: number
  /** The line before which something went out without a number, whose ok nobody can tell: no count across it is proved. */
  uncountedAt: number
  resends: number
  noiseLevel: number
  /** The last line written before the status report that was asked for; `undefined`: none is awaited. */
  statusAskedAt: number | undefined
  /** Status reports in a row that say the machine stands, since the last acknowledgement. */
  idleReports: number
  /** The line that the status report before the last proves executed. */
  provenBefore: number
  /** Free planner blocks as last told. */
  plannerFree: number | undefined
  /** Why the last reply looks wrong, for the ledger; taken and cleared by the shell. */
  doubt: Doubt | undefined
  /** Where the acknowledged lines have brought the machine; kept only by models that verify by position. */
  motion: MotionState | undefined
  /** Positions in a row that fit no line sent. */
  mismatches: number
  /** Questions for the position whose answers may still come, and how many of them were asked before the line written last. */
  answersOwed: number
  staleAnswers: number
  /** The position told last, since a line was written that may change it. */
  positionTold: string | undefined
  /** A reply that was no word of the dialect, and may have been a refusal, came since the last acknowledgement. */
  mayHaveRefused: boolean
}

/** A reply that no line of ours explains. */
export type Doubt = 'acknowledged a line never sent' | 'line number jumped'

/** Rules of a mainline Marlin 2. */
const MARLIN_RULES: WindowRules = { okAfterResend: 'always', historyLines: 0, mark: 'echo' }

/** An empty window whose first line will be number 1 (after `M110 N0`). */
export function createWindow<Owner>(
  limits: WindowLimits,
  rules: WindowRules = MARLIN_RULES,
): SendWindow<Owner> {
  return {
    limits,
    rules,
    entries: new Array<Entry<Owner> | undefined>(RING_LINES).fill(undefined),
    acked: 0,
    received: 0,
    cursor: 1,
    next: 1,
    outstandingBytes: 0,
    ringBytes: limits.ringBytes,
    windowLines: 1,
    thresholdLines: limits.maxBufferLines,
    cleanAcks: 0,
    bufferLines: limits.bufferLines,
    reportedLines: 0,
    reservedLines: 1,
    isNumbered: false,
    settlingFrom: undefined,
    expecting: 'nothing',
    errorLastLine: undefined,
    lastMark: 0,
    oksSinceMark: 0,
    uncountedAt: 1,
    resends: 0,
    noiseLevel: 0,
    statusAskedAt: undefined,
    idleReports: 0,
    provenBefore: 0,
    plannerFree: undefined,
    doubt: undefined,
    motion: undefined,
    mismatches: 0,
    answersOwed: 0,
    staleAnswers: 0,
    positionTold: undefined,
    mayHaveRefused: false,
  }
}

/** Lines written and not known to be executed. */
export function inFlightLines(window: SendWindow<unknown>): number {
  return window.next - 1 - window.acked
}

/** Lines that may be in flight now. */
export function limitLines(window: SendWindow<unknown>): number {
  return Math.max(1, Math.min(window.windowLines, window.bufferLines - window.reservedLines))
}

/** Whether a frame of `bytes` may be written now: by lines, by bytes of the receive ring, and not while settling. */
export function hasRoom(window: SendWindow<unknown>, bytes: number): boolean {
  if (window.settlingFrom !== undefined) return false
  const lines = window.cursor - 1 - window.received
  if (lines === 0) return true
  return lines < limitLines(window) && window.outstandingBytes + bytes <= window.ringBytes
}

/** Takes what was written as received, until a Resend says otherwise: there is room for the line that finds out. */
export function trust(window: SendWindow<unknown>): void {
  window.received = window.cursor - 1
  window.outstandingBytes = 0
}

/** True when the next frame to write is an old one. */
export function isRewound(window: SendWindow<unknown>): boolean {
  return window.cursor < window.next
}

/** Takes a new frame as written. The caller has checked {@link hasRoom} and {@link isRewound} (a probe needs only the latter). */
export function append<Owner>(
  window: SendWindow<Owner>,
  line: { readonly text: string; readonly frame: string; readonly by: Acknowledgement },
  owner: Owner,
): Entry<Owner> {
  const entry: Entry<Owner> = { n: window.next, ...line, owner }
  window.entries[entry.n & MASK] = entry
  window.next++
  noteWritten(window, entry)
  return entry
}

/** The rewound entry that is written next, taken as written; `undefined` when there is none. Check {@link hasRoom} with {@link peek}. */
export function takeRewound<Owner>(window: SendWindow<Owner>): Entry<Owner> | undefined {
  const entry = peek(window)
  if (entry) noteWritten(window, entry)
  return entry
}

function noteWritten(window: SendWindow<unknown>, { by, frame }: Entry<unknown>): void {
  window.cursor++
  window.outstandingBytes += frame.length
  if (by === 'position') {
    window.answersOwed++
    return
  }
  window.staleAnswers = window.answersOwed
  window.positionTold = undefined
}

/** The rewound entry that would be written next. */
export function peek<Owner>(window: SendWindow<Owner>): Entry<Owner> | undefined {
  return isRewound(window) ? entryOf(window, window.cursor) : undefined
}

/** The entry numbered `n`, as long as it is in flight or in history. */
export function entryOf<Owner>(window: SendWindow<Owner>, n: number): Entry<Owner> | undefined {
  const entry = window.entries[n & MASK]
  return entry?.n === n ? entry : undefined
}
