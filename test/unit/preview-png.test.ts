/** The picture as PNG, read back by the rules of its format. */
import { crc32, inflateSync } from 'node:zlib'
import { test } from 'tap'
import { svgToPng } from '../../firmware/ctl/render/png.ts'
import { pathsToSvg } from '../../mpf/gcode/preview-svg.ts'

interface Decoded {
  readonly width: number
  readonly height: number
  readonly chunks: readonly string[]
  at(x: number, y: number): readonly number[]
}

function decode(png: Buffer): Decoded {
  const chunks: string[] = []
  const data: Buffer[] = []
  let header: Buffer = Buffer.alloc(0)
  for (let at = 8; at < png.length; ) {
    const length = png.readUInt32BE(at)
    const body = png.subarray(at + 4, at + 8 + length)
    if (png.readUInt32BE(at + 8 + length) !== crc32(body)) throw new Error('CRC')
    const type = body.toString('latin1', 0, 4)
    chunks.push(type)
    if (type === 'IHDR') header = body.subarray(4)
    if (type === 'IDAT') data.push(body.subarray(4))
    at += 12 + length
  }
  const [width, height] = [header.readUInt32BE(0), header.readUInt32BE(4)]
  const rows = inflateSync(Buffer.concat(data))
  const at = (x: number, y: number) => {
    const start = y * (1 + 3 * width) + 1 + 3 * x
    return [...rows.subarray(start, start + 3)]
  }
  if (rows.length !== height * (1 + 3 * width)) throw new Error('rows')
  return { width, height, chunks, at }
}

// 20 by 10 mm, of which the margin takes 2 mm on each side: one unit is 1024 / 240 pixels.
const SQUARE = [
  [0, 0],
  [20, 0],
  [20, 10],
  [0, 10],
]
const [MARGIN_PX, ACROSS_PX] = [Math.floor((20 * 1024) / 240), Math.floor((200 * 1024) / 240)]

test('a signature, a header, pixels and an end, each with its check', async t => {
  const png = svgToPng(pathsToSvg([{ layer: 1, strokes: [SQUARE] }]))
  t.equal(png.subarray(0, 8).toString('hex'), '89504e470d0a1a0a')
  const { width, height, chunks } = decode(png)
  t.same(chunks, ['IHDR', 'IDAT', 'IEND'])
  t.equal(width, 1024)
  t.equal(height, Math.ceil((140 * 1024) / 240))
})

test('draws what the SVG draws, where it draws it and in its colour', async t => {
  const { at } = decode(svgToPng(pathsToSvg([{ layer: 1, strokes: [SQUARE] }])))
  const white = [255, 255, 255]
  // hsl(10 70% 45%): the top layer is red.
  const red = [195, 61, 34]
  t.same(at(MARGIN_PX, MARGIN_PX), red, 'where it begins')
  t.same(at(MARGIN_PX + Math.floor(ACROSS_PX / 2), MARGIN_PX), red, 'along the first side')
  t.same(at(0, 0), white, 'the margin')
  t.same(at(MARGIN_PX + 100, MARGIN_PX + 100), white, 'the inside')
  t.same(at(MARGIN_PX, MARGIN_PX + 100), white, 'the side that is left open')
})

test('a print that draws nothing is an empty picture; what is none is refused', async t => {
  const { width, height, at } = decode(svgToPng(pathsToSvg([])))
  t.same(at(width >> 1, height >> 1), [255, 255, 255])
  t.throws(() => svgToPng('<svg/>'), RangeError)
})
