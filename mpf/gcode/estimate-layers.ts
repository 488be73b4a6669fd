/** Lines and time by layer, as lines are read and as moves become final some way behind them. */

import type { PlannedMoves } from './estimate-planner.ts'

/** Beyond it layers are added to the last one: the table must not grow with what a stranger writes into comments. */
export const MAX_LAYERS = 20_000
/** Moves over which the densest passage of a layer is measured: four times what Marlin holds in its planner. */
const WINDOW_MOVES = 64

/** One layer; 0 is what comes before the first. */
export interface LayerEstimate {
  readonly layer: number
  /** Lines of the sealed text, and how many of them go to the controller. */
  readonly lines: number
  readonly commands: number
  /** Bytes of those commands as written, without terminator or framing. */
  readonly commandBytes: number
  readonly timeS: number
  /** Moves a second over its densest 64 moves; 0 where none begin in it. */
  readonly peakMovesPerS: number
}

interface LayerLines {
  lines: number
  commands: number
  commandBytes: number
}

export class LayerTable implements PlannedMoves {
  readonly #lines: LayerLines[] = []
  readonly #timeS: number[] = []
  readonly #peak: number[] = []
  /** Seconds of the window so far. */
  readonly #windowS = new Float64Array(1)
  #windowMoves = 0

  constructor() {
    this.begin()
  }

  /** The layer lines belong to now. */
  get current(): number {
    return this.#lines.length - 1
  }

  begin(): void {
    if (this.#lines.length > MAX_LAYERS) return
    this.#lines.push({ lines: 0, commands: 0, commandBytes: 0 })
    this.#timeS.push(0)
    this.#peak.push(0)
  }

  /** A line; `commandBytes` 0 for one without a command. */
  addLine(commandBytes: number): void {
    const layer = this.#lines[this.#lines.length - 1] as LayerLines
    layer.lines++
    if (commandBytes === 0) return
    layer.commands++
    layer.commandBytes += commandBytes
  }

  /** Time in which nothing moves. */
  addDwell(dwellS: number): void {
    this.#timeS[this.current] = (this.#timeS[this.current] as number) + dwellS
  }

  add(planned: Float64Array, layer: number): void {
    const durationS = planned[0] as number
    const window = this.#windowS
    this.#timeS[layer] = (this.#timeS[layer] as number) + durationS
    window[0] = (window[0] as number) + durationS
    this.#windowMoves++
    if (this.#windowMoves < WINDOW_MOVES) return
    this.#peak[layer] = Math.max(this.#peak[layer] as number, WINDOW_MOVES / (window[0] as number))
    this.#windowMoves = 0
    window[0] = 0
  }

  rows(): readonly LayerEstimate[] {
    return this.#lines.map((lines, layer) => ({
      layer,
      ...lines,
      timeS: this.#timeS[layer] ?? 0,
      peakMovesPerS: this.#peak[layer] ?? 0,
    }))
  }
}
