/** Compares, between layers, where the controller believes to be with where the program brought it: what a line's checksum let through shows here. */

import {
  type AuditVerdict,
  applyMotion,
  type Position,
  UNKNOWN_MOTION,
  withPosition,
} from '#drivers'
import { CoreError } from '../errors.ts'

/** A reply carries no check of its own: a difference is believed once it was told so often. */
const TOLD_TIMES = 3

/** Whether a check could compare anything: a controller need not say where it is, and a place in inches is told in nobody knows what. */
export type Comparison = 'compared' | 'unknown'

export class PositionWatch {
  readonly #audit: (expected: Partial<Position>) => Promise<AuditVerdict>
  #motion = UNKNOWN_MOTION
  /** Firmware differs in what G90 and G91 mean for E: known only where all agree. */
  #isExtruderKnown = false
  #isInches = false
  #audits = 0

  constructor(audit: (expected: Partial<Position>) => Promise<AuditVerdict>) {
    this.#audit = audit
  }

  /** Audits that agreed. */
  get audits(): number {
    return this.#audits
  }

  /** Takes in one command as it is handed to the controller. */
  note(text: string): void {
    const before = this.#motion
    this.#motion = applyMotion(before, text)
    if (/^G2[01](?!\d)/.test(text)) this.#noteUnit(text.startsWith('G20'))
    if (/^M8[23](?!\d)/.test(text)) this.#isExtruderKnown = !before.isRelative
    if (/^G9[01](?!\d)/.test(text)) {
      const { isRelative, isRelativeE } = this.#motion
      this.#isExtruderKnown &&= isRelative === isRelativeE
    }
    if (!this.#isExtruderKnown) this.#motion = { ...this.#motion, e: undefined }
  }

  /** What was followed in the other unit is no place in this one. */
  #noteUnit(isInches: boolean): void {
    if (isInches === this.#isInches) return
    this.#isInches = isInches
    this.#motion = { ...this.#motion, x: undefined, y: undefined, z: undefined, e: undefined }
  }

  /**
   * Asks where the controller is, between the line handed over last and the next; an E that nobody could know is taken from its answer.
   * @throws CoreError PRINTER_POSITION; DriverError by code.
   */
  async check(): Promise<Comparison> {
    if (this.#isInches) return 'unknown'
    const { x, y, z, e } = this.#motion
    const known = Object.entries({ x, y, z, e }).filter(([, value]) => value !== undefined)
    if (known.length === 0) return 'unknown'
    const expected: Partial<Position> = Object.fromEntries(known)
    // Relative extrusion is followed from what the controller says; a damaged digit would be taken for a fault ever after.
    const isLearning = this.#isExtruderKnown && e === undefined
    let told = ''
    let previous: Position | undefined
    for (let attempt = 0; attempt < TOLD_TIMES; attempt++) {
      const verdict = await this.#audit(expected)
      if (verdict.kind === 'unknown') return 'unknown'
      const { reported } = verdict
      if (verdict.kind === 'differs') told = deltaText(verdict.deltaMm)
      else if (!isLearning || (previous && isSame(previous, reported)))
        return this.#agreed(reported)
      previous = reported
    }
    if (told === '') return 'unknown'
    throw new CoreError(
      'PRINTER_POSITION',
      `the controller is not where it was sent: off by ${told}`,
    )
  }

  // Taken over: what binary fractions add up to in a layer is not carried into the next.
  #agreed(reported: Position): Comparison {
    if (this.#isExtruderKnown) this.#motion = withPosition(this.#motion, reported)
    this.#audits++
    return 'compared'
  }
}

function isSame(one: Position, other: Position): boolean {
  return one.x === other.x && one.y === other.y && one.z === other.z && one.e === other.e
}

function deltaText({ x, y, z, e }: Position): string {
  return `X${mm(x)} Y${mm(y)} Z${mm(z)} E${mm(e)}`
}

function mm(value: number): string {
  return value.toFixed(2)
}
