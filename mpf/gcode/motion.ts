/** Where a program has the head and the filament: positions, units and modes, move by move, inside the envelope. */

import { type Arc, arcBounds, arcTravelNm } from './arc.ts'
import type { Refusal } from './limits.ts'
import type { MoveListener } from './listeners.ts'
import { MODAL_BIT, type ModalState } from './modal.ts'
import type { ModeChange } from './modes.ts'
import type { MotionEnvelope } from './motion-envelope.ts'
import { ALL_AXES, type LineScanner } from './scanner.ts'
import { bit } from './tables.ts'

/** Index of each parameter letter in the scanner's values. */
const LETTER = { E: 4, F: 5, I: 8, J: 9, P: 15, Z: 25 } as const
/** X, Y and Z stand together at the end of the alphabet. */
const FIRST_AXIS = 23
const AXIS_NAMES = 'XYZ'
/** MODAL_BIT.knownX is 1 << 3. */
const FIRST_KNOWN = 3
const HAS_E = bit('E')
const HAS_F = bit('F')
const HAS_I = bit('I')
const HAS_J = bit('J')
const HAS_P = bit('P')
const HAS_Z = bit('Z')
/** How far a reader lets an arc's box exceed the signed one (SPEC 6.3). */
const ARC_SLACK_NM = 1000
/** 25.4 nm in a millionth of an inch. */
const INCH_NUMERATOR = 254

export interface MotionParts {
  readonly scanner: LineScanner
  readonly envelope: MotionEnvelope
  readonly refuse: (code: Parameters<Refusal>[0], problem: string) => void
  readonly isWidening: boolean
  readonly onMove: MoveListener | undefined
}

/** Follows the moves of one program; each method takes the line the scanner holds. */
export class Motion {
  /** X, Y, Z in nanometres. */
  readonly position = new Float64Array(3)
  eNm = 0
  feedUmPerMin = 0
  /** MODAL_BIT. */
  bits = 0
  readonly #scanner: LineScanner
  readonly #envelope: MotionEnvelope
  readonly #refuse: MotionParts['refuse']
  readonly #isWidening: boolean
  readonly #onMove: MoveListener | undefined
  readonly #from = new Float64Array(3)
  /** Of the last move: filament fed, and the square of its way, in nanometres; 0 where an axis came from nowhere known. */
  #fed = 0
  #travelSquared = 0

  constructor({ scanner, envelope, refuse, isWidening, onMove }: MotionParts) {
    this.#scanner = scanner
    this.#envelope = envelope
    this.#refuse = refuse
    this.#isWidening = isWidening
    this.#onMove = onMove
  }

  restore(modal: ModalState): void {
    this.position.set([modal.xNm, modal.yNm, modal.zNm])
    this.eNm = modal.eNm
    this.feedUmPerMin = modal.feedUmPerMin
    this.bits = modal.bits
  }

  change({ set, clear }: ModeChange): void {
    this.bits = (this.bits & ~clear) | set
  }

  straight(flowPercent: number): void {
    this.#move()
    if (this.#fed <= 0 || this.#travelSquared === 0) return
    this.#envelope.expectExtrusion(this.#fed, Math.sqrt(this.#travelSquared), flowPercent)
  }

  arc(isClockwise: boolean, flowPercent: number): void {
    const { mask, values } = this.#scanner
    const [fromX, fromY, fromZ] = this.position as unknown as readonly [number, number, number]
    const isKnown = (this.bits & MODAL_BIT.knownX) !== 0 && (this.bits & MODAL_BIT.knownY) !== 0
    const wasZUnknown = (mask & HAS_Z) !== 0 && (this.bits & MODAL_BIT.knownZ) === 0
    const i = (mask & HAS_I) === 0 ? 0 : this.#length(LETTER.I)
    const j = (mask & HAS_J) === 0 ? 0 : this.#length(LETTER.J)
    this.#move()
    if (!isKnown) return this.#refuse('MPF_ENVELOPE', 'an arc from an unknown position')
    const [toX, toY, toZ] = this.position as unknown as readonly [number, number, number]
    const isWhole = (mask & HAS_P) !== 0 && values[LETTER.P] !== 0
    const arc: Arc = { fromX, fromY, toX, toY, i, j, isClockwise, isWhole }
    const [lowX, lowY, highX, highY] = arcBounds(arc)
    // Sines differ in their last bit between libraries: what a writer measured, another reader must accept.
    const slackNm = this.#isWidening ? 0 : ARC_SLACK_NM
    this.#envelope.expectInside(0, Math.round(lowX) + slackNm, Math.round(highX) - slackNm)
    this.#envelope.expectInside(1, Math.round(lowY) + slackNm, Math.round(highY) - slackNm)
    if (this.#fed <= 0 || wasZUnknown) return
    this.#envelope.expectExtrusion(this.#fed, arcTravelNm(arc, toZ - fromZ), flowPercent)
  }

  /** After homing the axes in `letters` are where the firmware's home is, which the program does not say. */
  forget(letters: number): void {
    for (let axis = 0; axis < 3; axis++) {
      if ((letters & (1 << (FIRST_AXIS + axis))) === 0) continue
      this.position[axis] = 0
      this.bits &= ~(MODAL_BIT.knownX << axis)
    }
  }

  /** G92 E. */
  setFilament(): void {
    this.eNm = this.#length(LETTER.E)
    this.#envelope.expectFilament(this.eNm)
  }

  /** A retraction set for later: its feed is none of the moves'; what lifts would leave the box, what lowers press the nozzle into the part. */
  checkRetraction(): void {
    const { mask, values } = this.#scanner
    if ((mask & HAS_F) !== 0) this.#envelope.feedAfter(this.#feedValue(), 0)
    if ((mask & HAS_Z) !== 0 && values[LETTER.Z] !== 0)
      this.#refuse('MPF_ENVELOPE', 'a retraction that moves Z')
  }

  /** SPEC 7, step 18: what no limits would make right, a missing number or a feed out of range, comes first. */
  #move(): void {
    const { mask, valued } = this.#scanner
    this.#fed = 0
    this.#travelSquared = 0
    if (valued !== mask) return this.#refuse('MPF_GCODE', 'an axis without a number')
    if ((mask & HAS_F) !== 0)
      this.feedUmPerMin = this.#envelope.feedAfter(this.#feedValue(), this.feedUmPerMin)
    if (this.#onMove) this.#keepPosition()
    const unknown = (mask >> FIRST_AXIS) & ~(this.bits >> FIRST_KNOWN)
    if ((this.bits & (MODAL_BIT.relativeXyz | MODAL_BIT.inches)) === 0) this.#moveAbsolute(mask)
    else for (let axis = 0; axis < 3; axis++) this.#moveAxis(axis, mask)
    if (unknown !== 0) this.#travelSquared = 0
    if ((mask & HAS_E) !== 0) this.#feedFilament()
    this.#onMove?.(this.#from, this.position, this.#fed, this.feedUmPerMin)
  }

  /** What nearly every line of a print is: absolute millimetres. */
  #moveAbsolute(mask: number): void {
    const { values } = this.#scanner
    const { position } = this
    let squared = 0
    for (let axis = 0; axis < 3; axis++) {
      const letter = FIRST_AXIS + axis
      if ((mask & (1 << letter)) === 0) continue
      const target = values[letter] as number
      const way = target - (position[axis] as number)
      squared += way * way
      position[axis] = target
      this.#envelope.expectInside(axis, target, target)
    }
    this.#travelSquared = squared
    this.bits |= (mask & ALL_AXES) >> (FIRST_AXIS - FIRST_KNOWN)
  }

  #moveAxis(axis: number, mask: number): void {
    const letter = FIRST_AXIS + axis
    if ((mask & (1 << letter)) === 0) return
    const known = MODAL_BIT.knownX << axis
    const from = this.position[axis] as number
    let target = this.#length(letter)
    if ((this.bits & MODAL_BIT.relativeXyz) !== 0) {
      if ((this.bits & known) === 0)
        return this.#refuse(
          'MPF_ENVELOPE',
          `${AXIS_NAMES[axis]} moves relatively from an unknown position`,
        )
      target += from
    }
    this.#travelSquared += (target - from) ** 2
    this.position[axis] = target
    this.bits |= known
    this.#envelope.expectInside(axis, target, target)
  }

  #feedFilament(): void {
    const before = this.eNm
    const e = this.#length(LETTER.E)
    this.eNm = (this.bits & MODAL_BIT.relativeE) === 0 ? e : before + e
    this.#fed = this.eNm - before
    this.#envelope.expectFilament(this.eNm)
  }

  #keepPosition(): void {
    const from = this.#from
    const { position } = this
    from[0] = position[0] as number
    from[1] = position[1] as number
    from[2] = position[2] as number
  }

  /** A length in nanometres, in the units in force. */
  #length(letter: number): number {
    const value = this.#scanner.values[letter] as number
    return (this.bits & MODAL_BIT.inches) === 0 ? value : Math.trunc((value * INCH_NUMERATOR) / 10)
  }

  /** F in micrometres a minute. */
  #feedValue(): number {
    return Math.trunc(this.#length(LETTER.F) / 1000)
  }
}
