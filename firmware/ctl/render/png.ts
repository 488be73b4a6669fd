/** The toolpath's picture as PNG: the strokes of the SVG the core drew, as pixels. Pure. */
import { crc32, deflateSync } from 'node:zlib'

const LONG_SIDE_PX = 1024
const BYTES_PER_PX = 3
const WHITE = 0xff
const SIGNATURE = Buffer.from('89504e470d0a1a0a', 'hex')
/** One path of the core's SVG: its hue, and whole numbers after M and l. */
const PATH = /<path stroke="hsl\((\d+) (\d+)% (\d+)%\)" d="([^"]*)"/g
const STEP = /([Ml])(-?\d+) ?(-?\d+)/g
const BOX = /viewBox="(-?\d+) (-?\d+) (\d+) (\d+)"/

type Rgb = readonly [number, number, number]

/** @throws RangeError for a picture without a box. */
export function svgToPng(svg: string): Buffer {
  const [left = 0, top = 0, across = 0, down = 0] = BOX.exec(svg)?.slice(1).map(Number) ?? []
  if (across === 0 || down === 0) throw new RangeError('a picture without a box')
  const scale = LONG_SIDE_PX / Math.max(across, down)
  const [width, height] = [Math.ceil(across * scale), Math.ceil(down * scale)]
  // Each row begins with its filter, 0: none (PNG 9.2).
  const stride = 1 + width * BYTES_PER_PX
  const rows = Buffer.alloc(stride * height, WHITE)
  for (let y = 0; y < height; y++) rows[y * stride] = 0
  eachStep(svg, (colour, x, y, dx, dy) => {
    const pixels = Math.ceil(Math.max(Math.abs(dx), Math.abs(dy)) * scale) || 1
    for (let i = 0; i <= pixels; i++) {
      const column = Math.floor((x + (dx * i) / pixels - left) * scale)
      const row = Math.floor((y + (dy * i) / pixels - top) * scale)
      // Nothing lies outside its own box, unless the picture lies.
      if (column < 0 || row < 0 || column >= width || row >= height) continue
      rows.set(colour, row * stride + 1 + column * BYTES_PER_PX)
    }
  })
  const header = Buffer.alloc(13)
  header.writeUInt32BE(width, 0)
  header.writeUInt32BE(height, 4)
  // Eight bits a channel, red green blue.
  header.set([8, 2], 8)
  const chunks = [chunk('IHDR', header), chunk('IDAT', deflateSync(rows)), chunk('IEND')]
  return Buffer.concat([SIGNATURE, ...chunks])
}

/** Every straight step of every path: where it begins and how far it goes, in the picture's units. */
function eachStep(
  svg: string,
  draw: (colour: Rgb, x: number, y: number, dx: number, dy: number) => void,
): void {
  for (const [, hue, saturation, lightness, steps = ''] of svg.matchAll(PATH)) {
    const colour = rgbOf(Number(hue), Number(saturation) / 100, Number(lightness) / 100)
    let [x, y] = [0, 0]
    for (const [, kind, stepX, stepY] of steps.matchAll(STEP)) {
      const [dx, dy] = [Number(stepX), Number(stepY)]
      if (kind === 'l') draw(colour, x, y, dx, dy)
      x = kind === 'l' ? x + dx : dx
      y = kind === 'l' ? y + dy : dy
    }
  }
}

/** PNG 5.3: length, type, data, and the CRC of type and data. */
function chunk(type: string, data = Buffer.alloc(0)): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data])
  const [length, check] = [Buffer.alloc(4), Buffer.alloc(4)]
  length.writeUInt32BE(data.length)
  check.writeUInt32BE(crc32(body))
  return Buffer.concat([length, body, check])
}

/** CSS Color 4, 7: hsl() as red, green and blue of 0 to 255. */
function rgbOf(hue: number, saturation: number, lightness: number): Rgb {
  const spread = saturation * Math.min(lightness, 1 - lightness)
  const channel = (n: number): number => {
    const k = (n + hue / 30) % 12
    return Math.round(255 * (lightness - spread * Math.max(-1, Math.min(k - 3, 9 - k, 1))))
  }
  return [channel(0), channel(8), channel(4)]
}
