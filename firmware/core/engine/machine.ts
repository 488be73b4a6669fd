/** The printer's controllers over the life of the core: opened, watched, opened again, and made safe. */

import type { AuditVerdict, ControllerEvent, Position, PrinterControllers } from '#drivers'
import type { ControllerView } from '#lib/control-protocol.ts'
import { CoreError } from '../errors.ts'
import { controllerView, offlineView } from './controller-view.ts'
import { wordsOf } from './dialect-words.ts'
import type { MachineOptions, StopReport } from './machine-options.ts'
import { isCut } from './power-relay.ts'
import { stopStatement } from './stop-layers.ts'
import { attempt, holdOthers, runAll, switchOff } from './switch-off.ts'
import { waitFor } from './time-limit.ts'

const NEVER = new AbortController().signal
const RETRY_MS = 5000

export class Machine implements AsyncDisposable {
  readonly #options: MachineOptions
  readonly #listeners = new Set<(event: ControllerEvent) => void>()
  #controller: PrinterControllers | undefined
  #needsHeatersOff = false
  /** What parks the machine when a controller is lost; while something is printed. */
  #parkScript: readonly string[] = []
  /** A lost controller, being recorded and closed. */
  #losing: Promise<void> = Promise.resolve()
  #lost = Promise.withResolvers<void>()

  constructor(options: MachineOptions) {
    this.#options = options
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
    return members?.map(controllerView) ?? [offlineView(this.#options.name)]
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
    await this.#makeSafe(script, job)
    if (isFault && this.#controller) await this.#keepRecord(this.#controller)
  }

  /** Heaters off now, or as soon as there is a controller to tell. */
  async switchHeatersOff(): Promise<void> {
    this.#needsHeatersOff = true
    if (this.#controller) await this.#makeSafe([], undefined)
  }

  /**
   * The printer's own `script` after a print that was executed to its end. What could not be done is an event, and the heaters
   * go off once the controller is back. @throws `signal.reason`
   */
  async finish(
    script: readonly string[] | undefined,
    job: string,
    signal: AbortSignal,
  ): Promise<void> {
    const failure = script ? await this.#attempt(script, signal) : await this.#switchOff(signal)
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

  /** The ways of stopping it there are now. */
  stopLayers(): string {
    const hasPowerRelay = this.#options.cutPower !== undefined
    return stopStatement(this.#controller?.members ?? [], { hasPowerRelay })
  }

  /** There is something that can stop it: a controller, or the relay of its power. */
  get canStop(): boolean {
    return this.isConnected || this.#options.cutPower !== undefined
  }

  /**
   * Emergency bytes, then the connection is closed; it is opened anew, which restarts the board. Where no controller says
   * that it halted, the safety relay cuts the power. @throws CoreError PRINTER_OFFLINE.
   */
  async emergencyStop(): Promise<StopReport> {
    const { clock, cutPower, journal } = this.#options
    const controller = cutPower ? this.#controller : this.controller
    const stopLayers = this.stopLayers()
    const calledMs = clock.nowMs()
    const outcome = (await controller?.emergencyStop()) ?? 'unconfirmed'
    const isPowerCut = outcome !== 'halted' && cutPower !== undefined && isCut(cutPower, journal)
    const latencyMs = Math.round(clock.nowMs() - calledMs)
    if (controller) {
      await this.#keepRecord(controller)
      await this.#drop(controller)
    }
    return { latencyMs, stopLayers, outcome, isPowerCut }
  }

  /** Runs `commands` one after the other, each on the controller it is for; each is acknowledged before the next. @throws DriverError; `signal.reason`. */
  async run(commands: readonly string[], signal: AbortSignal): Promise<void> {
    await runAll(this.controller, commands, signal)
  }

  /** Before a program's first line. @throws DriverError; `signal.reason`. */
  async prepare(signal: AbortSignal): Promise<void> {
    const { idleTimeoutS } = this.#options
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
  }

  async #connect(signal: AbortSignal): Promise<void> {
    const { journal, open } = this.#options
    this.#lost = Promise.withResolvers()
    let opened: PrinterControllers | undefined
    const controller = await open(event => this.#relay(event, opened), signal)
    opened = controller
    this.#controller = controller
    for (const member of controller.members) {
      const { firmware, machine } = member.controller.identity
      journal.record({
        type: 'printer.connected',
        message: `${member.name} answers`,
        detail: { controller: member.name, firmware, machine },
      })
    }
    if (this.#needsHeatersOff) await this.#makeSafe([], undefined)
  }

  /** Everything that heats is switched off on every controller at once; then the printer's own `script`. */
  async #makeSafe(script: readonly string[], job: string | undefined): Promise<void> {
    const { journal } = this.#options
    const failure = (await this.#switchOff()) ?? (await this.#attempt(script, NEVER))
    this.#needsHeatersOff = failure !== undefined
    if (failure === undefined) {
      const message = `heaters off, ${script.length} commands of the script acknowledged`
      journal.record({ type: 'printer.safe_stop', job, message })
      return
    }
    const message = `heaters may be on: ${failure}`
    journal.record({ type: 'printer.safe_stop_failed', job, code: 'PRINTER_SCRIPT', message })
  }

  #switchOff(signal = NEVER): Promise<string | undefined> {
    const { clock, name, heaters } = this.#options
    const controllers = this.#controller
    if (!controllers) return Promise.resolve(`${name} is not connected`)
    return switchOff(controllers, heaters, clock, signal)
  }

  /** Resolves with why `commands` could not be carried out, if they could not. */
  #attempt(commands: readonly string[], signal: AbortSignal): Promise<string | undefined> {
    return attempt(this.#options.clock, signal, limited => this.run(commands, limited))
  }

  /** What went over the wire before a fault. A record that cannot be kept stops nothing. */
  async #keepRecord(controller: PrinterControllers): Promise<void> {
    const { journal, keepRecord, log, name } = this.#options
    if (keepRecord === undefined) return
    try {
      const entries = controller.flightRecord()
      const file = await keepRecord(entries)
      const message = `${entries.length} lines of the wire`
      journal.record({ type: 'printer.flight_kept', message, detail: { controller: name, file } })
    } catch (error) {
      log.warn({ err: error }, 'flight record not kept')
    }
  }

  #relay(event: ControllerEvent, from: PrinterControllers | undefined): void {
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
    const script = this.#parkScript
    this.#losing = this.#keepRecord(from)
      .then(() => this.#calm(from, script))
      .then(() => this.#drop(from))
      .catch((error: unknown) => log.warn({ err: error }, 'close after loss failed'))
  }

  /** One of several was lost: the others are switched off and parked before they are let go. */
  async #calm(controllers: PrinterControllers, script: readonly string[]): Promise<void> {
    if (controllers.members.length === 1) return
    this.#needsHeatersOff = true
    const { clock, heaters, journal } = this.#options
    const message = await holdOthers(controllers, heaters, script, clock)
    journal.record({ type: 'printer.held', message })
  }

  async #drop(controller: PrinterControllers): Promise<void> {
    if (this.#controller === controller) this.#controller = undefined
    try {
      await controller[Symbol.asyncDispose]()
    } finally {
      this.#lost.resolve()
    }
  }
}
