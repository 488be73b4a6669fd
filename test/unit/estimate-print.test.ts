/** The expected time of a print: by hand where a hand can, beside the simulated planner where it cannot. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { zstdDecompressSync } from 'node:zlib'
import { test } from 'tap'
import { Machine as SimulatedMachine } from '../../drivers/sim/machine.ts'
import { PLANNER_BLOCKS } from '../../drivers/sim/planner.ts'
import { type PrintEstimate, PrintEstimator } from '../../mpf/gcode/estimate.ts'
import { type Kinematics, MARLIN_KINEMATICS } from '../../mpf/gcode/estimate-kinematics.ts'
import { NO_LIMITS } from '../../mpf/gcode/limits.ts'
import { Machine, type MoveListener } from '../../mpf/gcode/machine.ts'
import { sharedPath } from '../shared.ts'

const KINEMATICS: Kinematics = {
  ...MARLIN_KINEMATICS,
  printAccelerationMmPerS2: 1000,
  travelAccelerationMmPerS2: 1000,
  retractAccelerationMmPerS2: 1000,
}

function follow(text: Uint8Array, estimator: PrintEstimator, onMove?: MoveListener): PrintEstimate {
  const { listeners } = estimator
  const machine = new Machine(
    NO_LIMITS,
    (code, line, problem) => {
      throw new Error(`${code} ${line} ${problem}`)
    },
    {
      isWidening: true,
      onLine: listeners.onLine,
      onMove: (from, to, eNm, feed) => {
        listeners.onMove(from, to, eNm, feed)
        onMove?.(from, to, eNm, feed)
      },
    },
  )
  machine.run(text)
  return estimator.finish()
}

function estimate(lines: readonly string[], kinematics: Kinematics = KINEMATICS): PrintEstimate {
  return follow(Buffer.from(`${lines.join('\n')}\n`), new PrintEstimator(kinematics))
}

const near = (a: number, b: number, part = 0.002) => Math.abs(a - b) <= part * b

test('a move from rest to rest takes its two ramps and what is between', async t => {
  // 100 mm at 100 mm/s, 1000 mm/s2: 0.1 s up, 5 mm each ramp, 90 mm at 100 mm/s.
  const { timeS } = estimate(['G1 X100 F6000'])
  t.ok(near(timeS, 0.1 + 0.1 + 0.9), `${timeS}`)
})

test('a move too short for its feed is two ramps', async t => {
  const { timeS } = estimate(['G1 X10 F60000'])
  t.ok(near(timeS, 2 * Math.sqrt(10 / 1000)), `${timeS}`)
})

test('straight on is one move, back again is two', async t => {
  const whole = estimate(['G1 X100 F6000']).timeS
  const pieces = estimate(Array.from({ length: 100 }, (_, i) => `G1 X${i + 1} F6000`)).timeS
  t.ok(near(pieces, whole), `${pieces} ${whole}`)
  t.ok(near(estimate(['G1 X100 F6000', 'G1 X0']).timeS, 2 * whole))
})

test('each axis keeps its own feed and acceleration', async t => {
  // Z: 5 mm/s at most, 100 mm/s2: 0.05 s up, 0.125 mm each ramp.
  const { timeS } = estimate(['G1 Z5 F6000'])
  t.ok(near(timeS, 0.1 + (5 - 0.25) / 5), `${timeS}`)
})

test('a corner takes the speed of its junction deviation', async t => {
  // A right angle: v2 = a d s / (1 - s) with s = sin 45; a on both axes is 1000 sqrt 2 limited by neither.
  const corner = Math.sqrt((1000 * 0.013 * Math.SQRT1_2) / (1 - Math.SQRT1_2))
  const [a, v] = [1000, 50]
  const leg = (v + (v - corner)) / a + (20 - (2 * v * v - corner * corner) / (2 * a)) / v
  const { timeS } = estimate(['G1 X20 F3000', 'G1 Y20'])
  t.ok(near(timeS, 2 * leg), `${timeS} ${2 * leg}`)
})

test('classic jerk replaces the junction deviation where it is given', async t => {
  const jerky = { ...KINEMATICS, jerkMmPerS: { x: 10, y: 10, z: 0.3, e: 5 } }
  const calm = { ...KINEMATICS, jerkMmPerS: { x: 1, y: 1, z: 0.3, e: 5 } }
  const corner = ['G1 X20 F3000', 'G1 Y20', 'G1 X0', 'G1 Y0']
  t.ok(estimate(corner, jerky).timeS < estimate(corner, calm).timeS)
})

for (const [word, slower] of [
  ['M201 X200 Y200', 'acceleration an axis'],
  ['M203 X20 Y20', 'feed an axis'],
  ['M204 T200', 'acceleration of travel'],
  ['M204 S200', 'acceleration of all'],
  ['M220 S50', 'feed factor'],
] as const)
  test(`follows ${word}: ${slower}`, async t => {
    const moves = ['G1 X100 F6000', 'G1 Y100', 'G1 X0']
    t.ok(estimate([word, ...moves]).timeS > 1.1 * estimate(moves).timeS)
  })

test('follows M205 J and M204 P, T and R apart', async t => {
  const corners = ['G1 X10 F6000', 'G1 Y10', 'G1 X0', 'G1 Y0']
  t.ok(estimate(['M205 J0.2', ...corners]).timeS < estimate(corners).timeS)
  const retract = ['M83', 'G1 E-5 F1500', 'G1 E5']
  t.ok(estimate(['M204 R100', ...retract]).timeS > estimate(retract).timeS)
  t.equal(estimate(['M204 P100', ...retract]).timeS, estimate(retract).timeS)
})

test('settings that would stop the machine for ever are passed over', async t => {
  const moves = ['G1 X100 F6000', 'G1 Y100', 'G1 X0']
  const { timeS } = estimate(moves)
  for (const word of ['M204 S0', 'M204 T-5', 'M201 X0', 'M203 X-1', 'M205 J-1', 'M220 S0'])
    t.equal(estimate([word, ...moves]).timeS, timeS, word)
})

test('a wait stops the machine; G4 is time, heat is not', async t => {
  const line = Array.from({ length: 20 }, (_, i) => `G1 X${i + 1} F6000`)
  const broken = [...line.slice(0, 10), 'M400', ...line.slice(10)]
  t.ok(estimate(broken).timeS > 1.1 * estimate(line).timeS)
  t.match(estimate(['G4 P1500', 'G4 S2']), { timeS: 3.5, dwellS: 3.5 })
  t.equal(estimate(['M109 S200', 'G28']).timeS, 0)
})

test('counts lines, commands and bytes by layer, and times sum to the whole', async t => {
  const { layers, lines, commands, timeS } = estimate([
    'G28 ; home',
    ';LAYER_CHANGE',
    'G1 X10 F6000',
    '; nothing',
    ';LAYER:1',
    'G1 X20',
    'G1 X30  ; on',
  ])
  t.same(
    layers.map(({ layer, lines, commands, commandBytes }) => [
      layer,
      lines,
      commands,
      commandBytes,
    ]),
    [
      [0, 1, 1, 3],
      [1, 3, 1, 12],
      [2, 3, 2, 12],
    ],
  )
  t.equal(lines, 7)
  t.equal(commands, 4)
  t.ok(
    near(
      layers.reduce((sum, { timeS }) => sum + timeS, 0),
      timeS,
    ),
  )
})

test('adds filament by tool, retractions taken off and flow applied', async t => {
  const { filamentUm, filamentMoves } = estimate([
    'M83',
    'G1 X10 E5 F600',
    'G1 E-2',
    'G1 E2',
    'T1',
    'M221 S50',
    'G1 X0 E4',
  ])
  t.same(filamentUm, [5000, 2000, 0, 0])
  t.equal(filamentMoves, 2)
})

test('the box holds what is extruded, arcs included, travel not', async t => {
  const { box, extrusionMoves, travelMoves } = estimate([
    'M83',
    'G1 X100 Y100 Z1 F6000',
    'G1 X110 E1',
    'G2 X130 I10 J0 E2',
    'G1 X0 Y0',
  ])
  t.same(box, { minUm: [100_000, 100_000, 1000], maxUm: [130_000, 110_000, 1000] })
  t.equal(extrusionMoves, 2)
  t.equal(travelMoves, 2)
  t.equal(estimate(['G1 X10 F600']).box, undefined)
})

test('an arc is as long as it is, and a full circle too', async t => {
  const line = estimate(['G1 X0 Y0 F600', `G1 X${(Math.PI * 20).toFixed(3)}`]).timeS
  const circle = estimate(['G1 X0 Y0 F600', 'G2 X0 Y0 I10 J0']).timeS
  t.ok(near(circle, line, 0.02), `${circle} ${line}`)
})

test('names the densest passage', async t => {
  const dense = Array.from({ length: 300 }, (_, i) => `G1 X${(i + 1) / 10} F6000`)
  const { layers } = estimate([';LAYER_CHANGE', 'G1 X0 Y0 F6000', ...dense, 'G1 X100'])
  const peak = layers[1]?.peakMovesPerS ?? 0
  // Fifteen moves of 0.1 mm are looked ahead: no faster than what stops within 1.5 mm, 54.8 mm/s.
  t.ok(peak > 500 && peak <= 548, `${peak}`)
})

test('a million layer marks make a table of bounded size', async t => {
  const { layers } = estimate(Array.from({ length: 30_000 }, () => ';LAYER_CHANGE'))
  t.equal(layers.length, 20_001)
})

test('a program without moves takes no time', async t => {
  t.match(estimate(['M105']), { timeS: 0, commands: 1, box: undefined })
})

/** The simulated planner's own time for the same moves, its buffer always full. */
function simulatedS(
  text: Uint8Array,
  acceleration: number,
): { readonly simS: number; readonly timeS: number } {
  const all = {
    printAccelerationMmPerS2: acceleration,
    travelAccelerationMmPerS2: acceleration,
    retractAccelerationMmPerS2: acceleration,
  }
  const simulated = new SimulatedMachine({
    ...all,
    maxFeedMmPerS: [300, 300, 5, 25],
    maxAccelerationMmPerS2: [3000, 3000, 100, 10_000],
    junctionDeviationMm: 0.013,
  })
  simulated.isRelativeE = true
  const { timeS } = follow(
    text,
    new PrintEstimator({ ...MARLIN_KINEMATICS, ...all }),
    (_from, to, eNm, feed) => {
      if (simulated.plannerFree === 0) simulated.advance(simulated.nextBlockEndMs)
      const [x = 0, y = 0, z = 0] = to
      simulated.move({ X: x / 1e6, Y: y / 1e6, Z: z / 1e6, E: eNm / 1e6, F: feed / 1000 })
    },
  )
  return { simS: simulated.plannerEndMs / 1000, timeS }
}

const MAX_COMPARED_BYTES = 3_000_000
for (const [name, acceleration] of [
  ['clip', 3000],
  ['tag', 3000],
  ['tag', 500],
  ['bracket', 1250],
  ['vase', 1250],
] as const)
  test(`within 5 % of the simulated planner: ${name} at ${acceleration} mm/s2`, async t => {
    const path =
      name === 'clip'
        ? join(import.meta.dirname, '../samples/clip.gcode')
        : sharedPath(`gcode/${name}.gcode${name === 'tag' ? '' : '.zst'}`)
    if (!path) return
    const bytes = readFileSync(path)
    const text = path.endsWith('.zst') ? zstdDecompressSync(bytes) : bytes
    const { simS, timeS } = simulatedS(
      text.subarray(0, text.lastIndexOf(10, MAX_COMPARED_BYTES) + 1),
      acceleration,
    )
    t.ok(near(timeS, simS, 0.05), `${timeS} s, simulated ${simS} s`)
  })

test('the simulated planner holds fifteen moves and brakes to rest when nothing follows', async t => {
  const machine = new SimulatedMachine()
  for (let i = 1; i <= PLANNER_BLOCKS; i++) machine.move({ X: i, F: 6000 })
  t.equal(machine.plannerFree, 0)
  const endMs = machine.plannerEndMs
  machine.advance(endMs)
  t.ok(machine.isIdle)
  machine.move({ X: 100 })
  t.equal(machine.starvations, 1)
  machine.expectPause()
  machine.advance(machine.plannerEndMs)
  machine.move({ X: 0 })
  t.equal(machine.starvations, 1)
})
