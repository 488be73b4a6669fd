/** A G-code program's effect on the machine, line by line: positions, modes, heaters, and whether each stays inside its limits. */

import { Heaters } from './heaters.ts'
import { isLayerComment } from './layers.ts'
import type { MachineLimits, Refusal } from './limits.ts'
import { problemOf } from './line-problems.ts'
import type { LineListener, MachineOptions } from './listeners.ts'
import type { ModalState } from './modal.ts'
import { MODES } from './modes.ts'
import { Motion } from './motion.ts'
import { MotionEnvelope } from './motion-envelope.ts'
import { ALL_AXES, axesIn, LineScanner, MALFORMED } from './scanner.ts'
import { compileTables, FORMAT_TABLES, WORD_NAMES } from './tables.ts'
import { WORDS } from './words.ts'

const LF = 10
const SEMICOLON = 59
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
  readonly #scanner: LineScanner
  readonly #refuse: Refusal
  readonly #onLine: LineListener | undefined
  /** Words met, and the longest command: what a widening machine measures. */
  readonly #met: Uint8Array
  #maxCommandBytes: number
  readonly #envelope: MotionEnvelope
  readonly #heaters: Heaters
  readonly #motion: Motion
  #tool = 0

  constructor(limits: MachineLimits, refuse: Refusal, options: MachineOptions = {}) {
    const { isWidening = false, onMove } = options
    this.#refuse = refuse
    this.#onLine = options.onLine
    const scanner = new LineScanner(
      isWidening ? FORMAT_TABLES : compileTables(limits.words, limits.maxCommandBytes),
    )
    this.#scanner = scanner
    this.#met = Uint8Array.from(WORD_NAMES, name => (limits.words.has(name) ? 1 : 0))
    this.#maxCommandBytes = limits.maxCommandBytes
    const refuseHere = (code: Parameters<Refusal>[0], problem: string) =>
      refuse(code, this.line, problem)
    const envelope = new MotionEnvelope(limits, isWidening, refuseHere)
    this.#envelope = envelope
    this.#heaters = new Heaters(limits, scanner, isWidening, refuseHere)
    this.#motion = new Motion({ scanner, envelope, refuse: refuseHere, isWidening, onMove })
  }

  /** The active tool. */
  get tool(): number {
    return this.#tool
  }

  /** Flow in force (M221). */
  get flowPercent(): number {
    return this.#heaters.flowPercent
  }

  /** Starts in the middle: `modal` is the state after `line`. */
  restore(modal: ModalState, line: number, layers = 0): void {
    this.line = line
    this.layers = layers
    this.#tool = modal.tool
    this.#motion.restore(modal)
    this.#heaters.restore(modal)
  }

  /** Runs a text of whole, LF-terminated lines. */
  run(text: Uint8Array): void {
    const scanner = this.#scanner
    const isWhole = text.at(-1) === LF
    for (let at = 0; at < text.length; at++) {
      const from = at
      at = scanner.scan(text, from)
      this.line++
      this.#onLine?.(scanner, text, from)
      if (scanner.word >= 0) this.#execute(scanner.word)
      else if (scanner.word === MALFORMED) this.#refuse('MPF_GCODE', this.line, scanner.problem)
      else if (text[from] === SEMICOLON && isLayerComment(text, from, at)) this.layers++
    }
    if (!isWhole) this.#refuse('MPF_GCODE', this.line, 'a last line without LF')
  }

  /** The state now. */
  modal(): ModalState {
    const { position, eNm, feedUmPerMin, bits } = this.#motion
    const { hotend, bed, chamber, fan, flowPercent } = this.#heaters
    return {
      xNm: position[0] ?? 0,
      yNm: position[1] ?? 0,
      zNm: position[2] ?? 0,
      eNm,
      feedUmPerMin,
      hotendDeciC: [...hotend],
      bedDeciC: bed,
      chamberDeciC: chamber,
      fan,
      tool: this.#tool,
      bits,
      flowPercent,
    }
  }

  /** The limits as given, or as widened by what has run. */
  limits(): MachineLimits {
    return {
      words: new Set(WORD_NAMES.filter((_, word) => this.#met[word] === 1)),
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
    const { commandBytes } = this.#scanner
    if (commandBytes > this.#maxCommandBytes) this.#maxCommandBytes = commandBytes
    this.#met[word] = 1
    const effect = EFFECTS[word]
    if (effect === 'move') this.#motion.straight(this.#heaters.flowPercent)
    else if (effect !== 'none') this.#change(word)
  }

  #change(word: number): void {
    const effect = EFFECTS[word] ?? 'none'
    const motion = this.#motion
    const mode = MODES[effect]
    if (mode) return motion.change(mode)
    const { mask } = this.#scanner
    const problem = problemOf(effect, this.#scanner)
    if (problem) return this.#refuse(problem[0], this.line, problem[1])
    switch (effect) {
      case 'arc':
        return motion.arc(WORD_NAMES[word] === 'G2', this.#heaters.flowPercent)
      case 'home':
        return motion.forget(axesIn(mask, ALL_AXES))
      case 'release':
        // Motors off: where those axes then are, no controller knows. S alone is a time of idleness.
        return motion.forget(axesIn(mask, mask === 0 ? ALL_AXES : 0))
      case 'setPosition':
        return motion.setFilament()
      case 'feedFactor':
        return
      case 'retraction':
        return motion.checkRetraction()
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
}
