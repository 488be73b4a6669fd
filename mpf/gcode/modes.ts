/** What each mode word does to the bits of the machine state. */

import { MODAL_BIT } from './modal.ts'
import type { WordEffect } from './words.ts'

/** Bits a word sets or clears. Marlin: G90/G91 switch E too; M82/M83 after it switch E alone. */
export const MODES: Partial<Record<WordEffect, readonly [bits: number, isSet: boolean]>> = {
  inches: [MODAL_BIT.inches, true],
  millimetres: [MODAL_BIT.inches, false],
  absolute: [MODAL_BIT.relativeXyz | MODAL_BIT.relativeE, false],
  relative: [MODAL_BIT.relativeXyz | MODAL_BIT.relativeE, true],
  absoluteE: [MODAL_BIT.relativeE, false],
  relativeE: [MODAL_BIT.relativeE, true],
}
