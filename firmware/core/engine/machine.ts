/** The printer's controllers over the life of the core: opened, watched, opened again, and made safe. */

import {
  type AuditVerdict,
  type ControllerEvent,
  DriverError,
  type Position,
  type PrinterControllers,
} from '#drivers'
import type { ControllerView } from '#lib/control-protocol.ts'
import { CoreError } from '../errors.ts'
import {
  keepFlightRecord,
  recordConnected,
  recordLost,
  recordUnavailable,
} from './controller-record.ts'
import { controllerView, offlineView } from './controller-view.ts'
import { wordsOf } from './dialect-words.ts'
import { endReasonOf } from './end-reason.ts'
import type { MachineOptions, StopReport } from './machine-options.ts'
import { isCut } from './power-relay.ts'
import { runAll, Safing } from './safing.ts'
import { stopStatement } from './stop-layers.ts'
import { waitFor } from './time-limit.ts'

const RETRY_MS = 5000

export class Machine implements AsyncDisposable {
  readonly #options: MachineOptions
  readonly #listeners = new Set<(event: ControllerEvent) => void>()
  readonly #safing: Safing
  #controller: PrinterControllers | undefined
  /** Why it is not connected. */
  #fault: unknown
  /** What parks the machine when a controller is lost; while something is printed. */
  #parkScript: readonly string[] = []
  /** Lost controllers, being recorded, made safe as far as they answer, and closed. */
  #leaving: PrinterControllers | undefined
  #losing: Promise<void> = Promise.resolve()
  readonly #closed = new WeakSet<PrinterControllers>()
  #lost = Promise.withResolvers<void>()
  #stopping: Promise<StopReport> | undefined

  constructor(options: MachineOptions) {
    this.#options = options
    this.#safing = new Safing({ ...options, controllers: () => this.#controller })
  }

  /** @throws CoreError PRINTER_OFFLINE. */
  get controller(): PrinterControllers {
    if (!this.#controller)
      throw new CoreError('PRINTER_OFFLINE', `${this.#options.name} is not connected`)
    return this.#controller
  }

  get isConnected(): boolean {
    return this.#controller !== undefined
  }

  /** Some controller of it heats, and reports how hot it is. */
  get hasHeaters(): boolean {
    const members = this.#controller?.members ?? []
    return members.some(({ controller }) => wordsOf(controller.identity).hasHeaters)
  }

  /** One a controller; while they are not connected, the motion controller alone. */
  views(): readonly ControllerView[] {
    const members = this.#controller?.members
    return members?.map(controllerView) ?? [offlineView(this.#options.name, this.#fault)]
  }

  /** Calls `listener` with what the controller tells, until the returned handle is disposed. */
  onEvent(listener: (event: ControllerEvent) => void): Disposable {
    this.#listeners.add(listener)
    return { [Symbol.dispose]: () => this.#listeners.delete(listener) }
  }

  /** While the handle lives, the loss of one of several controllers makes the others carry out `script`. */
  parkOnLoss(script: readonly string[]): Disposable {
    this.#parkScript = script
    return {
      [Symbol.dispose]: () => {
        this.#parkScript = []
      },
    }
  }

  /** The heaters may be on and nobody is printing: they go off as soon as there is a controller to tell. */
  requireHeatersOff(): void {
    this.#safing.isOwed = true
  }

  /** Opens the controller and opens it again whenever it is lost, until the signal aborts. */
  async keepConnected(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options
    let told: string | undefined
    while (!signal.aborted) {
      try {
        await this.#connect(signal)
        this.#fault = undefined
        told = undefined
        await waitFor(this.#lost.promise, signal)
      } catch (error) {
        signal.throwIfAborted()
        if (this.#controller) await this.#drop(this.#controller)
        this.#fault = error
        const { code } = endReasonOf(error)
        if (code !== told) recordUnavailable(error, this.#options)
        told = code
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
    await this.#safing.make(script, job)
    if (isFault && this.#controller) await keepFlightRecord(this.#controller, this.#options)
  }

  /** Heaters off now, or as soon as there is a controller to tell. */
  async switchHeatersOff(): Promise<void> {
    this.requireHeatersOff()
    if (this.#controller) await this.#safing.make([], undefined)
  }

  /** Ends a print that was executed to its end: `script`, or else heaters off. @throws `signal.reason` */
  finish(script: readonly string[] | undefined, job: string, signal: AbortSignal): Promise<void> {
    return this.#safing.finish(script, job, signal)
  }

  /** The ways of stopping it there are now. */
  stopLayers(): string {
    const hasPowerRelay = this.#options.cutPower !== undefined
    return stopStatement(this.#controller?.members ?? [], { hasPowerRelay })
  }

  /** There is something that can stop it: a controller, or the relay of its power. */
  get canStop(): boolean {
    const controllers = this.#controller ?? this.#leaving ?? this.#stopping
    return controllers !== undefined || this.#options.cutPower !== undefined
  }

  /**
   * Emergency bytes, then the connection is closed; it is opened anew, which restarts the board. Where no controller says
   * that it halted, the safety relay cuts the power. Whoever calls while one is under way shares it. @throws CoreError PRINTER_OFFLINE.
   */
  emergencyStop(): Promise<StopReport> {
    this.#stopping ??= this.#stop().finally(() => {
      this.#stopping = undefined
    })
    return this.#stopping
  }

  async #stop(): Promise<StopReport> {
    const { clock, cutPower, journal } = this.#options
    // Where nobody says that it halted, it is told to be cold as soon as it is back.
    this.requireHeatersOff()
    // Of several the others may still move although one is lost.
    const left = this.#controller ?? this.#leaving
    const controller = cutPower ? left : (left ?? this.controller)
    const stopLayers = this.stopLayers()
    const calledMs = clock.nowMs()
    // Lost by our own will: it stays open until it has answered.
    this.#fault = new DriverError('DRIVER_HALTED', 'emergency stop')
    this.#controller = undefined
    try {
      const outcome = (await controller?.emergencyStop()) ?? 'unconfirmed'
      this.#safing.isOwed = outcome !== 'halted'
      const isPowerCut = outcome !== 'halted' && cutPower !== undefined && isCut(cutPower, journal)
      return { latencyMs: Math.round(clock.nowMs() - calledMs), stopLayers, outcome, isPowerCut }
    } finally {
      if (controller) {
        await keepFlightRecord(controller, this.#options)
        await this.#drop(controller)
      }
    }
  }

  /** Runs `commands` one after the other, each on the controller it is for; each is acknowledged before the next. @throws DriverError; `signal.reason`. */
  async run(commands: readonly string[], signal: AbortSignal): Promise<void> {
    await runAll(this.controller, commands, signal)
  }

  /** Before a program's first line. @throws DriverError; `signal.reason`. */
  async prepare(signal: AbortSignal): Promise<void> {
    const { idleTimeoutS } = this.#options
    await this.#safing.settled(signal)
    for (const { controller } of this.controller.members)
      for (const command of wordsOf(controller.identity).prepare(idleTimeoutS))
        await controller.command(command, { signal })
  }

  /** Resolves when every controller has made every move. @throws DriverError; `signal.reason`. */
  async drain(signal: AbortSignal): Promise<void> {
    for (const { controller } of this.controller.members)
      await controller.command(wordsOf(controller.identity).drain, { signal })
  }

  /** Where the controller believes to be; undefined when it does not say. @throws DriverError; `signal.reason`. */
  async position(signal: AbortSignal): Promise<Position | undefined> {
    signal.throwIfAborted()
    const verdict = await this.controller.audit({})
    return verdict.kind === 'unknown' ? undefined : verdict.reported
  }

  /** Compares where the controller believes to be with where it was told to go. @throws DriverError. */
  audit(expected: Partial<Position>): Promise<AuditVerdict> {
    return this.controller.audit(expected)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#controller) await this.#drop(this.#controller)
    await this.#losing
    await this.#stopping?.catch(() => undefined)
  }

  async #connect(signal: AbortSignal): Promise<void> {
    const { open } = this.#options
    this.#lost = Promise.withResolvers()
    let opened: PrinterControllers | undefined
    let lost: Error | undefined
    const controller = await open(
      event => {
        if (event.kind === 'lost') lost = event.error
        this.#relay(event, opened)
      },
      signal,
      members => this.#safing.makeIncomplete(members),
    )
    opened = controller
    this.#controller = controller
    // One of several may go while another is still being opened: of that nobody tells again.
    if (lost) throw lost
    try {
      recordConnected(controller, this.#options)
    } finally {
      if (this.#safing.isOwed) await this.#safing.make([], undefined)
    }
  }

  #relay(event: ControllerEvent, from: PrinterControllers | undefined): void {
    for (const listener of this.#listeners) listener(event)
    if (event.kind !== 'lost' || from === undefined || from !== this.#controller) return
    recordLost(event.error, this.#options)
    this.#fault = event.error
    this.#controller = undefined
    this.#leaving = from
    const script = this.#parkScript
    this.#losing = this.#letGo(from, script).catch((error: unknown) =>
      this.#options.log.warn({ err: error }, 'close after loss failed'),
    )
  }

  async #letGo(controllers: PrinterControllers, script: readonly string[]): Promise<void> {
    try {
      await keepFlightRecord(controllers, this.#options)
      if (controllers.members.length > 1) await this.#safing.holdOthers(controllers, script)
    } finally {
      await this.#drop(controllers)
    }
  }

  /** Once each: who was closed long ago must not be taken for the one that is open now. */
  async #drop(controller: PrinterControllers): Promise<void> {
    if (this.#closed.has(controller)) return
    this.#closed.add(controller)
    if (this.#controller === controller) this.#controller = undefined
    if (this.#leaving === controller) this.#leaving = undefined
    try {
      await controller[Symbol.asyncDispose]()
    } finally {
      this.#lost.resolve()
    }
  }
}
