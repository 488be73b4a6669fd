/** Strokes to SVG: one path a layer, whole numbers, relative steps, coloured from the bottom up. */

/** The strokes of one layer, in millimetres of the picture. */
export interface PreviewPath {
  readonly layer: number
  strokes: number[][][]
}

/** Tenths of a millimetre: what a coordinate counts in. */
const UNITS_PER_MM = 10
const MARGIN = 20
const LINE_WIDTH = 4
/** Blue at the bottom, to red at the top. */
const HUE_BOTTOM = 230
const HUE_SPAN = 220

/** A whole document; one without paths for a print that draws nothing. */
export function pathsToSvg(paths: readonly PreviewPath[]): string {
  let [minX, minY, maxX, maxY] = [Infinity, Infinity, -Infinity, -Infinity]
  for (const { strokes } of paths)
    for (const stroke of strokes)
      for (const [x = 0, y = 0] of stroke) {
        minX = Math.min(minX, x)
        minY = Math.min(minY, y)
        maxX = Math.max(maxX, x)
        maxY = Math.max(maxY, y)
      }
  if (minX > maxX) [minX, minY, maxX, maxY] = [0, 0, 0, 0]
  const top = Math.max(1, ...paths.map(({ layer }) => layer))
  const [left, up] = [unitsOf(minX) - MARGIN, unitsOf(minY) - MARGIN]
  const box = [left, up, unitsOf(maxX) + MARGIN - left, unitsOf(maxY) + MARGIN - up]
  const drawn = paths.map(
    ({ layer, strokes }) =>
      `<path stroke="hsl(${Math.round(HUE_BOTTOM - (HUE_SPAN * layer) / top)} 70% 45%)" d="${strokes.map(strokeToPath).join('')}"/>`,
  )
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="${box.join(' ')}"><g fill="none" stroke-width="${LINE_WIDTH}" stroke-linejoin="round" stroke-linecap="round">${drawn.join('\n')}</g></svg>\n`
}

function strokeToPath(stroke: readonly (readonly number[])[]): string {
  let [lastX, lastY] = [0, 0]
  return stroke
    .map(([x = 0, y = 0], i) => {
      const [unitsX, unitsY] = [unitsOf(x), unitsOf(y)]
      const [dx, dy] = [unitsX - lastX, unitsY - lastY]
      lastX = unitsX
      lastY = unitsY
      return `${i === 0 ? 'M' : 'l'}${dx}${dy < 0 ? '' : ' '}${dy}`
    })
    .join('')
}

function unitsOf(mm: number): number {
  return Math.round(mm * UNITS_PER_MM)
}
