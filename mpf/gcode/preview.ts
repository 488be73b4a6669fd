/** A small picture of the toolpath: what is extruded, seen from above or at an angle, as SVG of bounded size. No line of the program is in it. */

import { eachChord } from './estimate-arc.ts'
import { isLayerComment } from './layers.ts'
import type { LineListener, MoveListener, ProgramListeners } from './machine.ts'
import { type PreviewPath, pathsToSvg } from './preview-svg.ts'
import { EMPTY } from './scanner.ts'
import { WORD_NAMES } from './tables.ts'

const MM_PER_NM = 1e-6
const SEMICOLON = 59
const LF = 10
const I = 8
const J = 9
const COS_30 = Math.cos(Math.PI / 6)
const SIN_30 = 0.5
/** What is kept of a print of any length; thinned whenever it grows beyond. */
const MAX_POINTS = 24_000
/** A hair of what a nozzle draws. */
const FIRST_TOLERANCE_MM = 0.2
/** Layers shown of a high part: more are thinner than a line of the picture. */
const MAX_LAYERS_SHOWN = 80

const IS_ARC = WORD_NAMES.map(name => name === 'G2' || name === 'G3')
const IS_CLOCKWISE = WORD_NAMES.map(name => name === 'G2')

export interface PreviewOptions {
  readonly view: 'isometric' | 'top'
  /** Only this layer, from 1; without it the whole part. */
  readonly layer?: number | undefined
  /** Layers in all as the file says: which of many are shown. */
  readonly layers: number
  readonly maxBytes: number
}

/** Follows one program. Memory is bounded whatever the program. */
export class PreviewDrawer {
  readonly listeners: Required<ProgramListeners>
  readonly #options: PreviewOptions
  readonly #stride: number
  #paths: PreviewPath[] = []
  #points = 0
  #toleranceMm = FIRST_TOLERANCE_MM
  #layer = 0
  #path: PreviewPath | undefined
  /** Where the pen is, in the picture. */
  #penX = Number.NaN
  #penY = Number.NaN
  #arc: { readonly i: number; readonly j: number; readonly isClockwise: boolean } | undefined

  constructor(options: PreviewOptions) {
    this.#options = options
    this.#stride = Math.max(1, Math.ceil(options.layers / MAX_LAYERS_SHOWN))
    const onLine: LineListener = (scanner, text, from) => {
      const { word, values, mask } = scanner
      if (word === EMPTY) {
        const isComment = text[from] === SEMICOLON
        if (isComment && isLayerComment(text, from, text.indexOf(LF, from))) this.#beginLayer()
        return
      }
      if (!IS_ARC[word]) return
      const of = (letter: number) => ((mask & (1 << letter)) === 0 ? 0 : (values[letter] as number))
      this.#arc = { i: of(I), j: of(J), isClockwise: IS_CLOCKWISE[word] ?? false }
    }
    const onMove: MoveListener = (from, to, eNm) => this.#addMove(from, to, eNm)
    this.listeners = { onLine, onMove }
  }

  /** The picture, not longer than `maxBytes`; once, after the last line. */
  finish(): string {
    for (;;) {
      const svg = pathsToSvg(this.#paths)
      if (svg.length <= this.#options.maxBytes || this.#points === 0) return svg
      this.#thin()
    }
  }

  #beginLayer(): void {
    this.#layer++
    this.#path = undefined
  }

  #isShown(): boolean {
    const { layer } = this.#options
    return layer === undefined ? this.#layer % this.#stride === 0 : this.#layer === layer
  }

  #addMove(from: Float64Array, to: Float64Array, eNm: number): void {
    const arc = this.#arc
    this.#arc = undefined
    const isDrawn = eNm > 0 && (arc !== undefined || from[0] !== to[0] || from[1] !== to[1])
    if (!isDrawn || !this.#isShown()) return
    const z = (to[2] as number) * MM_PER_NM
    let [x, y] = [(from[0] as number) * MM_PER_NM, (from[1] as number) * MM_PER_NM]
    this.#moveTo(x, y, z)
    if (!arc) {
      this.#lineTo((to[0] as number) * MM_PER_NM, (to[1] as number) * MM_PER_NM, z)
      return
    }
    eachChord(from, to, arc, (dx, dy) => {
      x += dx * MM_PER_NM
      y += dy * MM_PER_NM
      this.#lineTo(x, y, z)
    })
  }

  #across(x: number, y: number): number {
    return this.#options.view === 'top' ? x : (x - y) * COS_30
  }

  /** Down the page, as SVG counts. */
  #down(x: number, y: number, z: number): number {
    return this.#options.view === 'top' ? -y : -(x + y) * SIN_30 - z
  }

  #moveTo(x: number, y: number, z: number): void {
    const [across, down] = [this.#across(x, y), this.#down(x, y, z)]
    if (this.#path && Math.hypot(across - this.#penX, down - this.#penY) < this.#toleranceMm) return
    this.#begin().push([across, down])
    this.#penX = across
    this.#penY = down
  }

  #begin(): number[][] {
    this.#path ??= { layer: this.#layer, strokes: [] }
    if (this.#paths.at(-1) !== this.#path) this.#paths.push(this.#path)
    const stroke: number[][] = []
    this.#path.strokes.push(stroke)
    this.#points++
    return stroke
  }

  #lineTo(x: number, y: number, z: number): void {
    const [across, down] = [this.#across(x, y), this.#down(x, y, z)]
    if (Math.hypot(across - this.#penX, down - this.#penY) < this.#toleranceMm) return
    this.#path?.strokes.at(-1)?.push([across, down])
    this.#penX = across
    this.#penY = down
    this.#points++
    if (this.#points > MAX_POINTS) this.#thin()
  }

  /** Twice the tolerance: points closer to the one before go, and strokes that shrink to a point. */
  #thin(): void {
    this.#toleranceMm *= 2
    this.#points = 0
    for (const path of this.#paths) {
      path.strokes = path.strokes
        .map(stroke => thinned(stroke, this.#toleranceMm))
        .filter(stroke => stroke.length > 1)
      this.#points += path.strokes.reduce((sum, stroke) => sum + stroke.length, 0)
    }
    this.#paths = this.#paths.filter(path => path.strokes.length > 0)
    this.#path = undefined
  }
}

function thinned(stroke: readonly (readonly number[])[], toleranceMm: number): number[][] {
  let [lastX, lastY] = [Number.NaN, Number.NaN]
  return stroke.flatMap(([x = 0, y = 0]) => {
    if (Math.hypot(x - lastX, y - lastY) < toleranceMm) return []
    lastX = x
    lastY = y
    return [[x, y]]
  })
}
