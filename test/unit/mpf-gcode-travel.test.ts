/** Filament against travel, and arcs: no limit is measured too small, no arc leaves its box. */
import fc from 'fast-check'
import { test } from 'tap'
import { type Arc, arcBounds, arcTravelNm } from '../../mpf/gcode/arc.ts'
import { NO_LIMITS } from '../../mpf/gcode/limits.ts'
import { Machine } from '../../mpf/gcode/machine.ts'
import { MM, run, WIDE } from '../fakes/mpf-machine.ts'

test('filament is limited by travel, alone it is not', async t => {
  const at = ['M83', 'G1 X100 Y100 Z10']
  const good = [
    ...['G1 E50', 'G1 X101 E1', 'G1 X103 Y104 Z10 E5', 'G1 Z10.5 E0.5', 'G1 X110 E-40'],
    ...['G2 I0 J1 E6.283', 'G3 X100 Y102 I0 J1 E3.141', 'G2 I0 J1 Z11 E6.362'],
    ...[
      'M221 S50\nG1 X101 E1',
      'M221 S200\nG1 X101 E0.5',
      'G28 X\nG1 X1 Y101 E50',
      'G20\nG91\nG1 X.1 E.1',
    ],
    ...['G28 Z\nG2 I0 J1 Z11 E50', 'G92 E9\nM82\nG1 X101 E10', 'M221 S150\nM221 S100\nT1'],
  ]
  for (const line of good) t.same(run(`${[...at, line].join('\n')}\n`).refused, [], line)
  const bad = ['G1 X101 E1.000001', 'G2 I0 J1 E6.2832', 'M221 S200\nG1 X101 E0.500001']
  for (const line of bad) {
    const refused = run(`${[...at, line].join('\n')}\n`).refused
    t.same(refused, [`MPF_ENVELOPE ${2 + line.split('\n').length}`], line)
  }
})

test('what is measured of filament is the least limit that holds, in exact arithmetic', async t => {
  const way = fc.integer({ min: -30_000_000, max: 30_000_000 })
  const step = fc.tuple(way, way, fc.integer({ min: -9, max: 9 }), fc.nat(9_000_000))
  const mm = (nm: number) => (nm / MM).toFixed(6)
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 20 }), steps => {
      const lines = steps.map(([x, y, z, e]) => `G1 X${mm(x)} Y${mm(y)} Z${mm(z)} E${mm(e)}\n`)
      const machine = new Machine(NO_LIMITS, () => undefined, { isWidening: true })
      machine.run(Buffer.from(`G1 X0 Y0 Z0\nG91\n${lines.join('')}`))
      const limit = BigInt(machine.limits().maxExtrusionUmPerMm)
      const holds = (um: bigint) =>
        steps.every(([x, y, z, e]) => {
          const squared = [x, y, z].reduce((sum, nm) => sum + BigInt(nm) ** 2n, 0n)
          return squared === 0n || (1000n * BigInt(e)) ** 2n <= um ** 2n * squared
        })
      return holds(limit) && (limit === 0n || !holds(limit - 1n))
    }),
    { seed: 7, numRuns: 2000 },
  )
  t.pass()
})

/** Points a controller passes on an arc: around the start's own circle, or spiralling to the end point. */
function pointsOf(arc: Arc, samples: number): (readonly [number, number])[] {
  const [centreX, centreY] = [arc.fromX + arc.i, arc.fromY + arc.j]
  const start = Math.atan2(-arc.j, -arc.i)
  const end = Math.atan2(arc.toY - centreY, arc.toX - centreX)
  const turn = 2 * Math.PI
  const way = arc.isClockwise ? start - end : end - start
  const isClosed = arc.fromX === arc.toX && arc.fromY === arc.toY
  const sweep = isClosed ? turn : ((way % turn) + turn) % turn
  const [startRadius, endRadius] = [
    Math.hypot(arc.i, arc.j),
    Math.hypot(arc.toX - centreX, arc.toY - centreY),
  ]
  return Array.from({ length: samples + 1 }, (_, n) => n / samples).flatMap(part => {
    const angle = start + (arc.isClockwise ? -1 : 1) * sweep * part
    const radii = [startRadius, startRadius + (endRadius - startRadius) * part]
    return radii.map(
      radius => [centreX + radius * Math.cos(angle), centreY + radius * Math.sin(angle)] as const,
    )
  })
}

const nm = (mm: number) => fc.integer({ min: -mm * MM, max: mm * MM })
const arcs = fc.record({
  fromX: nm(200),
  fromY: nm(200),
  toX: nm(200),
  toY: nm(200),
  i: nm(150),
  j: nm(150),
  isClockwise: fc.boolean(),
})

/** Arcs whose end lies on the circle of the start, up to rounding: what slicers write. */
const trueArcs = fc
  .record({
    x: nm(200),
    y: nm(200),
    radius: fc.integer({ min: 1000, max: 100 * MM }),
    from: fc.integer({ min: 0, max: 3600 }),
    to: fc.integer({ min: 0, max: 3600 }),
    isClockwise: fc.boolean(),
  })
  .map(({ x, y, radius, from, to, isClockwise }): Arc => {
    const at = (tenths: number) => {
      const angle = (tenths * Math.PI) / 1800
      return [
        Math.round(x + radius * Math.cos(angle)),
        Math.round(y + radius * Math.sin(angle)),
      ] as const
    }
    const [[fromX, fromY], [toX, toY]] = [at(from), at(to)]
    return { fromX, fromY, toX, toY, i: x - fromX, j: y - fromY, isClockwise }
  })

test('an arc never leaves its box', async t => {
  fc.assert(
    fc.property(fc.oneof(arcs, trueArcs), arc => {
      const [lowX, lowY, highX, highY] = arcBounds(arc)
      return [...pointsOf(arc, 90), [arc.toX, arc.toY] as const].every(
        ([x, y]) => x >= lowX - 2 && x <= highX + 2 && y >= lowY - 2 && y <= highY + 2,
      )
    }),
    { seed: 3, numRuns: 5000 },
  )
  t.pass()
})

test('the way along an arc is never counted longer than a controller takes', async t => {
  fc.assert(
    fc.property(fc.oneof(arcs, trueArcs), arc => {
      const points = pointsOf(arc, 500)
      const ways = [0, 1].map(kind => {
        const path = [...points.filter((_, n) => n % 2 === kind), [arc.toX, arc.toY] as const]
        return path.reduce((sum, [x, y], n) => {
          const [beforeX, beforeY] = path[n - 1] ?? [arc.fromX, arc.fromY]
          return sum + Math.hypot(x - beforeX, y - beforeY)
        }, 0)
      })
      // Chords are shorter than their arc by one part in 24 of the squared angle, 1e-5 here at most.
      return arcTravelNm(arc, 0) <= Math.min(...ways) * (1 + 1e-5) + 2000
    }),
    { seed: 8, numRuns: 3000 },
  )
  t.equal(Math.round(arcTravelNm({ ...QUARTER, isClockwise: false }, 0)), 15_707_963)
  t.equal(Math.round(arcTravelNm({ ...QUARTER, isClockwise: true }, 0)), 47_123_890)
})

const QUARTER = { fromX: 10 * MM, fromY: 0, toX: 0, toY: 10 * MM, i: -10 * MM, j: 0 }

test('the box of a true arc is no larger than its circle', async t => {
  fc.assert(
    fc.property(trueArcs, arc => {
      const radius = Math.hypot(arc.i, arc.j) + 4
      const [lowX, lowY, highX, highY] = arcBounds(arc)
      const [x, y] = [arc.fromX + arc.i, arc.fromY + arc.j]
      return lowX >= x - radius && highX <= x + radius && lowY >= y - radius && highY <= y + radius
    }),
    { seed: 4, numRuns: 2000 },
  )
  t.pass()
})

test('a quarter turn has the box of its ends, a closed arc that of its circle', async t => {
  t.same(
    arcBounds({ ...QUARTER, isClockwise: false }).map(value => Math.round(value / MM)),
    [0, 0, 10, 10],
  )
  t.same(
    arcBounds({ ...QUARTER, isClockwise: true }).map(value => Math.round(value / MM)),
    [-10, -10, 10, 10],
  )
  for (const shift of [0, 1, -1, 999])
    for (const isClockwise of [true, false])
      t.same(
        arcBounds({ ...QUARTER, toX: 10 * MM, toY: shift, isClockwise }).map(value =>
          Math.round(value / MM),
        ),
        [-10, -10, 10, 10],
        `${shift} nm from closed`,
      )
})

test('an arc that may turn once more has the box of its circle, and travels no farther for its filament', t => {
  const quarter = 'G28\nG90\nM83\nG1 X10 Y0 Z1 F600\nG3 X0 Y10 I-10 J0'
  const boxOf = (line: string) => {
    const machine = new Machine(NO_LIMITS, (_code, at, problem) => t.fail(`${at}: ${problem}`), {
      isWidening: true,
    })
    machine.run(Buffer.from(`${line}\n`))
    const { minNm, maxNm, maxExtrusionUmPerMm } = machine.limits()
    return [Math.round((minNm[0] ?? 0) / MM), Math.round((maxNm[1] ?? 0) / MM), maxExtrusionUmPerMm]
  }
  t.same(boxOf(`${quarter} E1 P0`), boxOf(`${quarter} E1`))
  t.same(boxOf(`${quarter} E1`), [0, 10, 64])
  t.same(boxOf(`${quarter} E1 P1`), [-10, 10, 64])
  for (const turns of ['P', 'P-1', 'P101'])
    t.same(run(`${quarter} ${turns}\n`, WIDE).refused, ['MPF_GCODE 5'], turns)
  t.end()
})
