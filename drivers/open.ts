/** Which driver speaks which dialect, and who finds out: the table a new dialect is added to. */
import type { Clock } from '#lib/clock.ts'
import type { ControllerEvent, MotionController } from './controller.ts'

import { marlin } from './marlin/dialect.ts'
import { openDriver } from './shell/driver.ts'
import type { Tuning } from './tuning.ts'

const TABLE = { marlin } as const

/** A dialect by the name the configuration uses. */
export type Dialect = keyof typeof TABLE

/** The names of {@link Dialect}. */
export const DIALECTS = Object.keys(TABLE) as readonly Dialect[]

/** What a printer's configuration says about one controller. `tuning` overrides single numbers of the dialect's own. */
export interface ControllerConfig {
  readonly dialect: Dialect
  /** Device path; by-id or by-path. */
  readonly port: string
  readonly baud: number
  /** How long a lost port is looked for while a program is streamed; 0 (default) = the print ends at once. */
  readonly reattachWithinMs?: number
  readonly tuning?: Partial<Tuning>
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
 * @throws DriverError by code (see {@link openDriver}); `ports.signal.reason`.
 */
export async function openController(
  config: ControllerConfig,
  ports: ControllerPorts,
): Promise<MotionController> {
  const { dialect: name, reattachWithinMs = 0, ...options } = config
  return openDriver({ ...options, ...ports, reattachWithinMs, dialect: TABLE[name] })
}
