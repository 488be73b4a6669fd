/** An arc as the chords a controller makes of it, so that its length and corners count. */

/** Marlin's MAX_ARC_SEGMENT_MM, and a bound for arcs of a stranger's making. */
const CHORD_NM = 1e6
const MAX_CHORDS = 1000
/** As `arcBounds`: below these a controller turns a full circle. */
const SAME_POINT_NM = 1000
const SAME_ANGLE = 1e-6

/** Nanometres; `i`, `j` are the centre relative to the start. */
export interface ArcSweep {
  readonly i: number
  readonly j: number
  readonly isClockwise: boolean
}

/** Calls `chord` with the X and Y way of each chord in turn, and the part of the whole arc it is. */
export function eachChord(
  from: Float64Array,
  to: Float64Array,
  { i, j, isClockwise }: ArcSweep,
  chord: (dxNm: number, dyNm: number, part: number) => void,
): void {
  const [fromX, fromY] = [from[0] as number, from[1] as number]
  const [toX, toY] = [to[0] as number, to[1] as number]
  const [centreX, centreY] = [fromX + i, fromY + j]
  const radius = Math.hypot(i, j)
  const start = Math.atan2(-j, -i)
  const isClosed = Math.hypot(toX - fromX, toY - fromY) <= SAME_POINT_NM
  const end = Math.atan2(toY - centreY, toX - centreX)
  const sweep = isClosed ? 2 * Math.PI : turnOf(isClockwise ? start - end : end - start)
  const chords = Math.min(MAX_CHORDS, Math.max(1, Math.ceil((radius * sweep) / CHORD_NM)))
  const step = ((isClockwise ? -1 : 1) * sweep) / chords
  let [x, y] = [fromX, fromY]
  for (let n = 1; n <= chords; n++) {
    const angle = start + n * step
    const nextX = n === chords ? toX : centreX + radius * Math.cos(angle)
    const nextY = n === chords ? toY : centreY + radius * Math.sin(angle)
    chord(nextX - x, nextY - y, 1 / chords)
    x = nextX
    y = nextY
  }
}

function turnOf(angle: number): number {
  const turn = ((angle % (2 * Math.PI)) + 2 * Math.PI) % (2 * Math.PI)
  return turn < SAME_ANGLE ? 2 * Math.PI : turn
}
