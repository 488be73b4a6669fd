/** What every dialect looks like to the print engine: the one face of a motion controller. */

/** One command of a program: `line` counts lines of the sealed text from 1; `text` has no comment, no terminator. */
export interface ProgramLine {
  readonly line: number
  readonly text: string
}

/**
 * Where a program's commands come from, one at a time, each already verified.
 * A promise is returned only while the next block is being opened; `undefined` is the end.
 * A rejection (or throw) means the program cannot be trusted any further: the controller stops feeding and `stream` rejects with it.
 */
export interface LineSource {
  next(): ProgramLine | undefined | Promise<ProgramLine | undefined>
}

/** Degrees Celsius, as last reported. */
export interface Temperature {
  readonly currentC: number
  readonly targetC: number
}

/** Heater name ('hotend', 'hotend1', 'bed', 'chamber') to its temperature. */
export type Temperatures = Readonly<Record<string, Temperature>>

/** Millimetres, as the controller last reported (M114). */
export type Position = Readonly<{ x: number; y: number; z: number; e: number }>

export interface ControllerIdentity {
  readonly dialect: string
  readonly firmware: string
  readonly machine: string
  readonly uuid: string | undefined
  /** Capabilities as announced (M115 `Cap:`), by name. */
  readonly capabilities: Readonly<Record<string, boolean>>
  /** Its port has a DTR line, which resets the boards that are wired for it. */
  readonly hasResetLine?: boolean
}

/** Counters and gauges of the link since it opened. Latencies in milliseconds. */
export interface LinkStatistics {
  readonly linesSent: number
  readonly linesAcked: number
  readonly bytesSent: number
  readonly bytesReceived: number
  readonly resends: number
  readonly inFlightLines: number
  readonly windowLines: number
}

export interface StreamReport {
  /** The last program line the controller executed: the stream has drained (M400 answered). */
  readonly lastLine: number
  readonly lines: number
  readonly position: Position | undefined
}

/** What a controller tells without being asked. */
export type ControllerEvent =
  | { readonly kind: 'temperatures'; readonly temperatures: Temperatures }
  | { readonly kind: 'position'; readonly position: Position }
  | { readonly kind: 'acked'; readonly line: number }
  | { readonly kind: 'busy'; readonly reason: string }
  | { readonly kind: 'resend'; readonly from: number; readonly reason: string }
  | { readonly kind: 'action'; readonly action: string }
  | { readonly kind: 'message'; readonly text: string }
  /** A reply that no line of ours explains. Told at its 1st, 2nd, 4th, 8th... time: `count` is how often so far. */
  | {
      readonly kind: 'suspicious'
      readonly reason: SuspicionReason
      readonly detail: string
      readonly count: number
    }
  /** The port went away and is being looked for; nothing is lost yet. */
  | { readonly kind: 'detached'; readonly error: Error }
  /** The port is back and the controller did not restart: it had received everything before line `from` of the wire. */
  | { readonly kind: 'reattached'; readonly from: number }
  | { readonly kind: 'lost'; readonly error: Error }

/** What a link's ledger may hold against it. */
export type SuspicionReason =
  | 'reply to a line never sent'
  | 'unexpected start'
  | 'forged action'
  | 'line number jumped'

export interface StreamOptions {
  /** Abort = stop feeding now; `stream` rejects with the signal's reason once nothing more will be written. */
  readonly signal: AbortSignal
}

/** An open, identified motion controller. Dispose closes the port without resetting the board. */
export interface Controller extends AsyncDisposable {
  readonly identity: ControllerIdentity
  readonly temperatures: Temperatures
  readonly statistics: LinkStatistics

  /**
   * Sends a program, exactly once each line and in order, and resolves when the last line has been *executed* (drained, final position read).
   * @throws DriverError by code; whatever `source.next()` rejects with; `signal.reason`.
   */
  stream(source: LineSource, options: StreamOptions): Promise<StreamReport>

  /** Stops pulling lines from the running stream; what is in flight still executes. No effect without a stream. */
  hold(): void
  /** Lets a held stream pull again. */
  release(): void

  /**
   * Runs one command outside the program (numbered and checked like any other) and resolves with its reply lines when it is acknowledged.
   * Commands may be issued while a stream runs or is held; they go between program lines, in call order.
   * `silenceMs` bounds the time without any byte; a heating wait may take long as long as the controller keeps talking.
   */
  command(text: string, options?: { readonly signal?: AbortSignal }): Promise<readonly string[]>

  /**
   * The strongest stop this controller has; nothing else can be asked of it afterwards. Resolves once the outcome is known: before the port is
   * closed, which a board that reads no more can hold up for half a minute.
   */
  emergencyStop(): Promise<StopOutcome>
}

/**
 * What an emergency stop is known to have done, best first. 'halted': the firmware said so. 'reset': it said nothing, and its reset
 * line was pulsed. 'unconfirmed': neither.
 */
export const STOP_OUTCOMES = ['halted', 'reset', 'unconfirmed'] as const
export type StopOutcome = (typeof STOP_OUTCOMES)[number]

/** Milliseconds; `undefined` before the first sample. Each is at most 9 % too high, never too low. */
export interface LatencyPercentiles {
  readonly p50Ms: number | undefined
  readonly p99Ms: number | undefined
  readonly p999Ms: number | undefined
  readonly samples: number
}

/** What the link has done since it opened, beyond the plain counters. */
export interface StreamStatistics extends LinkStatistics {
  /** From the read that brought an acknowledgement to the call of the write it made room for. */
  readonly okToWrite: LatencyPercentiles
  /** Share of the wire's capacity used for sending while a program was streamed; `undefined` before the first one. */
  readonly wireUtilisation: number | undefined
  /** Bytes of program text that compaction kept off the wire. */
  readonly savedBytes: number
  /** How often acknowledgements stopped moving for long enough to ask. */
  readonly stalls: number
  /** Free blocks of the controller's planner as last told; its largest value so far means an empty planner. */
  readonly plannerFree: number | undefined
  readonly plannerBlocks: number | undefined
  readonly reattachments: number
  readonly suspicions: Readonly<Partial<Record<SuspicionReason, number>>>
}

/** Verdict of a position audit. Millimetres. */
export type AuditVerdict =
  | { readonly kind: 'agrees'; readonly reported: Position }
  | { readonly kind: 'differs'; readonly reported: Position; readonly deltaMm: Position }
  /** The controller named no position, although asked more than once. */
  | { readonly kind: 'unknown' }

/** One line of a flight record. `text` is given only where it cannot be the print's own. */
export interface FlightEntry {
  /** Monotonic nanoseconds. */
  readonly atNs: bigint
  readonly direction: 'sent' | 'received'
  readonly line: number | undefined
  readonly bytes: number
  readonly text: string | undefined
  /**
   * First 12 hex digits of HMAC-SHA-256 of the line under a key that lives as long as the recorder: equal lines have equal
   * digests, and no dictionary of moves turns one back into its line.
   */
  readonly digest: string
}

/** A controller of this folder: besides printing it can be audited and looked into. */
export interface MotionController extends Controller {
  readonly statistics: StreamStatistics
  /**
   * Compares where the controller believes to be with `expected` (axes left out are not compared). Called from inside
   * `LineSource.next()` it is asked between the line handed over last and the one being handed over; the planner does not drain.
   * What an XOR checksum let through shows here.
   * @throws DriverError by code.
   */
  audit(expected: Partial<Position>, toleranceMm?: number): Promise<AuditVerdict>
  /**
   * Gives `script` and then the program to the firmware's own check mode, as `stream` does, and leaves the mode by a soft reset: nothing
   * moves or heats, the position is kept, the parser's modes and G92 offsets are those of a start.
   * @throws DriverError by code: `DRIVER_COMMAND_REFUSED` with the `line` that the firmware does not take; without one where the firmware
   * has no such mode, is not ready for it, or does not take the script. As `stream`.
   */
  rehearse(
    script: readonly string[],
    source: LineSource,
    options: StreamOptions,
  ): Promise<StreamReport>
  /** The last 64 KiB of both directions, oldest first. Program text is redacted to number, length and digest. */
  flightRecord(): readonly FlightEntry[]
}
