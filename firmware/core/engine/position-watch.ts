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
    if (/^G2[01](?!\d)/.test(text)) this.#isInches = text.startsWith('G20')
    const before = this.#motion
    this.#motion = applyMotion(before, text)
    if (/^M8[23](?!\d)/.test(text)) this.#isExtruderKnown = !before.isRelative
    if (/^G9[01](?!\d)/.test(text)) {
      const { isRelative, isRelativeE } = this.#motion
      this.#isExtruderKnown &&= isRelative === isRelativeE
    }
    if (!this.#isExtruderKnown) this.#motion = { ...this.#motion, e: undefined }
  }

  /**
   * Asks where the controller is, between the line handed over last and the next.
   * @throws CoreError PRINTER_POSITION; DriverError by code.
   */
  async check(): Promise<void> {
    const { x, y, z, e } = this.#motion
    const known = Object.entries({ x, y, z, e }).filter(([, value]) => value !== undefined)
    if (this.#isInches || known.length === 0) return
    const expected: Partial<Position> = Object.fromEntries(known)
    let told = ''
    for (let attempt = 0; attempt < TOLD_TIMES; attempt++) {
      const verdict = await this.#audit(expected)
      if (verdict.kind === 'unknown') return
      if (verdict.kind === 'agrees') {
        this.#audits++
        // What binary fractions add up to in a layer is not carried into the next.
        if (e !== undefined) this.#motion = withPosition(this.#motion, verdict.reported)
        return
      }
      const { deltaMm } = verdict
      told = `X${mm(deltaMm.x)} Y${mm(deltaMm.y)} Z${mm(deltaMm.z)} E${mm(deltaMm.e)}`
    }
    throw new CoreError(
      'PRINTER_POSITION',
      `the controller is not where it was sent: off by ${told}`,
    )
  }
}

function mm(value: number): string {
  return value.toFixed(2)
}
