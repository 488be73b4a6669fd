/** What the engine itself says to a controller, in the controller's own words. Pure. */

import type { ControllerIdentity } from '#drivers'

export interface PrinterHeaters {
  readonly hotends: number
  readonly hasChamber: boolean
}

export interface DialectWords {
  /** Everything that heats, spins or blows off; nothing that moves. */
  off(heaters: PrinterHeaters): readonly string[]
  /**
   * Before a program's first line: what a person dialled in for an earlier print is undone, and where the firmware has a timeout of its own
   * that a host can set, it is armed: after so many seconds without a move it lets the heaters go by itself.
   */
  prepare(idleTimeoutS: number): readonly string[]
  /** Acknowledged once every move has been made. */
  readonly drain: string
  /** Ends a wait for heat, where it is read ahead of the queue; needs the emergency parser. */
  readonly breakWait: readonly string[]
  /** It has heaters, an extruder and reports of temperature. */
  readonly hasHeaters: boolean
  /** Tells a machine that forgot its height where it stands; `undefined`: it cannot be told, so a print does not go on after a restart. */
  readonly setHeight: ((zMm: number) => string) | undefined
}

/** Every heater this printer may have, and the part fan. */
function heatersOff({ hotends, hasChamber }: PrinterHeaters): readonly string[] {
  const tools = Array.from({ length: hotends }, (_, tool) =>
    hotends === 1 ? 'M104 S0' : `M104 T${tool} S0`,
  )
  return [...tools, 'M140 S0', ...(hasChamber ? ['M141 S0'] : []), 'M107']
}

/** Feed and flow as the program has them. */
const NO_OVERRIDES: readonly string[] = ['M220 S100', 'M221 S100']

const marlin: DialectWords = {
  off: heatersOff,
  // M86 came with Marlin 2.1.3 (HOTEND_IDLE_TIMEOUT); others answer that they do not know it. M85 would kill a paused print.
  prepare: idleTimeoutS => [...NO_OVERRIDES, `M86 S${idleTimeoutS}`],
  drain: 'M400',
  breakWait: ['M108'],
  hasHeaters: true,
  setHeight: zMm => `G92 Z${Number(zMm.toFixed(3))}`,
}

const klipper: DialectWords = {
  ...marlin,
  breakWait: [],
  // Refuses to move an axis that is not homed, and G92 does not home it.
  setHeight: zMm => `SET_KINEMATIC_POSITION Z=${Number(zMm.toFixed(3))}`,
  prepare: idleTimeoutS => [...NO_OVERRIDES, `SET_IDLE_TIMEOUT TIMEOUT=${idleTimeoutS}`],
}

const grbl: DialectWords = {
  // Spindle or laser, and coolant.
  off: () => ['M5', 'M9'],
  prepare: () => [],
  drain: 'G4 P0.01',
  breakWait: [],
  hasHeaters: false,
  setHeight: undefined,
}

// Prusa's firmwares have a safety timer of thirty minutes that nobody sets.
const prusa: DialectWords = { ...marlin, prepare: () => NO_OVERRIDES }

const quiet: DialectWords = { ...prusa, breakWait: [] }

const WORDS: Readonly<Record<string, DialectWords>> = {
  marlin,
  prusa,
  buddy: prusa,
  smoothie: quiet,
  reprap: quiet,
  klipper,
  grbl,
  grblhal: grbl,
}

/** The words of an identified controller. */
export function wordsOf({ dialect }: Pick<ControllerIdentity, 'dialect'>): DialectWords {
  return WORDS[dialect] ?? marlin
}

/** Lines under way at once, as each driver's window has them (BUFSIZE, the receive ring, Klipper's limit); others as Marlin. */
const WINDOW_LINES: Readonly<Record<string, number>> = {
  buddy: 8,
  smoothie: 6,
  reprap: 1,
  klipper: 14,
  grblhal: 32,
}

/** For a forecast, before the controller was asked; `undefined` where Marlin's own number holds. */
export function windowLinesOf(dialect: string): number | undefined {
  return WINDOW_LINES[dialect]
}
