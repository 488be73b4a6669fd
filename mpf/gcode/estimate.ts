/** What a print will take: time and lines by layer, filament by tool, the box it fills. Follows a program while it is checked. */

import { arcBounds } from './arc.ts'
import { type ArcSweep, eachChord } from './estimate-arc.ts'
import type { Kinematics } from './estimate-kinematics.ts'
import { type LayerEstimate, LayerTable } from './estimate-layers.ts'
import { TrapezoidPlanner } from './estimate-planner.ts'
import { EstimateSettings } from './estimate-settings.ts'
import { PartMeter } from './geometry.ts'
import { isLayerComment } from './layers.ts'
import type { LineListener, MoveListener, ProgramListeners } from './listeners.ts'
import { TOOLS } from './modal.ts'
import { EMPTY, type LineScanner } from './scanner.ts'
import { WORD_NAMES } from './tables.ts'
import { WORDS } from './words.ts'

const MM_PER_NM = 1e-6
const NM_PER_UM = 1000
const UM_PER_MIN_TO_MM_PER_S = 1 / 60_000
/** Nanometres in a millionth of an inch, as the model of the machine has it. */
const NM_PER_MICROINCH = 25.4
const SEMICOLON = 59
const LF = 10
const I = 8
const J = 9
const EFFECTS = WORD_NAMES.map(name => WORDS[name]?.effect ?? 'none')
const IS_CLOCKWISE = WORD_NAMES.map(name => name === 'G2')

/** X, Y, Z. */
type Point = readonly [x: number, y: number, z: number]

/** A whole program. Heating, homing and tool changes are in no time given: nobody can know them from the text. */
export interface PrintEstimate {
  readonly timeS: number
  /** Of it: G4. */
  readonly dwellS: number
  readonly lines: number
  readonly commands: number
  readonly extrusionMoves: number
  readonly travelMoves: number
  /** Retractions and their return. */
  readonly filamentMoves: number
  /** Filament fed by tool, T0 to T3, retractions taken off and M221 applied. */
  readonly filamentUm: readonly number[]
  /** Box of what is extruded. */
  readonly box: { readonly minUm: Point; readonly maxUm: Point } | undefined
  readonly layers: readonly LayerEstimate[]
}

/** Follows one program. Memory: the planner's window and one row a layer, however long the program. */
export class PrintEstimator {
  /** To be told of every line and move, in order. */
  readonly listeners: Required<ProgramListeners>
  readonly #planner: TrapezoidPlanner
  readonly #settings: EstimateSettings
  readonly #layers = new LayerTable()
  readonly #filamentNm = new Float64Array(TOOLS)
  readonly #part = new PartMeter()
  #filamentMoves = 0
  #dwellS = 0
  /** The arc whose move comes next. */
  #arc: ArcSweep | undefined
  #isInches = false

  constructor(kinematics: Kinematics) {
    this.#planner = new TrapezoidPlanner(kinematics, this.#layers)
    this.#settings = new EstimateSettings(this.#planner, dwellS => {
      this.#dwellS += dwellS
      this.#layers.addDwell(dwellS)
    })
    const onLine: LineListener = (scanner, text, from) => this.#readLine(scanner, text, from)
    const onMove: MoveListener = (from, to, eNm, feed) => this.#addMove(from, to, eNm, feed)
    this.listeners = { onLine, onMove }
  }

  /** The result; once, after the last line. */
  finish(): PrintEstimate {
    this.#planner.flush()
    const layers = this.#layers.rows()
    const sum = (of: (layer: LayerEstimate) => number) =>
      layers.reduce((total, layer) => total + of(layer), 0)
    return {
      timeS: sum(({ timeS }) => timeS),
      dwellS: this.#dwellS,
      lines: sum(({ lines }) => lines),
      commands: sum(({ commands }) => commands),
      extrusionMoves: this.#part.extrusionMoves,
      travelMoves: this.#part.travelMoves,
      filamentMoves: this.#filamentMoves,
      filamentUm: [...this.#filamentNm].map(nm => Math.round(nm / NM_PER_UM)),
      box: this.#part.box(),
      layers,
    }
  }

  #readLine(scanner: LineScanner, text: Uint8Array, from: number): void {
    if (scanner.word === EMPTY) {
      if (text[from] === SEMICOLON && isLayerComment(text, from, text.indexOf(LF, from)))
        this.#layers.begin()
      this.#layers.addLine(0)
      return
    }
    this.#layers.addLine(scanner.commandBytes)
    const effect = EFFECTS[scanner.word]
    if (effect === 'move') return
    if (effect === 'arc') this.#arc = this.#arcOf(scanner)
    else if (effect === 'inches' || effect === 'millimetres') this.#isInches = effect === 'inches'
    else this.#settings.apply(scanner)
  }

  #arcOf({ values, mask, word }: LineScanner): ArcSweep {
    const of = (letter: number) => {
      const value = (mask & (1 << letter)) === 0 ? 0 : (values[letter] as number)
      return this.#isInches ? value * NM_PER_MICROINCH : value
    }
    return { i: of(I), j: of(J), isClockwise: IS_CLOCKWISE[word] ?? false }
  }

  #addMove(from: Float64Array, to: Float64Array, eNm: number, feedUmPerMin: number): void {
    const { flow, speed, tool } = this.#settings
    const fedNm = eNm * flow
    const move = this.#planner.move
    const x = (to[0] as number) - (from[0] as number)
    const y = (to[1] as number) - (from[1] as number)
    const z = (to[2] as number) - (from[2] as number)
    const isTravelling = x !== 0 || y !== 0 || z !== 0
    move[0] = x * MM_PER_NM
    move[1] = y * MM_PER_NM
    move[2] = z * MM_PER_NM
    move[3] = fedNm * MM_PER_NM
    move[4] = feedUmPerMin * UM_PER_MIN_TO_MM_PER_S * speed
    this.#filamentNm[tool] = (this.#filamentNm[tool] as number) + fedNm
    if (isTravelling || this.#arc) this.#countMove(from, to, eNm > 0)
    else if (eNm !== 0) this.#filamentMoves++
    if (this.#arc) this.#pushArc(this.#arc, from, to)
    else this.#planner.push(this.#layers.current)
  }

  #pushArc(arc: ArcSweep, from: Float64Array, to: Float64Array): void {
    const { move } = this.#planner
    const [z, e] = [move[2] as number, move[3] as number]
    eachChord(from, to, arc, (dx, dy, part) => {
      move[0] = dx * MM_PER_NM
      move[1] = dy * MM_PER_NM
      move[2] = z * part
      move[3] = e * part
      this.#planner.push(this.#layers.current)
    })
    this.#arc = undefined
  }

  #countMove(from: Float64Array, to: Float64Array, isExtruding: boolean): void {
    this.#part.add(from, to, isExtruding)
    if (!this.#arc || !isExtruding) return
    const [fromX, fromY] = [from[0] as number, from[1] as number]
    const [toX, toY] = [to[0] as number, to[1] as number]
    const [lowX, lowY, highX, highY] = arcBounds({ fromX, fromY, toX, toY, ...this.#arc })
    this.#part.include(0, lowX)
    this.#part.include(0, highX)
    this.#part.include(1, lowY)
    this.#part.include(1, highY)
  }
}
