/** A second interpreter of G-code, which disagrees with the model of the machine if it can. */
import fc from 'fast-check'
import { test } from 'tap'
import { Machine } from '../../mpf/gcode/machine.ts'
import { encodeModal } from '../../mpf/gcode/modal.ts'
import { run, WIDE } from '../fakes/mpf-machine.ts'

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
    if (word === 'M107' && Number(parameters.get('P') ?? 0) === 0) s.fan = 0n
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
    'M107 P1',
    'M107 P0',
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
