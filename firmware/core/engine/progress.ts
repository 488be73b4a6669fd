/** How far a print is, from acknowledged lines alone. Pure. */

import type { JobProgress } from '#lib/control-protocol.ts'
import type { LayerMark } from '../admission/sealed-print.ts'

/** Below these an estimate by proportion is noise: heating and the first layer say nothing about the rest. */
const MIN_PERCENT = 1
const MIN_ELAPSED_MS = 10_000

export interface PrintExtent {
  readonly lines: number
  readonly layers: number
  /** By ascending first line. */
  readonly marks: readonly LayerMark[]
}

/** The layer of the last mark at or before `line`; 0 before the first. */
export function layerAt(marks: readonly LayerMark[], line: number): number {
  let low = 0
  let high = marks.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((marks[middle]?.firstLine ?? 0) <= line) low = middle + 1
    else high = middle
  }
  return marks[low - 1]?.layer ?? 0
}

/** `activeMs`: time spent printing, pauses left out. Time left is by proportion of lines for now. */
export function progressAt(extent: PrintExtent, line: number, activeMs: number): JobProgress {
  const percent = extent.lines === 0 ? 0 : Math.min(100, (line / extent.lines) * 100)
  const isKnown = percent >= MIN_PERCENT && activeMs >= MIN_ELAPSED_MS
  return {
    line,
    lines: extent.lines,
    layer: layerAt(extent.marks, line),
    layers: extent.layers,
    percent,
    timeLeftS: isKnown ? Math.round((activeMs * (100 - percent)) / percent / 1000) : null,
  }
}
