/** Where a layer begins, by the comments slicers leave: PrusaSlicer, SuperSlicer and OrcaSlicer `;LAYER_CHANGE`, Cura `;LAYER:n`, Bambu Studio `; CHANGE_LAYER`. */

const SPACE = 32
const A = 65
const C = 67
const L = 76
const MARKS = [';LAYER_CHANGE', ';LAYER:', '; CHANGE_LAYER'].map(mark => Buffer.from(mark))

/** SPEC 6.2: whether the line from `from` up to `end` begins a layer. The mark stands in its first column. */
export function isLayerComment(text: Uint8Array, from: number, end: number): boolean {
  // The marks begin with `;LA` or `; C`: nearly every other comment is decided here.
  const second = text[from + 1]
  if (second !== L && second !== SPACE) return false
  if (text[from + 2] !== (second === L ? A : C)) return false
  return MARKS.some(
    mark => from + mark.length <= end && mark.every((byte, i) => text[from + i] === byte),
  )
}
