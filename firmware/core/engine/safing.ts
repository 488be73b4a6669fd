/** Whether heaters may be on although nobody prints, and everything that ends it. */

import type { Member, PrinterControllers } from '#drivers'
import { CoreError } from '../errors.ts'
import type { MachineOptions } from './machine-options.ts'
import { messageOf, switchOff } from './switch-off.ts'
import { waitFor, withTimeLimit } from './time-limit.ts'

const NEVER = new AbortController().signal
/** Heaters off is answered at once; a park move behind a full planner takes its time. */
const SAFE_STOP_MS = 120_000

export interface SafingOptions
  extends Pick<MachineOptions, 'name' | 'heaters' | 'clock' | 'journal'> {
  /** Those connected now. */
  readonly controllers: () => PrinterControllers | undefined
}

export class Safing {
  readonly #options: SafingOptions
  /** The words that switch off, until each was answered: a controller may take longer than anybody waits for it. */
  #said: Promise<void> = Promise.resolve()
  /** Heaters may be on and nobody is printing: they go off as soon as there is a controller to tell. */
  isOwed = false

  constructor(options: SafingOptions) {
    this.#options = options
  }

  /** Everything that heats is switched off on every controller at once; then the printer's own `script`. What could not be done is an event. */
  async make(script: readonly string[], job: string | undefined): Promise<void> {
    const { journal } = this.#options
    this.isOwed = true
    const failure = (await this.#switchOff(NEVER)) ?? (await this.#carryOut(script, NEVER))
    if (failure === undefined) {
      const message = `heaters off, ${script.length} commands of the script acknowledged`
      journal.record({ type: 'printer.safe_stop', job, message })
      return
    }
    const message = `${this.isOwed ? 'heaters may be on' : 'heaters off, the script failed'}: ${failure}`
    journal.record({ type: 'printer.safe_stop_failed', job, code: 'PRINTER_SCRIPT', message })
  }

  /**
   * After a print that was executed to its end: the printer's own `script`, or else heaters off. What could not be done is an
   * event, and the heaters go off. @throws `signal.reason`
   */
  async finish(
    script: readonly string[] | undefined,
    job: string,
    signal: AbortSignal,
  ): Promise<void> {
    const { journal } = this.#options
    const failure = await (script ? this.#carryOut(script, signal) : this.#switchOff(signal))
    if (failure === undefined) return
    signal.throwIfAborted()
    const message = `heaters may be on: ${failure}`
    journal.record({ type: 'printer.end_failed', job, code: 'PRINTER_SCRIPT', message })
    await this.make([], job)
  }

  /** The only ones of several that could be opened: what is owed is done on them, and still owed. */
  async makeIncomplete(members: readonly Member[]): Promise<void> {
    const { clock, heaters } = this.#options
    if (!this.isOwed || members.length === 0) return
    const off = switchOff({ members }, heaters, clock, NEVER)
    await this.#within(NEVER, limited => waitFor(off, limited))
  }

  /** One of `controllers` was lost: the others are switched off, then carry out `script`. */
  async holdOthers(controllers: PrinterControllers, script: readonly string[]): Promise<void> {
    const { clock, heaters, journal } = this.#options
    this.isOwed = true
    const off = switchOff(controllers, heaters, clock, NEVER)
    const heat = await this.#within(NEVER, limited => waitFor(off, limited))
    const park = await this.#carryOut(script, NEVER, controllers)
    const isParked = script.length > 0 && park === undefined
    const done = `the other controllers were switched off${isParked ? ' and parked' : ''}`
    const message = [done, heat, park].filter(text => text !== undefined).join('; ')
    journal.record({ type: 'printer.held', message })
  }

  /** Resolves when nothing is left to be answered that would switch off what a program is about to heat. @throws `signal.reason` */
  settled(signal: AbortSignal): Promise<void> {
    return waitFor(this.#said, signal)
  }

  /** Resolves with why some may still heat. What was said within the bound is not taken back after it. */
  #switchOff(signal: AbortSignal): Promise<string | undefined> {
    const { name, heaters, clock } = this.#options
    const controllers = this.#options.controllers()
    if (!controllers) return Promise.resolve(`${name} is not connected`)
    const off = switchOff(controllers, heaters, clock, signal)
    this.#said = off.then(failure => {
      if (failure === undefined) this.isOwed = false
    })
    return this.#within(signal, limited => waitFor(off, limited))
  }

  /** Resolves with why `commands` could not be carried out, if they could not. */
  #carryOut(
    commands: readonly string[],
    signal: AbortSignal,
    controllers = this.#options.controllers(),
  ): Promise<string | undefined> {
    return this.#within(signal, async limited => {
      if (!controllers) return `${this.#options.name} is not connected`
      await runAll(controllers, commands, limited)
      return undefined
    })
  }

  /** Resolves as `body` does, or with why it failed or took too long. */
  #within(
    signal: AbortSignal,
    body: (signal: AbortSignal) => Promise<string | undefined>,
  ): Promise<string | undefined> {
    const late = () => new CoreError('PRINTER_SCRIPT', `not done after ${SAFE_STOP_MS} ms`)
    return withTimeLimit(this.#options.clock, SAFE_STOP_MS, signal, late, body).catch(messageOf)
  }
}

/** One after the other, each on the controller it is for; each is acknowledged before the next. @throws DriverError; `signal.reason`. */
export async function runAll(
  controllers: PrinterControllers,
  commands: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  for (const command of commands) await controllers.command(command, { signal })
}
