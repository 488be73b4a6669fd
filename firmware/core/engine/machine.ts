/** The printer's motion controller over the life of the core: opened, watched, opened again, and made safe. */

import type { Controller, ControllerEvent, FlightEntry, MotionController, Position } from '#drivers'
import type { Clock } from '#lib/clock.ts'
import type { ControllerView } from '#lib/control-protocol.ts'
import type { Logger } from '#lib/logger.ts'
import { CoreError } from '../errors.ts'
import type { Journal } from '../journal/journal.ts'
import { type StopLayer, stopLayersOf } from './stop-layers.ts'
import { withTimeLimit } from './time-limit.ts'

/** Opens and identifies the controller; events go to `onEvent` until it is disposed. */
export type OpenMachineController = (
  onEvent: (event: ControllerEvent) => void,
  signal: AbortSignal,
) => Promise<Controller>

export interface MachineOptions {
  readonly name: string
  readonly open: OpenMachineController
  /** Heaters off and nothing that moves: safe in any state of the machine. */
  readonly heatersOff: readonly string[]
  readonly clock: Clock
  readonly journal: Journal
  readonly log: Logger
  /** Keeps a flight record; resolves with its name. */
  readonly keepRecord?: (entries: readonly FlightEntry[]) => Promise<string>
}

/** How an emergency stop went. */
export interface StopReport {
  /** From the call until nothing could be in flight any more. */
  readonly latencyMs: number
  readonly layers: readonly StopLayer[]
}

const RETRY_MS = 5000
/** Heaters off is answered at once; a park move behind a full planner takes its time. */
const SAFE_STOP_MS = 120_000

export class Machine implements AsyncDisposable {
  readonly #options: MachineOptions
  readonly #listeners = new Set<(event: ControllerEvent) => void>()
  #controller: Controller | undefined
  #needsHeatersOff = false
  /** A lost controller, being recorded and closed. */
  #losing: Promise<void> = Promise.resolve()
  #lost = Promise.withResolvers<void>()

  constructor(options: MachineOptions) {
    this.#options = options
  }

  /** @throws CoreError PRINTER_OFFLINE. */
  get controller(): Controller {
    if (!this.#controller)
      throw new CoreError('PRINTER_OFFLINE', `${this.#options.name} is not connected`)
    return this.#controller
  }

  get isConnected(): boolean {
    return this.#controller !== undefined
  }

  view(): ControllerView {
    const controller = this.#controller
    const statistics = controller?.statistics
    return {
      name: this.#options.name,
      connected: controller !== undefined,
      firmware: controller?.identity.firmware ?? null,
      temperatures: controller?.temperatures ?? {},
      linesSent: statistics?.linesSent ?? 0,
      resends: statistics?.resends ?? 0,
      inFlightLines: statistics?.inFlightLines ?? 0,
      windowLines: statistics?.windowLines ?? 0,
    }
  }

  /** Calls `listener` with what the controller tells, until the returned handle is disposed. */
  onEvent(listener: (event: ControllerEvent) => void): Disposable {
    this.#listeners.add(listener)
    return { [Symbol.dispose]: () => this.#listeners.delete(listener) }
  }

  /** The heaters may be on and nobody is printing: they go off as soon as there is a controller to tell. */
  requireHeatersOff(): void {
    this.#needsHeatersOff = true
  }

  /** Opens the controller and opens it again whenever it is lost, until the signal aborts. */
  async keepConnected(signal: AbortSignal): Promise<void> {
    const { clock, log, name } = this.#options
    let isFirstFailure = true
    while (!signal.aborted) {
      try {
        await this.#connect(signal)
        isFirstFailure = true
        await waitFor(this.#lost.promise, signal)
      } catch (error) {
        signal.throwIfAborted()
        if (isFirstFailure) log.warn({ err: error, controller: name }, 'controller not connected')
        isFirstFailure = false
        await clock.sleep(RETRY_MS, signal)
      }
    }
  }

  /**
   * Ends a print that did not end by itself: heaters off, then the printer's own `script`. What could not be done
   * is an event (after a fault the flight record is kept as well), and the heaters are tried again once the controller is back (where the head is then,
   * nobody knows, so nothing moves).
   */
  async safeStop(script: readonly string[], job: string, isFault: boolean): Promise<void> {
    // A controller that waits for heat answers nothing else until it is told to stop waiting.
    const isInterruptible = this.#controller?.identity.capabilities.EMERGENCY_PARSER === true
    const breakWait = isInterruptible ? ['M108'] : []
    await this.#makeSafe([...breakWait, ...this.#options.heatersOff, ...script], job)
    if (isFault && this.#controller) await this.#keepRecord(this.#controller)
  }

  /** Heaters off now, or as soon as there is a controller to tell. */
  async switchHeatersOff(): Promise<void> {
    this.#needsHeatersOff = true
    if (this.#controller) await this.#makeSafe(this.#options.heatersOff, undefined)
  }

  /**
   * The printer's own `script` after a print that was executed to its end. What could not be done is an event, and the heaters
   * go off once the controller is back. @throws `signal.reason`
   */
  async finish(script: readonly string[], job: string, signal: AbortSignal): Promise<void> {
    const failure = await this.#attempt(script, signal)
    if (failure === undefined) return
    signal.throwIfAborted()
    this.#needsHeatersOff = true
    const message = `heaters may be on: ${failure}`
    this.#options.journal.record({
      type: 'printer.end_failed',
      job,
      code: 'PRINTER_SCRIPT',
      message,
    })
  }

  /** Emergency bytes, then the connection is closed; it is opened anew, which restarts the board. */
  async emergencyStop(): Promise<StopReport> {
    const controller = this.#controller
    if (!controller)
      throw new CoreError('PRINTER_OFFLINE', `${this.#options.name} is not connected`)
    const { clock } = this.#options
    const calledMs = clock.nowMs()
    await controller.emergencyStop()
    const latencyMs = Math.round(clock.nowMs() - calledMs)
    await this.#keepRecord(controller)
    await this.#drop(controller)
    return { latencyMs, layers: stopLayersOf(controller.identity) }
  }

  /** Runs `commands` one after the other; each is acknowledged before the next. @throws DriverError; `signal.reason`. */
  async run(commands: readonly string[], signal: AbortSignal): Promise<void> {
    for (const command of commands) await this.controller.command(command, { signal })
  }

  /** Where the controller believes to be; undefined when it does not say. @throws DriverError; `signal.reason`. */
  async position(signal: AbortSignal): Promise<Position | undefined> {
    let position: Position | undefined
    using _ = this.onEvent(event => {
      if (event.kind === 'position') position = event.position
    })
    await this.run(['M114'], signal)
    return position
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#controller) await this.#drop(this.#controller)
    await this.#losing
  }

  async #connect(signal: AbortSignal): Promise<void> {
    const { journal, name, open } = this.#options
    this.#lost = Promise.withResolvers()
    let opened: Controller | undefined
    const controller = await open(event => this.#relay(event, opened), signal)
    opened = controller
    this.#controller = controller
    const { firmware, machine } = controller.identity
    journal.record({
      type: 'printer.connected',
      message: `${name} answers`,
      detail: { controller: name, firmware, machine },
    })
    if (this.#needsHeatersOff) await this.#makeSafe(this.#options.heatersOff, undefined)
  }

  async #makeSafe(commands: readonly string[], job: string | undefined): Promise<void> {
    const { journal } = this.#options
    const failure = await this.#attempt(commands, new AbortController().signal)
    this.#needsHeatersOff = failure !== undefined
    if (failure === undefined) {
      const message = `heaters off, ${commands.length} commands acknowledged`
      journal.record({ type: 'printer.safe_stop', job, message })
      return
    }
    const message = `heaters may be on: ${failure}`
    journal.record({ type: 'printer.safe_stop_failed', job, code: 'PRINTER_SCRIPT', message })
  }

  /** Resolves with why `commands` could not be carried out, if they could not. */
  #attempt(commands: readonly string[], signal: AbortSignal): Promise<string | undefined> {
    const late = () => new CoreError('PRINTER_SCRIPT', `not done after ${SAFE_STOP_MS} ms`)
    const { clock } = this.#options
    return withTimeLimit(clock, SAFE_STOP_MS, signal, late, limited =>
      this.run(commands, limited),
    ).then(
      () => undefined,
      (error: unknown) => (error instanceof Error ? error.message : 'unknown fault'),
    )
  }

  /** What went over the wire before a fault. A record that cannot be kept stops nothing. */
  async #keepRecord(controller: Controller): Promise<void> {
    const { journal, keepRecord, log, name } = this.#options
    if (keepRecord === undefined || !isRecorded(controller)) return
    try {
      const entries = controller.flightRecord()
      const file = await keepRecord(entries)
      const message = `${entries.length} lines of the wire`
      journal.record({ type: 'printer.flight_kept', message, detail: { controller: name, file } })
    } catch (error) {
      log.warn({ err: error }, 'flight record not kept')
    }
  }

  #relay(event: ControllerEvent, from: Controller | undefined): void {
    for (const listener of this.#listeners) listener(event)
    if (event.kind !== 'lost' || from === undefined || from !== this.#controller) return
    const { journal, log, name } = this.#options
    try {
      const { message } = event.error
      journal.record({ type: 'printer.lost', message, detail: { controller: name } })
    } catch (error) {
      log.error({ err: error }, 'loss not recorded') // thrown into the driver's loop it would help nobody
    }
    this.#controller = undefined
    this.#losing = this.#keepRecord(from)
      .then(() => this.#drop(from))
      .catch((error: unknown) => log.warn({ err: error }, 'close after loss failed'))
  }

  async #drop(controller: Controller): Promise<void> {
    if (this.#controller === controller) this.#controller = undefined
    try {
      await controller[Symbol.asyncDispose]()
    } finally {
      this.#lost.resolve()
    }
  }
}

function isRecorded(controller: Controller): controller is MotionController {
  return 'flightRecord' in controller
}

async function waitFor(promise: Promise<void>, signal: AbortSignal): Promise<void> {
  const aborted = Promise.withResolvers<never>()
  const onAbort = () => aborted.reject(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    if (signal.aborted) onAbort()
    await Promise.race([promise, aborted.promise])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
