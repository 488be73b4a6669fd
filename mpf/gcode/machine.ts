/** A G-code program's effect on the machine, line by line: positions, modes, heaters, and whether each stays inside its limits. */

import { type Arc, arcBounds, arcTravelNm } from './arc.ts'
import { Heaters } from './heaters.ts'
import { isLayerComment } from './layers.ts'
import type { MachineLimits, Refusal } from './limits.ts'
import { problemOf } from './line-problems.ts'
import type { LineListener, MachineOptions, MoveListener } from './listeners.ts'
import { MODAL_BIT, type ModalState } from './modal.ts'
import { MODES } from './modes.ts'
import { MotionEnvelope } from './motion-envelope.ts'
import { ALL_AXES, axesIn, bit, LineScanner, MALFORMED, WORD_NAMES } from './scanner.ts'
import { WORDS } from './words.ts'

const LF = 10
const SEMICOLON = 59
/** Index of each parameter letter in the scanner's values. */
const LETTER = { E: 4, F: 5, I: 8, J: 9, P: 15 } as const
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
const EFFECTS = WORD_NAMES.map(name => WORDS[name]?.effect ?? 'none')

export type { LineListener, MoveListener, ProgramListeners } from './listeners.ts'

/**
 * Follows a program through blocks of whole lines. With `isWidening` the limits grow to whatever the program does
 * (MPF_GCODE alone is refused): that is how a writer measures the envelope it signs.
 */
export class Machine {
  /** Line last scanned, from 1. */
  line = 0
  /** Layers begun so far. */
  layers = 0
  readonly #scanner = new LineScanner()
  readonly #refuse: Refusal
  readonly #isWidening: boolean
  readonly #envelope: MotionEnvelope
  readonly #onMove: MoveListener | undefined
  readonly #onLine: LineListener | undefined
  readonly #from = new Float64Array(3)
  readonly #allowed: Uint8Array
  #maxCommandBytes: number
  readonly #heaters: Heaters
  readonly #position = new Float64Array(3)
  #e = 0
  /** Of the last move: filament fed, and the square of its way, in nanometres; 0 where an axis came from nowhere known. */
  #fed = 0
  #travelSquared = 0
  #feed = 0
  #tool = 0
  #bits = 0

  constructor(limits: MachineLimits, refuse: Refusal, options: MachineOptions = {}) {
    this.#refuse = refuse
    this.#isWidening = options.isWidening ?? false
    this.#onMove = options.onMove
    this.#onLine = options.onLine
    this.#allowed = Uint8Array.from(WORD_NAMES, name => (limits.words.has(name) ? 1 : 0))
    this.#maxCommandBytes = limits.maxCommandBytes
    const refuseHere = (code: Parameters<Refusal>[0], problem: string) =>
      refuse(code, this.line, problem)
    this.#envelope = new MotionEnvelope(limits, this.#isWidening, refuseHere)
    this.#heaters = new Heaters(limits, this.#scanner, this.#isWidening, refuseHere)
  }

  /** Starts in the middle: `modal` is the state after `line`. */
  restore(modal: ModalState, line: number, layers = 0): void {
    this.line = line
    this.layers = layers
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
      else if (text[from] === SEMICOLON && isLayerComment(text, from, at)) this.layers++
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
      minNm: [...this.#envelope.minNm],
      maxNm: [...this.#envelope.maxNm],
      maxFeedUmPerMin: this.#envelope.maxFeedUmPerMin,
      maxExtrusionUmPerMm: this.#envelope.maxExtrusionUmPerMm,
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
    if (effect === 'move') this.#straight()
    else if (effect !== 'none') this.#change(word)
  }

  #change(word: number): void {
    const effect = EFFECTS[word] ?? 'none'
    const mode = MODES[effect]
    if (mode) {
      this.#bits = (this.#bits & ~mode.clear) | mode.set
      return
    }
    const problem = problemOf(effect, this.#scanner)
    if (problem) return this.#refuse(problem[0], this.line, problem[1])
    switch (effect) {
      case 'arc':
        return this.#arc(WORD_NAMES[word] === 'G2')
      case 'home':
        return this.#forget(axesIn(this.#scanner.mask, ALL_AXES))
      case 'release':
        // Motors off: where those axes then are, no controller knows. S alone is a time of idleness.
        return this.#forget(axesIn(this.#scanner.mask, this.#scanner.mask === 0 ? ALL_AXES : 0))
      case 'setPosition':
        this.#e = this.#length(LETTER.E)
        return this.#envelope.expectFilament(this.#e)
      case 'feedFactor':
        return
      case 'retraction':
        if ((this.#scanner.mask & HAS_F) !== 0) this.#envelope.feedAfter(this.#feedValue(), 0)
        return
      case 'tool':
        return this.#changeTool(Number(WORD_NAMES[word]?.slice(1)))
      default:
        return this.#heaters.apply(effect, this.#tool)
    }
  }

  /** A controller keeps one flow a tool and the state one for all: whatever a tool is left with must not count for less later. */
  #changeTool(tool: number): void {
    if (tool !== this.#tool && this.#heaters.flowPercent > 100)
      return this.#refuse('MPF_GCODE', this.line, 'a tool change with a flow above 100 percent')
    this.#tool = tool
  }

  /** A length in nanometres, in the units in force. */
  #length(letter: number): number {
    const value = this.#scanner.values[letter] as number
    return (this.#bits & MODAL_BIT.inches) === 0 ? value : Math.trunc((value * INCH_NUMERATOR) / 10)
  }

  #straight(): void {
    this.#move()
    if (this.#fed <= 0 || this.#travelSquared === 0) return
    const { flowPercent } = this.#heaters
    this.#envelope.expectExtrusion(this.#fed, Math.sqrt(this.#travelSquared), flowPercent)
  }

  #move(): void {
    const mask = this.#scanner.mask
    this.#fed = 0
    this.#travelSquared = 0
    if (this.#scanner.valued !== mask)
      return this.#refuse('MPF_GCODE', this.line, 'an axis without a number')
    if (this.#onMove) this.#from.set(this.#position)
    const unknown = (mask >> FIRST_AXIS) & ~(this.#bits >> FIRST_KNOWN)
    const eBefore = this.#e
    if ((this.#bits & (MODAL_BIT.relativeXyz | MODAL_BIT.inches)) === 0) this.#moveAbsolute(mask)
    else for (let axis = 0; axis < 3; axis++) this.#moveAxis(axis, mask)
    if ((mask & HAS_E) !== 0) {
      const e = this.#length(LETTER.E)
      this.#e = (this.#bits & MODAL_BIT.relativeE) === 0 ? e : this.#e + e
      this.#fed = this.#e - eBefore
      this.#envelope.expectFilament(this.#e)
    }
    if (unknown !== 0) this.#travelSquared = 0
    if ((mask & HAS_F) !== 0) this.#feed = this.#envelope.feedAfter(this.#feedValue(), this.#feed)
    this.#onMove?.(this.#from, this.#position, this.#e - eBefore, this.#feed)
  }

  /** What nearly every line of a print is: absolute millimetres. */
  #moveAbsolute(mask: number): void {
    const { values } = this.#scanner
    for (let axis = 0; axis < 3; axis++) {
      const letter = FIRST_AXIS + axis
      if ((mask & (1 << letter)) === 0) continue
      this.#reach(axis, values[letter] as number)
    }
  }

  #moveAxis(axis: number, mask: number): void {
    const letter = FIRST_AXIS + axis
    if ((mask & (1 << letter)) === 0) return
    let target = this.#length(letter)
    if ((this.#bits & MODAL_BIT.relativeXyz) !== 0) {
      if ((this.#bits & (MODAL_BIT.knownX << axis)) === 0)
        return this.#refuse(
          'MPF_ENVELOPE',
          this.line,
          `${AXIS_NAMES[axis]} moves relatively from an unknown position`,
        )
      target += this.#position[axis] as number
    }
    this.#reach(axis, target)
  }

  #reach(axis: number, target: number): void {
    const way = target - (this.#position[axis] as number)
    this.#travelSquared += way * way
    this.#position[axis] = target
    this.#bits |= MODAL_BIT.knownX << axis
    this.#envelope.expectInside(axis, target, target)
  }

  /** F in micrometres a minute. */
  #feedValue(): number {
    return Math.trunc(this.#length(LETTER.F) / 1000)
  }

  #arc(isClockwise: boolean): void {
    const { mask } = this.#scanner
    const [fromX, fromY, fromZ] = this.#position as unknown as readonly [number, number, number]
    const isKnown = (this.#bits & MODAL_BIT.knownX) !== 0 && (this.#bits & MODAL_BIT.knownY) !== 0
    const wasZUnknown = (mask & HAS_Z) !== 0 && (this.#bits & MODAL_BIT.knownZ) === 0
    if (!isKnown) return this.#refuse('MPF_ENVELOPE', this.line, 'an arc from an unknown position')
    const i = (mask & HAS_I) === 0 ? 0 : this.#length(LETTER.I)
    const j = (mask & HAS_J) === 0 ? 0 : this.#length(LETTER.J)
    this.#move()
    const [toX, toY, toZ] = this.#position as unknown as readonly [number, number, number]
    const isWhole = (mask & HAS_P) !== 0 && this.#scanner.values[LETTER.P] !== 0
    const arc: Arc = { fromX, fromY, toX, toY, i, j, isClockwise, isWhole }
    const [lowX, lowY, highX, highY] = arcBounds(arc)
    // Sines differ in their last bit between libraries: what a writer measured, another reader must accept.
    const slackNm = this.#isWidening ? 0 : ARC_SLACK_NM
    this.#envelope.expectInside(0, Math.round(lowX) + slackNm, Math.round(highX) - slackNm)
    this.#envelope.expectInside(1, Math.round(lowY) + slackNm, Math.round(highY) - slackNm)
    if (this.#fed <= 0 || wasZUnknown) return
    const { flowPercent } = this.#heaters
    this.#envelope.expectExtrusion(this.#fed, arcTravelNm(arc, toZ - fromZ), flowPercent)
  }

  /** After homing they are where the firmware's home is, which the program does not say. */
  #forget(letters: number): void {
    for (let axis = 0; axis < 3; axis++) {
      if ((letters & (1 << (FIRST_AXIS + axis))) === 0) continue
      this.#position[axis] = 0
      this.#bits &= ~(MODAL_BIT.knownX << axis)
    }
  }
}
