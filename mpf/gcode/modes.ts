/** What each mode word does to the bits of the machine state. */

import { MODAL_BIT } from './modal.ts'
import type { WordEffect } from './words.ts'

export interface ModeChange {
  readonly set: number
  readonly clear: number
}

const change = (set: number, clear: number): ModeChange => ({ set, clear })
const { inches, relativeXyz, relativeE } = MODAL_BIT

/** Marlin: G90/G91 switch E too; M82/M83 after it switch E alone. */
export const MODES: Partial<Record<WordEffect, ModeChange>> = {
  inches: change(inches, 0),
  millimetres: change(0, inches),
  absolute: change(0, relativeXyz | relativeE),
  relative: change(relativeXyz | relativeE, 0),
  absoluteE: change(0, relativeE),
  relativeE: change(relativeE, 0),
}
