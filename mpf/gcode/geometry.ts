/** The part as the program draws it: the box of the ends of extruding moves, and how many moves it takes. */

import type { PartGeometry } from '../metadata.ts'
import type { MoveListener } from './machine.ts'

const NM_PER_UM = 1000

export interface GeometryMeter {
  readonly onMove: MoveListener
  /** Undefined when nothing is extruded. */
  geometry(): PartGeometry | undefined
}

/** Collects moves of a Machine. A move that travels and feeds filament extrudes; the box holds both its ends. */
export function createGeometryMeter(): GeometryMeter {
  const min = [Infinity, Infinity, Infinity]
  const max = [-Infinity, -Infinity, -Infinity]
  let [extrusionMoves, travelMoves] = [0, 0]
  return {
    onMove(from, to, eNm) {
      const isTravelling = from[0] !== to[0] || from[1] !== to[1] || from[2] !== to[2]
      if (!isTravelling) return
      if (eNm <= 0) {
        travelMoves++
        return
      }
      extrusionMoves++
      for (let axis = 0; axis < 3; axis++) {
        const [a, b] = [from[axis] as number, to[axis] as number]
        min[axis] = Math.min(a, b, min[axis] as number)
        max[axis] = Math.max(a, b, max[axis] as number)
      }
    },
    geometry() {
      if (extrusionMoves === 0) return undefined
      return { minUm: micrometres(min), maxUm: micrometres(max), extrusionMoves, travelMoves }
    },
  }
}

function micrometres(nm: readonly number[]): [number, number, number] {
  const [x = 0, y = 0, z = 0] = nm.map(value => Math.round(value / NM_PER_UM))
  return [x, y, z]
}
