/** What a dialect is: a pure codec, a pure acknowledgement model, and the scripts the one shell runs with them. */
import type { ControllerIdentity } from './controller.ts'
import type { Reply } from './reply.ts'
import type { Tuning } from './tuning.ts'
import type { Acknowledgement, SendWindow, WindowRules } from './window/send-window.ts'
import type { Verdict } from './window/verdict.ts'

/** The names a configuration may use. */
export const DIALECT_NAMES = [
  'marlin',
  'prusa',
  'buddy',
  'grbl',
  'grblhal',
  'klipper',
  'smoothie',
  'reprap',
] as const

/** A dialect by the name the configuration uses. */
export type DialectName = (typeof DIALECT_NAMES)[number]

/** Words sent. Every function is pure; `n` is the line's number in order, whether the wire carries it or not. */
export interface Codec {
  /** Frames a command the driver itself issues. @throws DriverError `DRIVER_LINE_REFUSED`. */
  frameCommand(n: number, text: string): string
  /** Frames one line of a program. @throws DriverError `DRIVER_LINE_REFUSED` for what the wire cannot carry safely. */
  frameProgramLine(n: number, text: string): string
  /** Frames a command of an operator or a script. @throws DriverError `DRIVER_LINE_REFUSED`. */
  frameRequest(n: number, text: string): string
  /** How a command is acknowledged. */
  acknowledgedBy(text: string): Acknowledgement
  /** True for what the controller takes ahead of its queue once its emergency parser is known to exist. */
  isEmergencyCommand(text: string): boolean
  /** How an emergency command is written where a number would hide it (Buddy compares the bare word); default: as any other. */
  readonly isEmergencyBare: boolean
  /** What ends a half line before a repeated one; empty where an empty line would be acknowledged. */
  readonly lineBreak: string
}

/** The first words on an opened port. */
export interface Opening {
  /** Written up to `tuning.handshakeAttempts` times. */
  readonly bytes: string
  /** Whether this reply shows that `bytes` was understood. */
  isAnswer(reply: Reply): boolean
  /** True: wait for the line to fall quiet after the answer, because left-over acknowledgements could be counted. */
  readonly needsQuiet: boolean
  /** Bytes that bring the board back from where a host before us left it, if this reply says so. */
  cure?(reply: Reply): string | undefined
}

/** How the controller is asked who it is. */
export interface Identification {
  /** Asked first: its answer is unmistakable, so a left-over acknowledgement is not counted. */
  readonly sync: string | undefined
  readonly ask: string
  /** The answer sizes the window and carries no check: asked until it comes twice the same. */
  readonly isUnchecked: boolean
  /** `undefined`: not this dialect, or the answer came damaged. */
  identityOf(replies: readonly Reply[]): ControllerIdentity | undefined
  /** What the identity teaches about buffers. */
  learn(identity: ControllerIdentity, window: SendWindow<unknown>, replies: readonly Reply[]): void
}

/** The strongest stop. */
export interface StopProcedure {
  /** Written at once, whatever is queued; `next` is the number in order. */
  bytes(next: number): string
  /** True for the line that proves the halt. */
  isHalted(line: string): boolean
  /** Stops motion but keeps position, then drops what the controller still holds; `undefined`: cannot be done. */
  readonly flush: { readonly hold: string; readonly reset: string } | undefined
}

/** A mode in which the firmware parses what it is sent, answers as ever, and does none of it. */
export interface CheckMode {
  /** Begins it where the machine stands idle. */
  readonly enter: string
  /** What status reports name while it lasts. */
  readonly state: string
  /** Bytes that end it, whatever is queued: a soft reset, told by the greeting. */
  readonly leave: string
  /** True for the halt by which a line is refused there. */
  isRefusal(halt: string): boolean
}

/** One row of the table of dialects. */
export interface Dialect {
  readonly name: DialectName
  readonly tuning: Tuning
  readonly rules: WindowRules
  readonly codec: Codec
  parseReply(line: string): Reply
  /** Applies one reply to the lines in flight. */
  hear(window: SendWindow<unknown>, reply: Reply): Verdict
  /** The firmware may announce `Cap:MEATPACK`. */
  readonly hasMeatPack?: boolean
  readonly opening: Opening
  readonly identification: Identification
  /** What asks a stalled controller how far it is: a line of the program's order, or bytes beside it. */
  readonly probe: { readonly kind: 'line' } | { readonly kind: 'bytes'; readonly bytes: string }
  /** What keeps temperatures and position fresh where the firmware does not report by itself. */
  readonly poll: { readonly kind: 'command'; readonly text: string } | { readonly kind: 'status' }
  /** Resolves when every move has been made. */
  readonly drain: string
  /** `undefined`: read from the status report. */
  readonly positionQuery: string | undefined
  readonly stop: StopProcedure
  readonly checkMode?: CheckMode
  /**
   * The frame whose refusal names the last line received; `'probe'`: the ordinary probe tells as much; `undefined`: after a lost
   * cable nobody can say what arrived, so the print ends.
   */
  reattach(next: number): string | 'probe' | undefined
}
