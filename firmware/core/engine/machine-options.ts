/** What the machine is handed, and what its emergency stop tells. */

import type {
  ControllerEvent,
  FlightEntry,
  Member,
  PrinterControllers,
  StopOutcome,
} from '#drivers'
import type { Clock } from '#lib/clock.ts'
import type { Logger } from '#lib/logger.ts'
import type { Journal } from '../journal/journal.ts'
import type { PrinterHeaters } from './dialect-words.ts'

/**
 * Opens and identifies the controllers; events go to `onEvent` until they are disposed. Where only some of several could be opened,
 * `onIncomplete` may talk to them before they are closed again.
 */
export type OpenMachineController = (
  onEvent: (event: ControllerEvent) => void,
  signal: AbortSignal,
  onIncomplete: (members: readonly Member[]) => Promise<void>,
) => Promise<PrinterControllers>

export interface MachineOptions {
  readonly name: string
  readonly open: OpenMachineController
  /** What the printer heats: as much is switched off. */
  readonly heaters: PrinterHeaters
  /** What a controller's own timeout is armed with. */
  readonly idleTimeoutS: number
  readonly clock: Clock
  readonly journal: Journal
  readonly log: Logger
  /** Keeps a flight record; resolves with its name. */
  readonly keepRecord?: (entries: readonly FlightEntry[]) => Promise<string>
  /** Opens the safety relay, where the printer has one. @throws Error of the file system */
  readonly cutPower?: (() => void) | undefined
}

/** How an emergency stop went. */
export interface StopReport {
  /** From the call until its outcome was known. */
  readonly latencyMs: number
  /** Which layers could have done it, by controller. */
  readonly stopLayers: string
  /** Of the worst of the controllers. */
  readonly outcome: StopOutcome
  /** The safety relay was opened. */
  readonly isPowerCut: boolean
}
