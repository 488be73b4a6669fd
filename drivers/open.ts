/** Which driver speaks which dialect: the table a new dialect is added to. */
import type { Clock } from '#lib/clock.ts'
import type { Controller, ControllerEvent } from './controller.ts'
import { openMarlin } from './marlin/driver.ts'
import type { MarlinTuning } from './marlin/tuning.ts'

const OPENERS = { marlin: openMarlin } as const

/** A dialect by the name the configuration uses. */
export type Dialect = keyof typeof OPENERS

/** The names of {@link Dialect}. */
export const DIALECTS = Object.keys(OPENERS) as readonly Dialect[]

/** What a printer's configuration says about one controller. `tuning` overrides single numbers of the dialect's own. */
export interface ControllerConfig {
  readonly dialect: Dialect
  /** Device path; by-id or by-path. */
  readonly port: string
  readonly baud: number
  readonly tuning?: Partial<MarlinTuning>
}

/** What the driver needs from the program around it. */
export interface ControllerPorts {
  readonly clock: Clock
  /** Abort gives up opening; it has no effect on an open controller. */
  readonly signal: AbortSignal
  /** Called from the event loop; must not throw. `acked` comes once a batch, naming the last line executed. */
  readonly onEvent: (event: ControllerEvent) => void
}

/**
 * Opens and identifies a motion controller.
 * @throws DriverError by code (see the dialect's own opener); `ports.signal.reason`.
 */
export function openController(
  config: ControllerConfig,
  ports: ControllerPorts,
): Promise<Controller> {
  const { dialect, ...options } = config
  return OPENERS[dialect]({ ...options, ...ports })
}
