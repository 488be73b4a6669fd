/** What test files are made of: a repeatable random sequence, a program, the head of a picture. */

/** As much of a PNG as says how large it is. */
export function pngHead(width: number, height: number): Buffer {
  const png = Buffer.concat([
    Buffer.from('89504e470d0a1a0a0000000d49484452', 'hex'),
    Buffer.alloc(40),
  ])
  png.writeUInt32BE(width, 16)
  png.writeUInt32BE(height, 20)
  return png
}

/** A QOI header and its end mark. */
export function qoiHead(width: number, height: number): Buffer {
  const qoi = Buffer.concat([Buffer.from('qoif'), Buffer.alloc(17), Buffer.of(1)])
  qoi.writeUInt32BE(width, 4)
  qoi.writeUInt32BE(height, 8)
  qoi[12] = 3
  return qoi
}

/** A repeatable pseudo-random sequence of 32-bit numbers (mulberry32): a failing run can be run again. */
export function createRandom(seed: number): (below: number) => number {
  let state = seed >>> 0
  return below => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}

/** A valid program of `lines` lines inside POLICY, hard to compress. */
export function programText(lines: number, seed = 1): string {
  const random = createRandom(seed)
  const head = ['G28', 'G90', 'M82', 'M104 S210', 'G1 X10 Y10 Z0.2 F3000']
  let e = 0
  const moves = Array.from({ length: Math.max(0, lines - head.length) }, (_, i) => {
    if (i % 100 === 0) return `;LAYER:${i / 100}`
    const [x, y] = [random(190_000), random(190_000)].map(um => (um / 1000).toFixed(3))
    e += random(5000) / 1e5
    return `G1 X${x} Y${y} E${e.toFixed(5)}`
  })
  return `${[...head, ...moves].slice(0, lines).join('\n')}\n`
}
