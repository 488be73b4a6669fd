/** The part as a program draws it: the box of what is extruded, and how many moves it takes. */

import type { PartGeometry } from '../metadata.ts'

const NM_PER_UM = 1000

/** X, Y, Z in micrometres. */
type Point = [x: number, y: number, z: number]

/** Collects moves that travel. One that also feeds filament extrudes; the box holds both its ends. */
export class PartMeter {
  extrusionMoves = 0
  travelMoves = 0
  readonly #minNm = new Float64Array(3).fill(Infinity)
  readonly #maxNm = new Float64Array(3).fill(-Infinity)

  add(from: Float64Array, to: Float64Array, isExtruding: boolean): void {
    if (!isExtruding) {
      this.travelMoves++
      return
    }
    this.extrusionMoves++
    for (let axis = 0; axis < 3; axis++) {
      this.include(axis, from[axis] as number)
      this.include(axis, to[axis] as number)
    }
  }

  /** Widens the box by what lies between the ends of a move. */
  include(axis: number, nm: number): void {
    if (nm < (this.#minNm[axis] as number)) this.#minNm[axis] = nm
    if (nm > (this.#maxNm[axis] as number)) this.#maxNm[axis] = nm
  }

  /** Undefined when nothing is extruded. */
  box(): { readonly minUm: Point; readonly maxUm: Point } | undefined {
    if (this.extrusionMoves === 0) return undefined
    return { minUm: micrometres(this.#minNm), maxUm: micrometres(this.#maxNm) }
  }

  /** What the metadata says (SPEC 6.5); undefined when nothing is extruded. */
  geometry(): PartGeometry | undefined {
    const { extrusionMoves, travelMoves } = this
    const box = this.box()
    return box && { ...box, extrusionMoves, travelMoves }
  }

  /** Collects every move of a Machine. */
  onMove(from: Float64Array, to: Float64Array, eNm: number): void {
    if (from[0] !== to[0] || from[1] !== to[1] || from[2] !== to[2]) this.add(from, to, eNm > 0)
  }
}

function micrometres(nm: Float64Array): Point {
  const [x = 0, y = 0, z = 0] = Array.from(nm, value => Math.round(value / NM_PER_UM))
  return [x, y, z]
}
