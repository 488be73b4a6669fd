/** A G-code program's effect on the machine, line by line: positions, modes, heaters, and whether each stays inside its limits. */

import type { MpfErrorCode } from '../errors.ts'
import { arcBounds } from './arc.ts'
import { MODAL_BIT, type ModalState, TOOLS } from './modal.ts'
import { bit, LineScanner, MALFORMED, WORD_NAMES } from './scanner.ts'
import { WORDS } from './words.ts'

/** What a program may do, in the units of ModalState. Axes in the order X, Y, Z. */
export interface MachineLimits {
  readonly words: ReadonlySet<string>
  readonly minNm: readonly number[]
  readonly maxNm: readonly number[]
  readonly maxFeedUmPerMin: number
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

const LF = 10
const [E, F, I, J, P, R, S, T, X, Y, Z] = [...'EFIJPRSTXYZ'].map(
  letter => letter.charCodeAt(0) - 65,
) as [number, number, number, number, number, number, number, number, number, number, number]
const HAS_E = bit('E')
const HAS_F = bit('F')
const HAS_P = bit('P')
const HAS_S = bit('S')
const HAS_R = bit('R')
const HAS_T = bit('T')
const HAS_IJ = bit('I') | bit('J')
const HAS_XYZ = bit('X') | bit('Y') | bit('Z')
const MICRO = 1e6
const DECI = 1e5
const INCH_NUMERATOR = 254
const AXIS_LETTERS = [X, Y, Z]
const AXIS_NAMES = 'XYZ'
const EFFECTS = WORD_NAMES.map(name => WORDS[name]?.effect ?? 'none')
const NO_WORDS: ReadonlySet<string> = new Set()

/** Limits nothing satisfies: start for widening. */
export const NO_LIMITS: MachineLimits = {
  words: NO_WORDS,
  minNm: [Infinity, Infinity, Infinity],
  maxNm: [-Infinity, -Infinity, -Infinity],
  maxFeedUmPerMin: 0,
  maxHotendDeciC: Array.from({ length: TOOLS }, () => 0),
  maxBedDeciC: 0,
  maxChamberDeciC: 0,
  maxCommandBytes: 0,
}

/**
 * Follows a program through blocks of whole lines. With `isWidening` the limits grow to whatever the program does
 * (MPF_GCODE alone is refused): that is how a writer measures the envelope it signs.
 */
export class Machine {
  /** Line last scanned, from 1. */
  line = 0
  readonly #scanner = new LineScanner()
  readonly #refuse: Refusal
  readonly #isWidening: boolean
  readonly #allowed: Uint8Array
  readonly #min: Float64Array
  readonly #max: Float64Array
  readonly #maxHotend: Float64Array
  #maxFeed: number
  #maxBed: number
  #maxChamber: number
  #maxCommandBytes: number
  readonly #position = new Float64Array(3)
  readonly #hotend = new Float64Array(TOOLS)
  #e = 0
  #feed = 0
  #bed = 0
  #chamber = 0
  #fan = 0
  #tool = 0
  #flow = 100
  #bits = 0

  constructor(
    limits: MachineLimits,
    refuse: Refusal,
    options: { readonly isWidening?: boolean } = {},
  ) {
    this.#refuse = refuse
    this.#isWidening = options.isWidening ?? false
    this.#allowed = Uint8Array.from(WORD_NAMES, name => (limits.words.has(name) ? 1 : 0))
    this.#min = Float64Array.from(limits.minNm)
    this.#max = Float64Array.from(limits.maxNm)
    this.#maxHotend = Float64Array.from(
      { length: TOOLS },
      (_, tool) => limits.maxHotendDeciC[tool] ?? 0,
    )
    this.#maxFeed = limits.maxFeedUmPerMin
    this.#maxBed = limits.maxBedDeciC
    this.#maxChamber = limits.maxChamberDeciC
    this.#maxCommandBytes = limits.maxCommandBytes
  }

  /** Runs a text of whole, LF-terminated lines. */
  run(text: Uint8Array): void {
    const scanner = this.#scanner
    for (let at = 0; at < text.length; at++) {
      at = scanner.scan(text, at)
      this.line++
      if (scanner.word >= 0) this.#execute(scanner.word)
      else if (scanner.word === MALFORMED) this.#refuse('MPF_GCODE', this.line, scanner.problem)
    }
    if (text.at(-1) !== LF) this.#refuse('MPF_GCODE', this.line, 'a last line without LF')
  }

  /** The state now. */
  modal(): ModalState {
    return {
      xNm: this.#position[0] ?? 0,
      yNm: this.#position[1] ?? 0,
      zNm: this.#position[2] ?? 0,
      eNm: this.#e,
      feedUmPerMin: this.#feed,
      hotendDeciC: [...this.#hotend],
      bedDeciC: this.#bed,
      chamberDeciC: this.#chamber,
      fan: this.#fan,
      tool: this.#tool,
      bits: this.#bits,
      flowPercent: this.#flow,
    }
  }

  /** The limits as given, or as widened by what has run. */
  limits(): MachineLimits {
    return {
      words: new Set(WORD_NAMES.filter((_, word) => this.#allowed[word] === 1)),
      minNm: [...this.#min],
      maxNm: [...this.#max],
      maxFeedUmPerMin: this.#maxFeed,
      maxHotendDeciC: [...this.#maxHotend],
      maxBedDeciC: this.#maxBed,
      maxChamberDeciC: this.#maxChamber,
      maxCommandBytes: this.#maxCommandBytes,
    }
  }

  #execute(word: number): void {
    if (this.#allowed[word] === 0) {
      if (!this.#isWidening)
        return this.#refuse('MPF_GCODE', this.line, `${WORD_NAMES[word]} is not allowed`)
      this.#allowed[word] = 1
    }
    const bytes = this.#scanner.commandBytes
    if (bytes > this.#maxCommandBytes) {
      if (!this.#isWidening)
        return this.#refuse(
          'MPF_GCODE',
          this.line,
          `a command of ${bytes} bytes, limit ${this.#maxCommandBytes}`,
        )
      this.#maxCommandBytes = bytes
    }
    const effect = EFFECTS[word]
    if (effect === 'move') this.#move()
    else if (effect !== 'none') this.#change(word)
  }

  #change(word: number): void {
    switch (EFFECTS[word]) {
      case 'arc':
        return this.#arc(WORD_NAMES[word] === 'G2')
      case 'home':
        return this.#home()
      case 'setPosition':
        return this.#setPosition()
      case 'inches':
        return this.#setBit(MODAL_BIT.inches, true)
      case 'millimetres':
        return this.#setBit(MODAL_BIT.inches, false)
      case 'absolute':
        // Marlin and RepRapFirmware: G90/G91 switch E too; M82/M83 after it switch E alone.
        return this.#setBit(MODAL_BIT.relativeXyz | MODAL_BIT.relativeE, false)
      case 'relative':
        return this.#setBit(MODAL_BIT.relativeXyz | MODAL_BIT.relativeE, true)
      case 'absoluteE':
        return this.#setBit(MODAL_BIT.relativeE, false)
      case 'relativeE':
        return this.#setBit(MODAL_BIT.relativeE, true)
      default:
        return this.#actuate(word)
    }
  }

  #actuate(word: number): void {
    const { mask, values } = this.#scanner
    switch (EFFECTS[word]) {
      case 'hotend':
        return this.#heatTool((mask & HAS_T) !== 0 ? this.#value(T) / MICRO : this.#tool)
      case 'toolTemperature':
        if ((mask & (HAS_S | HAS_R)) !== 0)
          this.#heatTool((mask & HAS_P) !== 0 ? this.#value(P) / MICRO : this.#tool)
        return
      case 'bed':
        this.#bed = this.#heat(this.#bed, this.#maxBed, 'bed')
        if (this.#isWidening) this.#maxBed = Math.max(this.#maxBed, this.#bed)
        return
      case 'chamber':
        this.#chamber = this.#heat(this.#chamber, this.#maxChamber, 'chamber')
        if (this.#isWidening) this.#maxChamber = Math.max(this.#maxChamber, this.#chamber)
        return
      case 'fan':
        if ((mask & HAS_P) === 0 || values[P] === 0)
          this.#fan = Math.min(
            255,
            Math.max(0, (mask & HAS_S) === 0 ? 255 : Math.round(this.#value(S) / MICRO)),
          )
        return
      case 'fanOff':
        this.#fan = 0
        return
      case 'flow':
        return this.#setFlow()
      case 'tool':
        this.#tool = Number(WORD_NAMES[word]?.slice(1))
    }
  }

  #value(letter: number): number {
    return this.#scanner.values[letter] as number
  }

  /** A length in nanometres, in the units in force. */
  #length(letter: number): number {
    const value = this.#value(letter)
    return (this.#bits & MODAL_BIT.inches) === 0 ? value : Math.trunc((value * INCH_NUMERATOR) / 10)
  }

  #move(): void {
    const mask = this.#scanner.mask
    if (this.#scanner.valued !== mask)
      return this.#refuse('MPF_GCODE', this.line, 'an axis without a number')
    if ((mask & HAS_XYZ) !== 0) for (let axis = 0; axis < 3; axis++) this.#moveAxis(axis, mask)
    if ((mask & HAS_E) !== 0) {
      const e = this.#length(E)
      this.#e = (this.#bits & MODAL_BIT.relativeE) === 0 ? e : this.#e + e
    }
    if ((mask & HAS_F) !== 0) this.#setFeed()
  }

  #moveAxis(axis: number, mask: number): void {
    const letter = AXIS_LETTERS[axis] as number
    if ((mask & (1 << letter)) === 0) return
    const known = MODAL_BIT.knownX << axis
    let target = this.#length(letter)
    if ((this.#bits & MODAL_BIT.relativeXyz) !== 0) {
      if ((this.#bits & known) === 0)
        return this.#refuse(
          'MPF_ENVELOPE',
          this.line,
          `${AXIS_NAMES[axis]} moves relatively from an unknown position`,
        )
      target += this.#position[axis] as number
    }
    this.#position[axis] = target
    this.#bits |= known
    this.#expectInside(axis, target, target)
  }

  #expectInside(axis: number, low: number, high: number): void {
    if (low >= (this.#min[axis] as number) && high <= (this.#max[axis] as number)) return
    if (!this.#isWidening)
      return this.#refuse('MPF_ENVELOPE', this.line, `${AXIS_NAMES[axis]} outside its limits`)
    this.#min[axis] = Math.min(low, this.#min[axis] as number)
    this.#max[axis] = Math.max(high, this.#max[axis] as number)
  }

  #setFeed(): void {
    const feed = Math.trunc(this.#length(F) / 1000)
    if (feed < 0 || feed > 0xffffffff)
      return this.#refuse('MPF_GCODE', this.line, 'a feed out of range')
    this.#feed = feed
    if (feed <= this.#maxFeed) return
    if (!this.#isWidening) return this.#refuse('MPF_ENVELOPE', this.line, 'feed above its limit')
    this.#maxFeed = feed
  }

  #arc(isClockwise: boolean): void {
    const { mask } = this.#scanner
    const fromX = this.#position[0] as number
    const fromY = this.#position[1] as number
    const isKnown = (this.#bits & MODAL_BIT.knownX) !== 0 && (this.#bits & MODAL_BIT.knownY) !== 0
    if ((mask & HAS_IJ) === 0)
      return this.#refuse('MPF_GCODE', this.line, 'an arc without a centre')
    if (!isKnown) return this.#refuse('MPF_ENVELOPE', this.line, 'an arc from an unknown position')
    const i = (mask & bit('I')) === 0 ? 0 : this.#length(I)
    const j = (mask & bit('J')) === 0 ? 0 : this.#length(J)
    this.#move()
    const [toX, toY] = [this.#position[0] as number, this.#position[1] as number]
    const [lowX, lowY, highX, highY] = arcBounds({ fromX, fromY, toX, toY, i, j, isClockwise })
    this.#expectInside(0, Math.floor(lowX), Math.ceil(highX))
    this.#expectInside(1, Math.floor(lowY), Math.ceil(highY))
  }

  /** G28: the homed axes (all without a letter) end where the firmware's home is, which the program does not say. */
  #home(): void {
    const { mask } = this.#scanner
    const letters = (mask & HAS_XYZ) === 0 ? HAS_XYZ : mask
    for (let axis = 0; axis < 3; axis++) {
      if ((letters & (1 << (AXIS_LETTERS[axis] as number))) === 0) continue
      this.#position[axis] = 0
      this.#bits &= ~(MODAL_BIT.knownX << axis)
    }
  }

  #setPosition(): void {
    const { mask } = this.#scanner
    if ((mask & HAS_E) === 0) return this.#refuse('MPF_GCODE', this.line, 'G92 without E')
    this.#e = this.#length(E)
  }

  #heatTool(tool: number): void {
    if (!Number.isInteger(tool) || tool < 0 || tool >= TOOLS)
      return this.#refuse('MPF_GCODE', this.line, 'a tool out of range')
    const deci = this.#heat(this.#hotend[tool] as number, this.#maxHotend[tool] as number, 'hotend')
    this.#hotend[tool] = deci
    if (this.#isWidening) this.#maxHotend[tool] = Math.max(this.#maxHotend[tool] as number, deci)
  }

  /** The setpoint S or R asks for; `current` when it asks for none. */
  #heat(current: number, limit: number, heater: string): number {
    const { mask } = this.#scanner
    if ((mask & (HAS_S | HAS_R)) === 0) return current
    const deci = Math.ceil(Math.max(this.#optional(S, HAS_S), this.#optional(R, HAS_R)) / DECI)
    const isPossible = deci >= 0 && deci <= 0xffff
    if (!isPossible || (deci > limit && !this.#isWidening)) {
      this.#refuse('MPF_ENVELOPE', this.line, `${heater} temperature above its limit`)
      return current
    }
    return deci
  }

  #optional(letter: number, has: number): number {
    return (this.#scanner.mask & has) === 0 ? -Infinity : this.#value(letter)
  }

  #setFlow(): void {
    if ((this.#scanner.mask & HAS_S) === 0) return
    const flow = Math.round(this.#value(S) / MICRO)
    if (flow < 0 || flow > 1000) return this.#refuse('MPF_GCODE', this.line, 'a flow out of range')
    this.#flow = flow
  }

  #setBit(bits: number, isSet: boolean): void {
    this.#bits = isSet ? this.#bits | bits : this.#bits & ~bits
  }
}
