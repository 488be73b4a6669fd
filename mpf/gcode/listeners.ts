/** Who follows a program line by line and move by move while it is checked. */

import type { LineScanner } from './scanner.ts'

/**
 * Called for each move with positions (X, Y, Z) in nanometres, valid during the call only, the length of filament fed,
 * and the feed in force for it. An arc is one move; its centre stands in the scanner.
 */
export type MoveListener = (
  from: Float64Array,
  to: Float64Array,
  eNm: number,
  feedUmPerMin: number,
) => void

/** Called for each line (it starts at `from` of `text`) once scanned, before it takes effect; all is valid during the call only. */
export type LineListener = (scanner: LineScanner, text: Uint8Array, from: number) => void

/** Who else follows a program while it is checked. */
export interface ProgramListeners {
  readonly onMove?: MoveListener
  readonly onLine?: LineListener
}

export interface MachineOptions extends ProgramListeners {
  readonly isWidening?: boolean
}
