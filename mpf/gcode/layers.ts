/** Where a layer begins, by the comments slicers leave: PrusaSlicer, SuperSlicer and OrcaSlicer `;LAYER_CHANGE`, Cura `;LAYER:n`. */

const MARKS = [';LAYER_CHANGE', ';LAYER:'].map(mark => Buffer.from(mark))

/** SPEC 6.2: whether the line from `from` up to `end` begins a layer. The mark stands in its first column. */
export function isLayerComment(text: Uint8Array, from: number, end: number): boolean {
  // Both marks share `;LA`: nearly every other comment is decided here.
  if (text[from + 1] !== 76 || text[from + 2] !== 65) return false
  return MARKS.some(
    mark => from + mark.length <= end && mark.every((byte, i) => text[from + i] === byte),
  )
}
