/** How far a print is, from acknowledged lines alone. Pure. */

import type { JobProgress } from '#lib/control-protocol.ts'

/** Below these an estimate by proportion is noise: heating and the first layer say nothing about the rest. */
const MIN_PERCENT = 1
const MIN_ELAPSED_MS = 10_000

/** Where a layer of the program begins. */
export interface LayerMark {
  readonly firstLine: number
  readonly layer: number
}

export interface PrintExtent {
  readonly lines: number
  readonly layers: number
  /** The slicer's estimate; undefined when it made none. */
  readonly estimatedS: number | undefined
}

/** The layer of the last mark at or before `line`; 0 before the first. */
function layerAt(marks: readonly LayerMark[], line: number): number {
  let low = 0
  let high = marks.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((marks[middle]?.firstLine ?? 0) <= line) low = middle + 1
    else high = middle
  }
  return marks[low - 1]?.layer ?? 0
}

/**
 * `marks`: the layers begun so far, by ascending first line. `activeMs`: time spent printing, pauses left out.
 * Time left is by proportion of lines, or by the slicer's estimate while that says nothing yet.
 */
export function progressAt(
  extent: PrintExtent,
  marks: readonly LayerMark[],
  line: number,
  activeMs: number,
): JobProgress {
  const percent = extent.lines === 0 ? 0 : Math.min(100, (line / extent.lines) * 100)
  const isKnown = percent >= MIN_PERCENT && activeMs >= MIN_ELAPSED_MS
  const byProportionS = Math.round((activeMs * (100 - percent)) / percent / 1000)
  const bySlicerS =
    extent.estimatedS && Math.max(0, Math.round(extent.estimatedS - activeMs / 1000))
  return {
    line,
    lines: extent.lines,
    layer: layerAt(marks, line),
    layers: extent.layers,
    percent,
    timeLeftS: isKnown ? byProportionS : (bySlicerS ?? null),
  }
}
