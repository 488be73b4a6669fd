/** A G-code program's effect on the machine, line by line: positions, modes, heaters, and whether each stays inside its limits. */

import { arcBounds } from './arc.ts'
import { Heaters } from './heaters.ts'
import type { MachineLimits, Refusal } from './limits.ts'
import type { LineListener, MoveListener, ProgramListeners } from './listeners.ts'
import { MODAL_BIT, type ModalState } from './modal.ts'
import { bit, LineScanner, MALFORMED, WORD_NAMES } from './scanner.ts'
import { WORDS } from './words.ts'

const LF = 10
/** Index of each parameter letter in the scanner's values. */
const LETTER = { E: 4, F: 5, I: 8, J: 9 } as const
/** X, Y and Z stand together at the end of the alphabet. */
const FIRST_AXIS = 23
const AXIS_NAMES = 'XYZ'
const HAS_E = bit('E')
const HAS_F = bit('F')
const HAS_I = bit('I')
const HAS_J = bit('J')
const HAS_XYZ = bit('X') | bit('Y') | bit('Z')
/** 25.4 nm in a millionth of an inch. */
const INCH_NUMERATOR = 254
const EFFECTS = WORD_NAMES.map(name => WORDS[name]?.effect ?? 'none')

export type { LineListener, MoveListener, ProgramListeners } from './listeners.ts'

export interface MachineOptions extends ProgramListeners {
  readonly isWidening?: boolean
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
  readonly #onMove: MoveListener | undefined
  readonly #onLine: LineListener | undefined
  readonly #from = new Float64Array(3)
  readonly #allowed: Uint8Array
  readonly #min: Float64Array
  readonly #max: Float64Array
  #maxFeed: number
  #maxCommandBytes: number
  readonly #heaters: Heaters
  readonly #position = new Float64Array(3)
  #e = 0
  #feed = 0
  #tool = 0
  #bits = 0

  constructor(limits: MachineLimits, refuse: Refusal, options: MachineOptions = {}) {
    this.#refuse = refuse
    this.#isWidening = options.isWidening ?? false
    this.#onMove = options.onMove
    this.#onLine = options.onLine
    this.#allowed = Uint8Array.from(WORD_NAMES, name => (limits.words.has(name) ? 1 : 0))
    this.#min = Float64Array.from(limits.minNm)
    this.#max = Float64Array.from(limits.maxNm)
    this.#maxFeed = limits.maxFeedUmPerMin
    this.#maxCommandBytes = limits.maxCommandBytes
    this.#heaters = new Heaters(limits, this.#scanner, this.#isWidening, (code, problem) =>
      refuse(code, this.line, problem),
    )
  }

  /** Starts in the middle: `modal` is the state after `line`. */
  restore(modal: ModalState, line: number): void {
    this.line = line
    this.#position.set([modal.xNm, modal.yNm, modal.zNm])
    this.#e = modal.eNm
    this.#feed = modal.feedUmPerMin
    this.#tool = modal.tool
    this.#bits = modal.bits
    this.#heaters.restore(modal)
  }

  /** Runs a text of whole, LF-terminated lines. */
  run(text: Uint8Array): void {
    const scanner = this.#scanner
    for (let at = 0; at < text.length; at++) {
      const from = at
      at = scanner.scan(text, from)
      this.line++
      this.#onLine?.(scanner, text, from)
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
      hotendDeciC: [...this.#heaters.hotend],
      bedDeciC: this.#heaters.bed,
      chamberDeciC: this.#heaters.chamber,
      fan: this.#heaters.fan,
      tool: this.#tool,
      bits: this.#bits,
      flowPercent: this.#heaters.flowPercent,
    }
  }

  /** The limits as given, or as widened by what has run. */
  limits(): MachineLimits {
    return {
      words: new Set(WORD_NAMES.filter((_, word) => this.#allowed[word] === 1)),
      minNm: [...this.#min],
      maxNm: [...this.#max],
      maxFeedUmPerMin: this.#maxFeed,
      maxHotendDeciC: [...this.#heaters.maxHotend],
      maxBedDeciC: this.#heaters.maxBed,
      maxChamberDeciC: this.#heaters.maxChamber,
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
        // Marlin: G90/G91 switch E too; M82/M83 after it switch E alone.
        return this.#setBit(MODAL_BIT.relativeXyz | MODAL_BIT.relativeE, false)
      case 'relative':
        return this.#setBit(MODAL_BIT.relativeXyz | MODAL_BIT.relativeE, true)
      case 'absoluteE':
        return this.#setBit(MODAL_BIT.relativeE, false)
      case 'relativeE':
        return this.#setBit(MODAL_BIT.relativeE, true)
      case 'tool':
        this.#tool = Number(WORD_NAMES[word]?.slice(1))
        return
      default:
        return this.#heaters.apply(EFFECTS[word] ?? 'none', this.#tool)
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
    if (this.#onMove) this.#from.set(this.#position)
    const eBefore = this.#e
    if ((this.#bits & (MODAL_BIT.relativeXyz | MODAL_BIT.inches)) === 0) this.#moveAbsolute(mask)
    else for (let axis = 0; axis < 3; axis++) this.#moveAxis(axis, mask)
    if ((mask & HAS_E) !== 0) {
      const e = this.#length(LETTER.E)
      this.#e = (this.#bits & MODAL_BIT.relativeE) === 0 ? e : this.#e + e
    }
    if ((mask & HAS_F) !== 0) this.#setFeed()
    this.#onMove?.(this.#from, this.#position, this.#e - eBefore, this.#feed)
  }

  /** What nearly every line of a print is: absolute millimetres. */
  #moveAbsolute(mask: number): void {
    const { values } = this.#scanner
    for (let axis = 0; axis < 3; axis++) {
      const letter = FIRST_AXIS + axis
      if ((mask & (1 << letter)) === 0) continue
      const target = values[letter] as number
      this.#position[axis] = target
      this.#bits |= MODAL_BIT.knownX << axis
      this.#expectInside(axis, target, target)
    }
  }

  #moveAxis(axis: number, mask: number): void {
    const letter = FIRST_AXIS + axis
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
    const feed = Math.trunc(this.#length(LETTER.F) / 1000)
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
    if ((mask & (HAS_I | HAS_J)) === 0)
      return this.#refuse('MPF_GCODE', this.line, 'an arc without a centre')
    if (!isKnown) return this.#refuse('MPF_ENVELOPE', this.line, 'an arc from an unknown position')
    const i = (mask & HAS_I) === 0 ? 0 : this.#length(LETTER.I)
    const j = (mask & HAS_J) === 0 ? 0 : this.#length(LETTER.J)
    if (i === 0 && j === 0)
      return this.#refuse('MPF_GCODE', this.line, 'an arc around its own start')
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
      if ((letters & (1 << (FIRST_AXIS + axis))) === 0) continue
      this.#position[axis] = 0
      this.#bits &= ~(MODAL_BIT.knownX << axis)
    }
  }

  #setPosition(): void {
    if ((this.#scanner.valued & HAS_E) === 0)
      return this.#refuse('MPF_GCODE', this.line, 'G92 without E')
    this.#e = this.#length(LETTER.E)
  }

  #setBit(bits: number, isSet: boolean): void {
    this.#bits = isSet ? this.#bits | bits : this.#bits & ~bits
  }
}
