/** What a program may do on a machine, in the units of ModalState, and how a breach is reported. */

import type { MpfErrorCode } from '../errors.ts'
import { TOOLS } from './modal.ts'

/** What a program may do, in the units of ModalState. Axes in the order X, Y, Z. */
export interface MachineLimits {
  readonly words: ReadonlySet<string>
  readonly minNm: readonly number[]
  readonly maxNm: readonly number[]
  readonly maxFeedUmPerMin: number
  /** Most filament fed per travel, micrometres a millimetre. */
  readonly maxExtrusionUmPerMm: number
  readonly maxHotendDeciC: readonly number[]
  readonly maxBedDeciC: number
  readonly maxChamberDeciC: number
  readonly maxCommandBytes: number
}

/** A line the machine refuses. What it should do about it is the caller's: throw, collect, or widen. */
export type Refusal = (
  code: MpfErrorCode & ('MPF_GCODE' | 'MPF_ENVELOPE'),
  line: number,
  problem: string,
) => void

const NO_WORDS: ReadonlySet<string> = new Set()

/** Limits nothing satisfies: start for widening. */
export const NO_LIMITS: MachineLimits = {
  words: NO_WORDS,
  minNm: [Infinity, Infinity, Infinity],
  maxNm: [-Infinity, -Infinity, -Infinity],
  maxFeedUmPerMin: 0,
  maxExtrusionUmPerMm: 0,
  maxHotendDeciC: Array.from({ length: TOOLS }, () => 0),
  maxBedDeciC: 0,
  maxChamberDeciC: 0,
  maxCommandBytes: 0,
}
