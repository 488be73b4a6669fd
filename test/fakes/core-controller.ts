/** A motion controller without a wire: executes what it is handed, one line a step, and remembers every word. */
import {
  type ControllerEvent,
  comparePositions,
  joinControllers,
  type LineSource,
  type MotionController,
  type Position,
  type PrinterControllers,
  type StopOutcome,
  type StreamOptions,
  type StreamReport,
} from '#drivers'

export interface FakeController extends MotionController {
  /** Everything executed, program lines and commands, in order. */
  readonly executed: string[]
  /** What it was given to check only. */
  readonly rehearsed: string[]
  /** Program lines executed so far. */
  readonly printed: number
  /** Lets `lines` more program lines run; without an argument, all of them. */
  allow(lines?: number): void
  /** Resolves when the stream has stopped for want of allowance, is held, or has ended. */
  settled(): Promise<void>
  /** Makes the stream fail as a broken link would. */
  fail(error: Error): void
  /** Makes the next command equal to `text` fail. */
  refuse(text: string, error: Error): void
  readonly isStopped: boolean
  /** False: it never says where it is. */
  hasPosition: boolean
  /** What an emergency stop of it is known to have done. */
  stopOutcome: StopOutcome
  /** Where it says that it is; undefined: wherever it is expected to be, or at the end of a bench's pause. */
  place: Position | undefined
  onEvent: (event: ControllerEvent) => void
}

const PARKED: Position = { x: 10, y: 20, z: 0.4, e: 1.25 }

export function fakeController(): FakeController {
  const executed: string[] = []
  const rehearsed: string[] = []
  const refused = new Map<string, Error>()
  let allowed = 0
  let printed = 0
  let isHeld = false
  let isStopped = false
  let failure: Error | undefined
  let wake = Promise.withResolvers<void>()
  let isResting = false
  const poke = () => {
    wake.resolve()
    wake = Promise.withResolvers()
  }
  const stop = () => (isHeld || printed >= allowed) && failure === undefined

  async function waitWhileResting(signal: AbortSignal): Promise<void> {
    while (stop() && !signal.aborted) {
      isResting = true
      await wake.promise
    }
    isResting = false
    if (signal.aborted) throw signal.reason
    if (failure) throw failure
  }

  const controller: FakeController = {
    executed,
    rehearsed,
    onEvent: () => undefined,
    hasPosition: true,
    stopOutcome: 'halted',
    place: undefined,
    get printed() {
      return printed
    },
    get isStopped() {
      return isStopped
    },
    allow(lines) {
      allowed = lines === undefined ? Number.POSITIVE_INFINITY : printed + lines
      isResting = false
      poke()
    },
    async settled() {
      while (!isResting) await new Promise(resolve => setImmediate(resolve))
    },
    fail(error) {
      failure = error
      poke()
    },
    refuse: (text, error) => void refused.set(text, error),
    identity: {
      dialect: 'marlin',
      firmware: 'Fake 1',
      machine: 'desk',
      uuid: undefined,
      capabilities: {},
    },
    temperatures: { hotend: { currentC: 200, targetC: 200 } },
    statistics: {
      linesSent: 0,
      linesAcked: 0,
      bytesSent: 0,
      bytesReceived: 0,
      resends: 0,
      inFlightLines: 0,
      windowLines: 4,
      okToWrite: { p50Ms: 0.1, p99Ms: 0.4, p999Ms: 2, samples: 9 },
      wireUtilisation: 0.5,
      stalls: 0,
      savedBytes: 0,
      plannerFree: undefined,
      plannerBlocks: undefined,
      reattachments: 0,
      suspicions: {},
    },
    async stream(source: LineSource, { signal }: StreamOptions): Promise<StreamReport> {
      signal.addEventListener('abort', poke)
      let lastLine = 0
      try {
        for (;;) {
          await waitWhileResting(signal)
          const line = await source.next()
          if (!line) break
          executed.push(line.text)
          printed += 1
          lastLine = line.line
          controller.onEvent({ kind: 'acked', line: line.line })
        }
        return { lastLine, lines: printed, position: undefined }
      } finally {
        isResting = true
      }
    },
    async rehearse(script, source, options) {
      const { signal } = options
      signal.addEventListener('abort', poke)
      rehearsed.push(...script)
      let lastLine = 0
      try {
        for (;;) {
          await waitWhileResting(signal)
          const line = await source.next()
          if (!line) break
          const error = refused.get(line.text)
          if (error) throw error
          rehearsed.push(line.text)
          lastLine = line.line
          controller.onEvent({ kind: 'acked', line: lastLine })
        }
        return { lastLine, lines: rehearsed.length - script.length, position: undefined }
      } finally {
        isResting = true
      }
    },
    hold() {
      isHeld = true
    },
    release() {
      isHeld = false
      poke()
    },
    async command(text, options) {
      options?.signal?.throwIfAborted()
      const error = refused.get(text)
      if (error) {
        refused.delete(text)
        throw error
      }
      executed.push(text)
      return ['ok']
    },
    async audit(expected, toleranceMm) {
      const reported = controller.place ?? { ...PARKED, ...expected }
      return comparePositions(expected, controller.hasPosition ? reported : undefined, toleranceMm)
    },
    flightRecord: () => [],
    async emergencyStop() {
      isStopped = true
      controller.fail(new Error('stopped'))
      return controller.stopOutcome
    },
    async [Symbol.asyncDispose]() {
      poke()
    },
  }
  return controller
}

/** The only controller of a printer. */
export function alone(
  controller: MotionController,
  onEvent: (event: ControllerEvent) => void = () => undefined,
): Promise<PrinterControllers> {
  const route = { tools: [], commands: [], freeCommands: [] }
  const open = async () => controller
  return joinControllers([{ name: 'motion', role: 'motion', ...route, open }], onEvent)
}
