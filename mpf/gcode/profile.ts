/** The machine a program is checked against: what it may be told, where it may go, how hot it may get. */

/** Inclusive axis limits in millimetres, in machine coordinates. */
export interface AxisLimitsMm {
  readonly min: readonly [x: number, y: number, z: number]
  readonly max: readonly [x: number, y: number, z: number]
}

/** A printer's own limits, from its configuration; the signed policy of a file may only narrow them. */
export interface MachineProfile {
  readonly model: string
  readonly nozzleMm: number
  /** Command words a program may use, e.g. 'G1', 'M104'. Nothing else reaches the controller. */
  readonly words: readonly string[]
  readonly limitsMm: AxisLimitsMm
  readonly maxFeedMmPerMin: number
  /** Most filament fed per millimetre of travel, millimetres. */
  readonly maxExtrusionMmPerMm: number
  readonly maxTempC: {
    /** One entry a tool. */
    readonly hotend: readonly number[]
    readonly bed: number
    readonly chamber: number
  }
  /** Longest command after its comment is stripped; MAX_CMD_SIZE - 20 leaves room for `N…` and `*nnn` (Marlin: 96 - 20). */
  readonly maxLineBytes: number
}

/** The words a printer accepts unless its configuration says otherwise: motion, modes, heaters, fans, limits of this print. */
export const DEFAULT_WORDS: readonly string[] = [
  ...['G0', 'G1', 'G2', 'G3', 'G4', 'G20', 'G21', 'G28', 'G90', 'G91', 'G92'],
  ...['M73', 'M82', 'M83', 'M84', 'M104', 'M105', 'M106', 'M107', 'M109', 'M140', 'M190'],
  ...['M201', 'M203', 'M204', 'M205', 'M221', 'T0', 'T1', 'T2', 'T3'],
]
