/** The model of the machine is what stands between a signed program and a crash: motion, heat, limits. */
import { test } from 'tap'
import { CommandReader } from '#mpf'
import { NO_LIMITS } from '../../mpf/gcode/limits.ts'
import { Machine } from '../../mpf/gcode/machine.ts'
import { MODAL_BIT, zMicrometres } from '../../mpf/gcode/modal.ts'
import { LIMITS, MM, run, stateAfter, WIDE, xyz } from '../fakes/mpf-machine.ts'

test('moves absolutely and relatively, and E on its own', async t => {
  t.same(xyz(stateAfter('G90', 'G1 X10 Y20 Z0.2', 'G1 X15')), [15, 20, 0.2])
  t.same(xyz(stateAfter('G1 X10 Y20 Z1', 'G91', 'G1 X1 Y-2', 'G1 Z.5')), [11, 18, 1.5])
  t.equal(stateAfter('M82', 'G1 E5', 'G1 E6').eNm, 6 * MM)
  t.equal(stateAfter('M83', 'G1 E5', 'G1 E6').eNm, 11 * MM)
  t.equal(stateAfter('G91', 'G1 E5', 'G1 E6').eNm, 11 * MM, 'G91 makes E relative')
  t.equal(stateAfter('G91', 'M82', 'G1 E5', 'G1 E6').eNm, 6 * MM, 'M82 after it does not')
  t.equal(stateAfter('M83', 'G90', 'G1 E5', 'G1 E6').eNm, 6 * MM, 'G90 makes E absolute')
  t.equal(stateAfter('G1 E5', 'G92 E0', 'M83', 'G1 E1').eNm, MM)
})

test('knows inches', async t => {
  t.same(xyz(stateAfter('G20', 'G1 X1 Y0.5')), [25.4, 12.7, 0])
  t.equal(stateAfter('G20', 'G1 F100').feedUmPerMin, 2_540_000)
  t.equal(stateAfter('G20', 'M104 S200').hotendDeciC[0], 2000, 'not for temperatures')
  t.same(xyz(stateAfter('G20', 'G1 X1', 'G21', 'G1 X1')), [1, 0, 0])
  t.same(run('G20\nG1 X7.9\n').refused, ['MPF_ENVELOPE 2'])
})

test('homing forgets where an axis is', async t => {
  const { bits, xNm } = stateAfter('G1 X10 Y10 Z10', 'G28 X')
  t.equal(bits, MODAL_BIT.knownY | MODAL_BIT.knownZ)
  t.equal(xNm, 0)
  t.equal(stateAfter('G1 X10 Y10 Z10', 'G28').bits, 0)
  t.equal(stateAfter('G1 X10 Y10 Z10', 'G28 W').bits, 0, 'W homes all')
  t.same(run('G28\nG91\nG1 X1\n').refused, ['MPF_ENVELOPE 3'])
  t.same(run('G28\nG91\nG1 E1\n').refused, [], 'E needs no home')
})

test('a released motor forgets where its axis is, a time of idleness does not', async t => {
  const { knownX, knownY, knownZ } = MODAL_BIT
  for (const word of ['M84', 'M18']) {
    const after = (line: string) => stateAfter('G1 X10 Y10 Z10', line)
    t.equal(after(word).bits, 0)
    t.same(xyz(after(word)), [0, 0, 0])
    t.equal(after(`${word} X`).bits, knownY | knownZ)
    t.equal(after(`${word} Y Z`).bits, knownX)
    t.equal(after(`${word} X0 E`).bits, knownY | knownZ, 'a number beside a letter')
    for (const other of ['S60', 'S0', 'E', 'E S60'])
      t.equal(after(`${word} ${other}`).bits, knownX | knownY | knownZ, other)
    t.equal(after(`${word} X S60`).bits, knownY | knownZ, 'some controllers heed both')
    t.same(run(`G1 X1 Y1 Z1\n${word}\nG91\nG1 X1\n`).refused, ['MPF_ENVELOPE 4'])
    t.same(run(`${word} S\n`).refused, ['MPF_GCODE 1'])
  }
  t.equal(stateAfter('G1 X10 Y10 Z10', 'M17').bits, knownX | knownY | knownZ)
})

test('heats the tool that is named, else the active one', async t => {
  t.same(stateAfter('M104 S200').hotendDeciC, [2000, 0, 0, 0])
  t.same(stateAfter('T1', 'M104 S200').hotendDeciC, [0, 2000, 0, 0])
  t.same(stateAfter('T1', 'M104 T0 S200').hotendDeciC, [2000, 0, 0, 0])
  t.same(stateAfter('M109 R210').hotendDeciC, [2100, 0, 0, 0])
  t.same(stateAfter('M109 S190 R210').hotendDeciC, [2100, 0, 0, 0], 'the higher one counts')
  t.same(stateAfter('G10 P1 S200 R150').hotendDeciC, [0, 2000, 0, 0])
  t.equal(stateAfter('M104 S199.91').hotendDeciC[0], 2000, 'rounded up')
  t.equal(stateAfter('M140 S60', 'M190 R65').bedDeciC, 650)
  t.equal(stateAfter('M141 S50').chamberDeciC, 500)
  t.same(stateAfter('M104 S200', 'M104 S-273').hotendDeciC, [0, 0, 0, 0], 'below zero is off')
  t.same(stateAfter('M109 S-5 R-5').hotendDeciC, [0, 0, 0, 0])
})

test('a limit is reached and not passed', async t => {
  const good = [
    'M104 S250',
    'M104 T1 S220',
    'M140 S100',
    'M141 S60',
    'G1 X200 Y200 Z200',
    'G1 X0 Y0 Z0',
  ]
  for (const line of [...good, 'G1 F12000', 'G20\nG1 X7.874', 'G1 X-0.0000001'])
    t.same(run(`${line}\n`).refused, [], line)
  const bad = [
    'M104 S250.01',
    'M104 T1 S221',
    'M104 T2 S1',
    'M140 S100.01',
    'M141 S61',
    'G1 X200.000001',
  ]
  for (const line of [...bad, 'G1 X-0.000001', 'G1 Z201', 'G1 F12000.001'])
    t.same(run(`${line}\n`).refused, ['MPF_ENVELOPE 1'], line)
})

test('in one line what is no G-code is told before what is outside the envelope', async t => {
  for (const line of [
    'G1 X999 F-1',
    'G1 X999 F4294968',
    'G91\nG1 X1 F-1',
    'G2 I1 F-1',
    'G2 I1 X',
    'G1 E999999999 F-1',
    'M207 Z1 F-1',
    'M104 S999 T9',
  ]) {
    const lines = line.split('\n').length
    t.same(run(`${line}\n`).refused[0], `MPF_GCODE ${lines}`, line)
  }
})

test('fan, flow and tool', async t => {
  t.equal(stateAfter('M106 S127.5').fan, 128)
  t.equal(stateAfter('M106').fan, 255)
  t.equal(stateAfter('M106 S999').fan, 255)
  t.equal(stateAfter('M106 S-1').fan, 0)
  t.equal(stateAfter('M106 S9', 'M106 P1 S200').fan, 9, 'other fans are not followed')
  t.equal(stateAfter('M106 S9', 'M107').fan, 0)
  t.equal(stateAfter('M106 S9', 'M107 P0').fan, 0)
  t.equal(stateAfter('M106 S9', 'M107 P1').fan, 9)
  t.equal(stateAfter('M221 S95').flowPercent, 95)
  t.equal(stateAfter('T3').tool, 3)
})

test('the empty limits of a writer widen to exactly what the program does', async t => {
  const machine = new Machine(
    {
      ...LIMITS,
      words: new Set(),
      minNm: [Infinity, Infinity, Infinity],
      maxNm: [-Infinity, -Infinity, -Infinity],
      maxFeedUmPerMin: 0,
      maxExtrusionUmPerMm: 0,
      maxHotendDeciC: [],
      maxBedDeciC: 0,
      maxChamberDeciC: 0,
      maxCommandBytes: 0,
    },
    (code, line) => t.fail(`${code} ${line}`),
    { isWidening: true },
  )
  machine.run(Buffer.from('G1 X10 Y50 Z1 F600\nG3 X10 Y70 I0 J10\nM104 T1 S210\nM140 S60\n'))
  const { words, minNm, maxNm, maxFeedUmPerMin, maxHotendDeciC, maxBedDeciC, maxCommandBytes } =
    machine.limits()
  t.same([...words].sort(), ['G1', 'G3', 'M104', 'M140'])
  t.same(
    minNm.map(nm => nm / MM),
    [10, 50, 1],
  )
  t.same(
    maxNm.map(nm => nm / MM),
    [20, 70, 1],
  )
  t.same([maxFeedUmPerMin, [...maxHotendDeciC], maxBedDeciC], [600_000, [0, 2100, 0, 0], 600])
  t.equal(maxCommandBytes, 'G1 X10 Y50 Z1 F600'.length)
})

test('probing leaves the nozzle somewhere', async t => {
  for (const word of ['G29', 'G80', 'G29 P1'])
    t.same(
      run(`G28\nG90\nG1 X1 Y1 Z1\n${word}\nG91\nG1 Z1\n`, WIDE).refused,
      ['MPF_ENVELOPE 6'],
      word,
    )
})

test('a feed factor may slow, a retraction may not lift, and both keep to the feed limit', async t => {
  const lines = [
    ...[
      'M220 S100',
      'M220 S0',
      'M220 S99.5 B',
      'M220 B',
      'M220',
      'M207 S2 F12000 Z0',
      'M208 S1 F900',
    ],
    ...['M207', 'M207 R1 W2'],
  ]
  for (const line of lines) t.same(run(`${line}\n`).refused, [], line)
  for (const line of ['M220 S-1', 'M220 S', 'M207 Z', 'M207 F', 'M208 F-1'])
    t.same(run(`${line}\n`).refused, ['MPF_GCODE 1'], line)
  for (const line of [
    'M220 S100.000001',
    'M220 S999',
    'M207 Z0.2',
    'M207 Z-1',
    'M207 F12001',
    'M208 F12001',
  ])
    t.same(run(`${line}\n`).refused, ['MPF_ENVELOPE 1'], line)
  const machine = new Machine(NO_LIMITS, () => undefined, { isWidening: true })
  machine.run(Buffer.from('M207 S1 F3000\nM208 F2400\n'))
  t.equal(machine.limits().maxFeedUmPerMin, 3_000_000, 'a writer signs it')
  t.equal(machine.modal().feedUmPerMin, 0, 'it is no feed of a move')
})

test('counts layers by marks in the first column, and Z to the nearest micrometre', async t => {
  const machine = new Machine(LIMITS, () => undefined)
  machine.run(Buffer.from(';LAYER:0\n ;LAYER:1\nG28 ;LAYER:2\n;LAYER_CHANGE\n;LAYERS\n'))
  t.equal(machine.layers, 2)
  for (const [zNm, um] of [
    [1499, 1],
    [1500, 2],
    [-1500, -1],
    [-1501, -2],
    [0, 0],
  ] as const)
    t.equal(zMicrometres({ ...machine.modal(), zNm }), um)
})

test('hands out commands without comments and spaces, with their line and layer', async t => {
  const text = Buffer.from(
    ' G28 ; home\n\n;LAYER:0\nG1 X1\n;LAYER_CHANGE\n  ;LAYER:x\nM104 S0   \n; end\n',
  )
  const reader = new CommandReader({ index: 0, firstLine: 11, lines: 8, layer: 4, text })
  const commands = Array.from({ length: 4 }, () => reader.next())
  t.same(commands, [
    { line: 11, text: 'G28', layer: 4 },
    { line: 14, text: 'G1 X1', layer: 5 },
    { line: 17, text: 'M104 S0', layer: 6 },
    undefined,
  ])
})
