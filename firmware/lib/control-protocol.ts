/** The words spoken on the control socket: JSON-RPC 2.0, one object a line. Shared by the core and its clients; what the courier alone may ask is in courier-protocol.ts. */

export type JobState =
  | 'received' // in the spool, not yet checked
  | 'ready' // every check passed; may be started
  | 'refused' // a check failed; never printed
  | 'printing'
  | 'paused'
  | 'interrupted' // the core or the power went away; `print.resume` goes on with it, `print.cancel` ends it
  | 'done' // drained: the controller executed the last line
  | 'cancelled'
  | 'failed' // stopped by a fault; `code` says which

export type JobOrigin = 'usb' | 'local' | 'cloud'

/** Heater name to degrees Celsius. */
export type HeaterReadings = Readonly<
  Record<string, { readonly currentC: number; readonly targetC: number }>
>

/** What a running print is doing, finer than its state: `pausing` is still `printing` until the machine stands. */
const PHASES = ['printing', 'pausing', 'paused', 'resuming', 'ending'] as const
/** `rehearsing` is still `ready`: the controller checks the program, nothing moves. */
export const PRINT_PHASES = ['rehearsing', ...PHASES] as const
export type PrintPhase = (typeof PRINT_PHASES)[number]

export interface JobProgress {
  /** Last program line the controller acknowledged, and lines in all (lines of the sealed text, comments included). */
  readonly line: number
  readonly lines: number
  readonly layer: number
  readonly layers: number
  readonly percent: number
  /** Seconds left as estimated, or null while unknown. */
  readonly timeLeftS: number | null
  /** What a running print is doing; absent, like what follows, for jobs that are not running. */
  readonly phase?: PrintPhase
  /** As the program last asked for; null before it did. */
  readonly feedMmPerMin?: number | null
  readonly fanPercent?: number | null
}

export interface JobView {
  readonly id: string
  /** The name of the file as it was on the stick: local display only. */
  readonly name: string
  readonly state: JobState
  readonly origin: JobOrigin
  readonly sizeBytes: number
  readonly fileId: string | null
  readonly title: string | null
  readonly receivedAtMs: number
  readonly startedAtMs: number | null
  readonly endedAtMs: number | null
  /** Why it was refused or failed: a stable code of docs/errors.md and one sentence of fact. */
  readonly code: string | null
  readonly message: string | null
  readonly progress: JobProgress
  /** Which use of the grant this print is (1 = first), null until charged; and the uses granted (0 = unlimited). */
  readonly use: number | null
  readonly usesGranted: number | null
}

export interface ControllerView {
  readonly name: string
  readonly role: 'motion' | 'fibre' | 'chamber'
  readonly connected: boolean
  /** Why it is not connected, as far as it is known: a stable code of docs/errors.md and one sentence of fact. */
  readonly fault?: { readonly code: string; readonly message: string } | null
  readonly firmware: string | null
  readonly temperatures: HeaterReadings
  readonly linesSent: number
  readonly resends: number
  readonly inFlightLines: number
  readonly windowLines: number
  /** Null while it is not connected. */
  readonly link: LinkView | null
}

/** How a controller's link does since it was opened; null where nothing was measured yet or the firmware does not tell. */
export interface LinkView {
  /** Milliseconds from the read that brought an acknowledgement to the write it made room for. */
  readonly okToNextMs: {
    readonly p50: number | null
    readonly p99: number | null
    readonly p999: number | null
  }
  /** Share of the wire's capacity used while a program was streamed. */
  readonly wireUtilisation: number | null
  /** Free blocks of the controller's planner, and their largest number so far: both the same means a planner that ran dry. */
  readonly plannerFree: number | null
  readonly plannerBlocks: number | null
  readonly stalls: number
  readonly reattachments: number
  readonly bytesSent: number
  readonly bytesReceived: number
  /** Kept off the wire by compaction. */
  readonly savedBytes: number
}

/** What the controller wants a person for. Texts are the firmware's own, shortened; local display only. */
export interface AttentionView {
  readonly reason: string
  readonly prompt: {
    readonly text: string
    /** Answered by their number, from 0. */
    readonly choices: readonly string[]
    readonly isShown: boolean
  } | null
}

export interface PrinterView {
  readonly printer: string
  readonly serial: string
  readonly version: string
  readonly state: 'idle' | 'printing' | 'paused' | 'interrupted' | 'offline' | 'wiped'
  readonly job: JobView | null
  readonly controllers: readonly ControllerView[]
  readonly queue: { readonly ready: number; readonly received: number }
  readonly spool: { readonly usedBytes: number; readonly capBytes: number }
  readonly events: { readonly lastSequence: number }
  readonly clock: { readonly nowMs: number; readonly quality: string }
  readonly attention?: AttentionView | null
  /** Codes of what is wrong just now, though prints go on. */
  readonly alarms?: readonly string[]
}

/** One entry of the event log. `hash` chains: SHA-256 over the previous hash and this entry's canonical bytes. */
export interface EventView {
  readonly sequence: number
  readonly atMs: number
  readonly type: string
  readonly severity: 'info' | 'notice' | 'warning' | 'error' | 'critical'
  readonly job: string | null
  readonly code: string | null
  readonly message: string
  readonly detail: Readonly<Record<string, unknown>>
  readonly hash: string
  /** Quality of the clock at `atMs`; part of what `hash` covers. */
  readonly clock?: string
}

/** One layer of a report: what it asks of the wire beside what the wire gives. */
export interface LayerView {
  readonly layer: number
  readonly lines: number
  readonly timeS: number
  readonly neededLinesPerS: number
  readonly peakLinesPerS: number
  readonly linkLinesPerS: number
  readonly verdict: 'flows' | 'tight' | 'stutters'
}

/** What a print will take. Heating and homing are in no time given. */
export interface PrintReportView {
  readonly job: string
  readonly timeS: number
  readonly dwellS: number
  readonly lines: number
  readonly commands: number
  readonly extrusionMoves: number
  readonly travelMoves: number
  readonly filamentMoves: number
  /** By tool, T0 to T3. */
  readonly filamentUm: readonly number[]
  /** Box of what is extruded, X, Y, Z; null when nothing is. */
  readonly boxUm: { readonly min: readonly number[]; readonly max: readonly number[] } | null
  readonly baud: number
  readonly verdict: LayerView['verdict']
  /** For people: the worst layer and what would help. */
  readonly sentences: readonly string[]
  readonly layers: readonly LayerView[]
}

/** Requests a client may make: parameters and results by method. */
export interface ControlMethods {
  readonly status: { readonly params: Record<string, never>; readonly result: PrinterView }
  readonly 'jobs.list': {
    readonly params: { readonly state?: JobState }
    readonly result: { readonly jobs: readonly JobView[] }
  }
  readonly 'jobs.show': { readonly params: { readonly job: string }; readonly result: JobView }
  /** Computed at admission; after a restart of the core by reading the file again. */
  readonly 'jobs.report': {
    readonly params: { readonly job: string }
    readonly result: PrintReportView
  }
  /** The toolpath as a picture: base64, at most 200 kB before it. Of one layer, or of the whole part. */
  readonly 'jobs.preview': {
    readonly params: {
      readonly job: string
      readonly view?: 'isometric' | 'top'
      readonly layer?: number
    }
    readonly result: { readonly type: string; readonly bytes: string }
  }
  /** `job` may be any unambiguous prefix of an id; without one the only ready job is meant. */
  readonly 'print.start': { readonly params: { readonly job?: string }; readonly result: JobView }
  readonly 'print.pause': { readonly params: Record<string, never>; readonly result: JobView }
  readonly 'print.resume': { readonly params: Record<string, never>; readonly result: JobView }
  readonly 'print.cancel': { readonly params: { readonly job?: string }; readonly result: JobView }
  readonly 'print.stop': { readonly params: Record<string, never>; readonly result: JobView | null }
  /** Answers the controller's prompt. */
  readonly 'print.respond': {
    readonly params: { readonly choice: number }
    readonly result: { readonly choice: number }
  }
  readonly 'events.list': {
    readonly params: { readonly after?: number; readonly limit?: number }
    readonly result: { readonly events: readonly EventView[] }
  }
  readonly 'events.verify': {
    readonly params: Record<string, never>
    readonly result: {
      readonly entries: number
      readonly intact: boolean
      readonly brokenAt: number | null
    }
  }
  /** After the answer, the connection also carries `progress` (PrinterView) and `event` (EventView) notifications. */
  readonly watch: { readonly params: Record<string, never>; readonly result: PrinterView }
}

export type ControlMethod = keyof ControlMethods

/** JSON-RPC error codes: the standard ones, and -32000 for every refusal of ours, whose stable code is in `data.code`. */
export const RPC = {
  parseError: -32700,
  invalidRequest: -32600,
  methodNotFound: -32601,
  invalidParams: -32602,
  internalError: -32603,
  refused: -32000,
} as const
