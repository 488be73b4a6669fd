/** The box a G2/G3 arc sweeps: end points alone would let a program bulge out of the envelope. */

/** Nanometres. `i`, `j` are the centre relative to the start. */
export interface Arc {
  readonly fromX: number
  readonly fromY: number
  readonly toX: number
  readonly toY: number
  readonly i: number
  readonly j: number
  readonly isClockwise: boolean
  /** It may go round once more. */
  readonly isWhole?: boolean
}

const QUARTER_TURN = Math.PI / 2
const AXIS_DIRECTIONS: readonly (readonly [number, number])[] = [
  [1, 0],
  [0, 1],
  [-1, 0],
  [0, -1],
]

/**
 * Where a controller computing in 32-bit floats may see no way left between start and end, and turn a full circle instead
 * (Marlin's plan_arc: ends within 1e-6 mm are identical; a float at 1 m is 61 nm coarse, an angle from its cross product 3e-7).
 */
const SAME_POINT_NM = 1000
const SAME_ANGLE = 1e-6

/** `[minX, minY, maxX, maxY]`; equal end points mean a full circle, as in Marlin and RS274. */
export function arcBounds(arc: Arc): readonly [number, number, number, number] {
  const centreX = arc.fromX + arc.i
  const centreY = arc.fromY + arc.j
  const start = Math.atan2(-arc.j, -arc.i)
  const end = Math.atan2(arc.toY - centreY, arc.toX - centreX)
  const isClosed =
    arc.isWhole || Math.hypot(arc.toX - arc.fromX, arc.toY - arc.fromY) <= SAME_POINT_NM
  const sweep = isClosed ? 2 * Math.PI : sweepOf(arc.isClockwise ? start - end : end - start)
  // The end point may lie off the start's circle; the larger radius bounds both. A controller keeps to the start's until
  // the end angle and goes straight to the end point from there, or spirals.
  const startRadius = Math.hypot(arc.i, arc.j)
  const radius = Math.max(startRadius, Math.hypot(arc.toX - centreX, arc.toY - centreY))
  const xs = [arc.fromX, arc.toX]
  const ys = [arc.fromY, arc.toY]
  for (const [angle, reach] of [
    [start, radius],
    [end, radius],
    [end, startRadius],
  ] as const) {
    xs.push(centreX + reach * Math.cos(angle))
    ys.push(centreY + reach * Math.sin(angle))
  }
  for (const [quarter, [x, y]] of AXIS_DIRECTIONS.entries()) {
    const angle = quarter * QUARTER_TURN
    if (positive(arc.isClockwise ? start - angle : angle - start) > sweep) continue
    xs.push(centreX + radius * x)
    ys.push(centreY + radius * y)
  }
  return [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)]
}

/**
 * The least way a controller may take along the arc, `dz` included: a radius between those of its two ends, and no turn where
 * rounding may turn a full circle into none. Less way for the same filament is the worse case.
 */
export function arcTravelNm(arc: Arc, dz: number): number {
  const gap = Math.hypot(arc.toX - arc.fromX, arc.toY - arc.fromY)
  const toCentreX = arc.toX - arc.fromX - arc.i
  const toCentreY = arc.toY - arc.fromY - arc.j
  const radius = Math.min(Math.hypot(arc.i, arc.j), Math.hypot(toCentreX, toCentreY))
  if (gap === 0) return Math.hypot(2 * Math.PI * radius, dz)
  const [start, end] = [Math.atan2(-arc.j, -arc.i), Math.atan2(toCentreY, toCentreX)]
  const turn = positive(arc.isClockwise ? start - end : end - start)
  const isDoubtful = gap <= SAME_POINT_NM || turn < SAME_ANGLE || turn > 2 * Math.PI - SAME_ANGLE
  return Math.hypot(isDoubtful ? gap : Math.max(gap, radius * turn), dz)
}

function positive(angle: number): number {
  return ((angle % (2 * Math.PI)) + 2 * Math.PI) % (2 * Math.PI)
}

/** The angle travelled; none at all means a full turn. */
function sweepOf(angle: number): number {
  const turn = positive(angle)
  return turn < SAME_ANGLE ? 2 * Math.PI : turn
}
