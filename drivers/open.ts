/** Which driver speaks which dialect, and who finds out: the table a new dialect is added to. */
import type { Clock } from '#lib/clock.ts'
import type { ControllerEvent, MotionController } from './controller.ts'
import { DIALECT_NAMES, type DialectName, type Dialect as DialectRow } from './dialect.ts'
import { grbl, grblhal } from './grbl/dialect.ts'
import { klipper } from './klipper/dialect.ts'
import { marlin } from './marlin/dialect.ts'
import { buddy, prusa } from './prusa/dialect.ts'
import { reprap, reprapCrc16 } from './reprap/dialect.ts'
import { detectDialect } from './shell/detect.ts'
import { openDriver } from './shell/driver.ts'
import { smoothie } from './smoothie/dialect.ts'
import type { Tuning } from './tuning.ts'

const TABLE: Readonly<Record<DialectName, DialectRow>> = {
  marlin,
  prusa,
  buddy,
  grbl,
  grblhal,
  klipper,
  smoothie,
  reprap,
}

/** A dialect by the name the configuration uses; `auto` asks the controller. */
export type Dialect = DialectName | 'auto'

/** The names of {@link Dialect}. */
export const DIALECTS: readonly Dialect[] = ['auto', ...DIALECT_NAMES]

/** What a printer's configuration says about one controller. `tuning` overrides single numbers of the dialect's own. */
export interface ControllerConfig {
  readonly dialect: Dialect
  /** Device path; by-id or by-path. */
  readonly port: string
  readonly baud: number
  /** How long a lost port is looked for while a program is streamed; 0 (default) = the print ends at once. */
  readonly reattachWithinMs?: number
  /** RepRapFirmware only: the check its port is configured to demand; default `xor`. */
  readonly checksum?: 'xor' | 'crc16' | undefined
  /** `auto`: program lines go out in fewer bytes that mean the same; default `off`: byte for byte as sealed. */
  readonly compact?: 'auto' | 'off'
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
  const { dialect: name, checksum, reattachWithinMs = 0, compact, ...options } = config
  const dialects = Object.values(TABLE)
  const found =
    name === 'auto' ? await detectDialect({ ...options, ...ports, dialects }) : TABLE[name]
  const dialect = found === reprap && checksum === 'crc16' ? reprapCrc16 : found
  const isCompact = compact === 'auto'
  return openDriver({ ...options, ...ports, reattachWithinMs, dialect, isCompact })
}
