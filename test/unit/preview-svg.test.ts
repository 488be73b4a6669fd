/** The picture of a toolpath: inside its bounds, as many paths as layers, small, and without a line of the program. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { zstdDecompressSync } from 'node:zlib'
import { test } from 'tap'
import { PreviewDrawer, type PreviewOptions } from '#mpf'
import { NO_LIMITS } from '../../mpf/gcode/limits.ts'
import { Machine } from '../../mpf/gcode/machine.ts'
import { sharedPath } from '../shared.ts'

const MAX_BYTES = 200_000

function draw(text: Uint8Array | string, options: Partial<PreviewOptions> = {}): string {
  const drawer = new PreviewDrawer({ view: 'top', layers: 3, maxBytes: MAX_BYTES, ...options })
  const refuse = (code: string, line: number, problem: string) => {
    throw new Error(`${code} ${line} ${problem}`)
  }
  const machine = new Machine(NO_LIMITS, refuse, { isWidening: true, ...drawer.listeners })
  machine.run(typeof text === 'string' ? Buffer.from(text) : text)
  return drawer.finish()
}

const square = (z: number) => `;LAYER_CHANGE
G1 Z${z} F600
G1 X10 Y10
G1 X30 Y10 E1
G1 X30 Y40 E2
G1 X10 Y40 E3
G1 X10 Y10 E4
G92 E0
`
const PART = `G90\nM82\n${square(1)}${square(2)}${square(3)}`

const pathsOf = (svg: string) => svg.split('<path').length - 1
const boxOf = (svg: string) => (/viewBox="([-\d ]+)"/.exec(svg)?.[1] ?? '').split(' ').map(Number)

test('from above: the box of what is extruded, in tenths of a millimetre, and a margin', async t => {
  const svg = draw(PART)
  t.same(boxOf(svg), [80, -420, 240, 340])
  t.equal(pathsOf(svg), 3)
  t.match(svg, /d="M100-100l200 0l0-300l-200 0l0 300"/)
})

test('at an angle: higher layers stand higher', async t => {
  const svg = draw(PART, { view: 'isometric' })
  t.equal(pathsOf(svg), 3)
  const downs = [...svg.matchAll(/d="M-?\d+ ?(-\d+)/g)].map(([, down]) => Number(down))
  t.same(downs, [-110, -120, -130])
})

test('one layer alone', async t => {
  t.equal(pathsOf(draw(PART, { layer: 2 })), 1)
  t.equal(pathsOf(draw(PART, { layer: 9 })), 0)
})

test('shows some layers of very many', async t => {
  const high = Array.from({ length: 400 }, (_, i) => square(i + 1)).join('')
  const paths = pathsOf(draw(`G90\nM82\n${high}`, { layers: 400 }))
  t.ok(paths >= 70 && paths <= 81, `${paths}`)
})

test('travel is not drawn, arcs are', async t => {
  t.equal(pathsOf(draw(`${square(1).replace(/ E[1-4]/g, '')}`)), 0)
  const svg = draw('G90\nM83\nG1 X10 Y0 Z1 F600\nG2 X30 I10 E1\n', { layers: 0 })
  t.same(boxOf(svg), [80, -120, 240, 140])
})

test('a print that draws nothing is a picture of nothing', async t => {
  t.match(draw('M105\n'), /^<svg [^>]*viewBox="-20 -20 40 40"><g[^>]*><\/g><\/svg>\n$/)
})

test('keeps to its size, however small', async t => {
  const many = Array.from(
    { length: 5000 },
    (_, i) =>
      `G1 X${(100 + 90 * Math.cos(i)).toFixed(3)} Y${(100 + 90 * Math.sin(i)).toFixed(3)} E${i}`,
  ).join('\n')
  for (const maxBytes of [MAX_BYTES, 20_000, 1000])
    t.ok(draw(`G90\nM82\n${square(1)}${many}\n`, { maxBytes }).length <= maxBytes, `${maxBytes}`)
})

for (const [name, layers] of [
  ['clip', 60],
  ['bracket', 199],
  ['vase', 700],
] as const)
  test(`${name} fits, and no line of it is inside`, async t => {
    const path =
      name === 'clip'
        ? join(import.meta.dirname, '../samples/clip.gcode')
        : sharedPath(`gcode/${name}.gcode.zst`)
    if (!path) return
    const bytes = readFileSync(path)
    const whole = path.endsWith('.zst') ? zstdDecompressSync(bytes) : bytes
    const text = whole.subarray(0, whole.lastIndexOf(10, 12_000_000) + 1)
    for (const view of ['top', 'isometric'] as const) {
      const svg = draw(text, { view, layers })
      t.ok(svg.length <= MAX_BYTES && svg.length > 5000, `${view} ${svg.length} bytes`)
      t.notOk(/G[0-3] |;|M10[49] |LAYER/.test(svg), 'no program')
      t.ok(pathsOf(svg) <= 82 && pathsOf(svg) > 5, `${pathsOf(svg)} paths`)
    }
  })
