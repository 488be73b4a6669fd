/** The model of the machine is what stands between a signed program and a crash: grammar, motion, heat, and an interpreter that disagrees if it can. */
import fc from 'fast-check'
import { test } from 'tap'
import { CommandReader, DEFAULT_WORDS } from '#mpf'
import { type Arc, arcBounds, arcTravelNm } from '../../mpf/gcode/arc.ts'
import { type MachineLimits, NO_LIMITS } from '../../mpf/gcode/limits.ts'
import { Machine } from '../../mpf/gcode/machine.ts'
import {
  decodeModal,
  encodeModal,
  MODAL_BIT,
  type ModalState,
  zMicrometres,
} from '../../mpf/gcode/modal.ts'
import { EMPTY, LineScanner, MALFORMED, WORD_NAMES } from '../../mpf/gcode/scanner.ts'

const MM = 1e6
const LIMITS: MachineLimits = {
  words: new Set([
    ...DEFAULT_WORDS,
    'G10',
    'M17',
    'M18',
    'M141',
    'M207',
    'M208',
    'M220',
    'M191',
    'M862',
  ]),
  minNm: [0, 0, 0],
  maxNm: [200 * MM, 200 * MM, 200 * MM],
  maxFeedUmPerMin: 12_000_000,
  maxExtrusionUmPerMm: 1000,
  maxHotendDeciC: [2500, 2200, 0, 0],
  maxBedDeciC: 1000,
  maxChamberDeciC: 600,
  maxCommandBytes: 76,
}
const WIDE: MachineLimits = {
  ...LIMITS,
  minNm: [-Infinity, -Infinity, -Infinity],
  maxNm: [Infinity, Infinity, Infinity],
  maxFeedUmPerMin: 0xffffffff,
  maxExtrusionUmPerMm: Infinity,
  maxHotendDeciC: [65535, 65535, 65535, 65535],
  maxBedDeciC: 65535,
  maxChamberDeciC: 65535,
}

interface Run {
  readonly state: ModalState
  readonly refused: readonly string[]
}

/** The state a program leads to, and `code line` of what was refused. */
function run(text: string | Uint8Array, limits: MachineLimits = LIMITS): Run {
  const refused: string[] = []
  const machine = new Machine(limits, (code, line) => refused.push(`${code} ${line}`))
  machine.run(typeof text === 'string' ? Buffer.from(text, 'latin1') : text)
  return { state: machine.modal(), refused }
}

/** The state after lines that are all accepted. */
function stateAfter(...lines: readonly string[]): ModalState {
  const { state, refused } = run(`${lines.join('\n')}\n`)
  if (refused.length > 0) throw new Error(`${lines}: ${refused}`)
  return state
}

const xyz = ({ xNm, yNm, zNm }: ModalState) => [xNm / MM, yNm / MM, zNm / MM]
const scan = (line: string) => {
  const scanner = new LineScanner()
  scanner.scan(Buffer.from(`${line}\n`, 'latin1'), 0)
  return scanner
}

test('reads a word, its parameters and its comment', async t => {
  const scanner = scan('  G1 X-1.5Y+.25 Z3.  F1200 ; comment; more')
  t.equal(WORD_NAMES[scanner.word], 'G1')
  t.same(
    [...'XYZF'].map(letter => scanner.values[letter.charCodeAt(0) - 65]),
    [-1.5, 0.25, 3, 1200].map(value => value * MM),
  )
  t.equal(scanner.commandBytes, 'G1 X-1.5Y+.25 Z3.  F1200'.length)
})

test('drops digits past a nanometre, never rounds', async t => {
  t.equal(scan('G1 X0.1234567').values[23], 123456)
  t.equal(scan('G1 X-0.9999999').values[23], -999999)
  t.equal(scan('G1 X999999999.999999').values[23], 999999999999999)
})

test('takes leading zeros of a word as firmware does', async t => {
  for (const word of ['G01', 'G001', 'G1']) t.equal(WORD_NAMES[scan(word).word], 'G1')
  t.equal(WORD_NAMES[scan('M862.3 P1').word], 'M862')
  for (const word of ['G0001', 'M862.', 'M862.x', 'G1.0', 'M104.1'])
    t.equal(scan(word).word, MALFORMED)
})

test('an empty line, spaces and a comment are no command', async t => {
  for (const line of ['', '   ', ';', ' ; G1 X1']) t.equal(scan(line).word, EMPTY)
})

/** SPEC 6.1 written as an expression: what is accepted must match, whatever the scanner thinks. */
const NUMBER = '[+-]?(?:[0-9]{1,9}(?:\\.[0-9]*)?|\\.[0-9]+)'
const GRAMMAR = new RegExp(
  `^ *(?:[GMT][0-9]{1,3}(?:\\.[0-9])?(?: *[A-FH-LP-Z](?:${NUMBER}(?![EX]))?)* *)?(?:;[ -~]*)?$`,
)

test('accepts nothing outside the grammar', async t => {
  const piece = fc.constantFrom(
    ...['G1', 'G2', 'M104', 'M862.3', 'T0', 'X', 'Y', 'E', 'F', 'S', 'I', 'N', 'G', 'M', 'O', 'A'],
    ...[
      '1',
      '0',
      '-',
      '+',
      '.',
      '12.5',
      '5',
      ' ',
      '  ',
      ';',
      '*',
      '(',
      '"',
      '\r',
      '\t',
      '\0',
      '/',
      'x',
    ],
  )
  const line = fc.oneof(
    fc.array(piece, { maxLength: 12 }).map(pieces => pieces.join('')),
    fc.string({ maxLength: 300, unit: 'binary-ascii' }),
  )
  let accepted = 0
  fc.assert(
    fc.property(line, text => {
      if (text.includes('\n') || scan(text).word === MALFORMED) return true
      accepted++
      return GRAMMAR.test(text) && text.length <= 256
    }),
    { seed: 1, numRuns: 20_000 },
  )
  t.ok(accepted > 200, `${accepted} accepted`)
})

test('survives any bytes, line numbers and all', async t => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), bytes => {
      const machine = new Machine(LIMITS, () => undefined)
      machine.run(bytes)
      const lines =
        bytes.filter(byte => byte === 10).length +
        (bytes.at(-1) === 10 || bytes.length === 0 ? 0 : 1)
      return machine.line === lines && decodeModal(encodeModal(machine.modal())) !== undefined
    }),
    { seed: 2, numRuns: 5000 },
  )
  t.pass()
})

test('a last line without its end is refused', async t => {
  t.same(new Set(run('G28\nG1 X1').refused), new Set(['MPF_GCODE 2']))
})

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

test('fan, flow and tool', async t => {
  t.equal(stateAfter('M106 S127.5').fan, 128)
  t.equal(stateAfter('M106').fan, 255)
  t.equal(stateAfter('M106 S999').fan, 255)
  t.equal(stateAfter('M106 S-1').fan, 0)
  t.equal(stateAfter('M106 S9', 'M106 P1 S200').fan, 9, 'other fans are not followed')
  t.equal(stateAfter('M106 S9', 'M107').fan, 0)
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

/** A second interpreter: strings, decimals in BigInt, no tables. It knows valid programs only. */
class Interpreter {
  state = {
    xNm: 0n,
    yNm: 0n,
    zNm: 0n,
    eNm: 0n,
    feed: 0n,
    hotend: [0n, 0n, 0n, 0n],
    bed: 0n,
    tool: 0,
    fan: 0n,
    flow: 100n,
    relative: false,
    relativeE: false,
    inches: false,
    known: '',
  }

  line(line: string): void {
    const [word = '', ...rest] = (line.split(';')[0] ?? '').trim().split(/ +/)
    const parameters = new Map(rest.map(text => [text[0] ?? '', text.slice(1)]))
    const s = this.state
    const modes: Readonly<Record<string, Partial<typeof s>>> = {
      G20: { inches: true },
      G21: { inches: false },
      G90: { relative: false, relativeE: false },
      G91: { relative: true, relativeE: true },
      M82: { relativeE: false },
      M83: { relativeE: true },
      M107: { fan: 0n },
    }
    Object.assign(s, modes[word])
    if (/^T[0-3]$/.test(word)) s.tool = Number(word[1])
    if (/^G0?[0123]$/.test(word)) this.#move(parameters)
    if (word === 'G28') this.#home(parameters)
    if (/^M(18|84)$/.test(word) && !(rest.length === 1 && /^[SE]/.test(rest[0] ?? '')))
      this.#forget(rest.length === 0 ? [...'XYZ'] : rest)
    if (word === 'G92') s.eNm = this.#length(parameters.get('E') ?? '')
    this.#setpoints(word, parameters)
  }

  #setpoints(word: string, parameters: ReadonlyMap<string, string>): void {
    const s = this.state
    if (word === 'M104' || word === 'M109') {
      const tool = parameters.has('T') ? Number(parameters.get('T')) : s.tool
      s.hotend[tool] = deciC(parameters)
    }
    if (word === 'M140' || word === 'M190') s.bed = deciC(parameters)
    if (word === 'M106') s.fan = (millionths(parameters.get('S') ?? '255') + 500_000n) / 1_000_000n
    if (word === 'M221') s.flow = (millionths(parameters.get('S') ?? '') + 500_000n) / 1_000_000n
  }

  #length(text: string): bigint {
    const value = millionths(text)
    return this.state.inches ? (value * 254n) / 10n : value
  }

  #home(parameters: ReadonlyMap<string, string>): void {
    const named = [...'XYZ'].filter(axis => parameters.has(axis))
    this.#forget(named.length > 0 ? named : [...'XYZ'])
  }

  #forget(axes: readonly string[]): void {
    for (const axis of axes) {
      this.#set(axis, 0n)
      this.state.known = this.state.known.replace(axis, '')
    }
  }

  #set(axis: string, value: bigint): void {
    if (axis === 'X') this.state.xNm = value
    if (axis === 'Y') this.state.yNm = value
    if (axis === 'Z') this.state.zNm = value
  }

  #move(parameters: ReadonlyMap<string, string>): void {
    const s = this.state
    const now = new Map([
      ['X', s.xNm],
      ['Y', s.yNm],
      ['Z', s.zNm],
    ])
    for (const [axis, position] of now) {
      const text = parameters.get(axis)
      if (text === undefined) continue
      this.#set(axis, s.relative ? position + this.#length(text) : this.#length(text))
      if (!s.known.includes(axis)) s.known += axis
    }
    const e = parameters.get('E')
    if (e !== undefined) s.eNm = this.#length(e) + (s.relativeE ? s.eNm : 0n)
    const feed = parameters.get('F')
    if (feed !== undefined) s.feed = this.#length(feed) / 1000n
  }

  bytes(): Uint8Array {
    const s = this.state
    const bits = [
      s.relative,
      s.relativeE,
      s.inches,
      ...[...'XYZ'].map(axis => s.known.includes(axis)),
    ]
    return encodeModal({
      xNm: Number(s.xNm),
      yNm: Number(s.yNm),
      zNm: Number(s.zNm),
      eNm: Number(s.eNm),
      feedUmPerMin: Number(s.feed),
      hotendDeciC: s.hotend.map(Number),
      bedDeciC: Number(s.bed),
      chamberDeciC: 0,
      fan: Number(s.fan),
      tool: s.tool,
      flowPercent: Number(s.flow),
      bits: bits.reduce((sum, isSet, i) => sum + (isSet ? 1 << i : 0), 0),
    })
  }
}

function millionths(text: string): bigint {
  const [, sign, whole = '', fraction = ''] = /^([+-]?)([0-9]*)\.?([0-9]*)$/.exec(text) ?? []
  const value = BigInt(`${whole || '0'}${fraction.slice(0, 6).padEnd(6, '0')}`)
  return sign === '-' ? -value : value
}

function deciC(parameters: ReadonlyMap<string, string>): bigint {
  const asked = millionths(parameters.get('S') ?? parameters.get('R') ?? '')
  return (asked + 99_999n) / 100_000n
}

const decimal = fc
  .record({
    whole: fc.integer({ min: 0, max: 180 }),
    fraction: fc.integer({ min: 0, max: 9_999_999 }),
    sign: fc.constantFrom('', '+', '-'),
    places: fc.integer({ min: 0, max: 7 }),
  })
  .map(
    ({ whole, fraction, sign, places }) =>
      `${sign}${whole}${places === 0 ? '' : `.${String(fraction).padStart(7, '0').slice(0, places)}`}`,
  )
const unsigned = decimal.map(text => text.replace(/^[+-]/, ''))
const optional = (letter: string, value: fc.Arbitrary<string>) =>
  fc.option(value, { nil: undefined }).map(text => (text === undefined ? '' : ` ${letter}${text}`))

/** A command after which both interpreters must agree; axes are known from the first line on. */
const command = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .tuple(
        fc.constantFrom('G0', 'G1', 'G01'),
        optional('X', decimal),
        optional('Y', decimal),
        optional('Z', decimal),
        optional('E', decimal),
        optional('F', unsigned),
      )
      .map(parts => parts.join('')),
  },
  {
    weight: 2,
    arbitrary: fc
      .tuple(
        fc.constantFrom('G2', 'G3'),
        optional('X', decimal),
        optional('Y', decimal),
        fc.constant(' I5'),
        optional('J', decimal),
        optional('E', decimal),
      )
      .map(parts => parts.join('')),
  },
  fc.constantFrom(
    'G20',
    'G21',
    'G90',
    'G91',
    'M82',
    'M83',
    'M221 S100\nT0',
    'M221 S100\nT1',
    'M221 S95.5\nT3',
    'M107',
    'M106',
    'M105',
    'G4 P10',
    '; comment',
    '',
  ),
  fc.constantFrom('G28\nG90\nG1 X1 Y1 Z1', 'G28 X\nG90\nG1 X2', 'G92 E0', 'M84 S60', 'M18 E'),
  fc.constantFrom('M84\nG90\nG1 X1 Y1 Z1', 'M18 X Z\nG90\nG1 X2 Z3', 'M84 Y\nG90\nG1 Y.5'),
  fc
    .tuple(fc.constantFrom('M104', 'M109'), fc.constantFrom(' S', ' T2 S'), unsigned)
    .map(parts => parts.join('')),
  fc
    .tuple(fc.constantFrom('M140 S', 'M190 S', 'M190 R', 'M106 S', 'M221 S', 'G92 E'), unsigned)
    .map(parts => parts.join('')),
)

test('agrees with a second interpreter on every valid program', async t => {
  let lines = 0
  fc.assert(
    fc.property(fc.array(command, { maxLength: 40 }), commands => {
      const program = ['G1 X1 Y1 Z1', ...commands].flatMap(each => each.split('\n'))
      const { state, refused } = run(`${program.join('\n')}\n`, WIDE)
      const second = new Interpreter()
      for (const line of program) second.line(line)
      lines += program.length
      return refused.length === 0 && Buffer.compare(encodeModal(state), second.bytes()) === 0
    }),
    { seed: 5, numRuns: 1500 },
  )
  t.ok(lines > 5000, `${lines} lines`)
})

test('the state does not depend on where the blocks are cut', async t => {
  fc.assert(
    fc.property(fc.array(command, { maxLength: 30 }), fc.nat(), (commands, cut) => {
      const program = ['G1 X1 Y1 Z1', ...commands]
        .flatMap(each => each.split('\n'))
        .map(line => `${line}\n`)
      const whole = run(program.join(''), WIDE).state
      const machine = new Machine(WIDE, () => undefined)
      const at = cut % (program.length + 1)
      for (const part of [program.slice(0, at), program.slice(at)])
        if (part.length > 0) machine.run(Buffer.from(part.join('')))
      return Buffer.compare(encodeModal(whole), encodeModal(machine.modal())) === 0
    }),
    { seed: 6, numRuns: 500 },
  )
  t.pass()
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
