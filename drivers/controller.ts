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
  | { readonly kind: 'lost'; readonly error: Error }

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

  /** The strongest stop this controller has: emergency bytes, then close. Resolves when nothing can be in flight any more. */
  emergencyStop(): Promise<void>
}
