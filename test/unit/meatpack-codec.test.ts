/** MeatPack as published: known answers from the table of the protocol, and what one side packs the other reads. */
import fc from 'fast-check'
import { test } from 'tap'
import {
  createMeatPackReader,
  meatPackCommand,
  meatPackStart,
  packFrame,
  parseMeatPackState,
} from '../../drivers/meatpack.ts'
import { Packing } from '../../drivers/shell/packing.ts'
import { fakeClock } from '../fakes/core-clock.ts'

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')

// Codes by hand: 0-9 are themselves, `.` a, space b, line feed c, G d, X e; the first character is the lower half.
for (const [frame, expected] of [
  ['G1 X10\n', '1d' + 'eb' + '01' + 'cc'],
  ['G1\n', '1d' + 'cc'],
  ['10.5\n', '01' + '5a' + 'cc'],
  // Y is none of the table: the half before it says so, the byte follows.
  ['GY\n', 'fd' + '59' + 'cc'],
  ['Y1\n', '1f' + '59' + 'cc'],
  ['YZ\n', 'ff' + '59' + '5a' + 'cc'],
  ['M104 S1\n', '1f4d' + '40' + 'fb53' + 'c1'],
] as const)
  test(`packs ${JSON.stringify(frame)}`, async t => {
    t.equal(hex(packFrame(frame, true)), expected)
  })

test('without spaces E takes the place of the space', async t => {
  t.equal(hex(packFrame('X1E2\n', false)), '1e' + '2b' + 'cc')
  t.equal(hex(packFrame('X1E2\n', true)), '1e' + '2f45' + 'cc')
  t.equal(hex(packFrame('G 1\n', false)), 'fd20' + 'c1')
})

test('commands are two signal bytes and a word', async t => {
  t.equal(hex(meatPackCommand('enable')), 'fffffb')
  t.equal(hex(meatPackCommand('disable')), 'fffffa')
  t.equal(hex(meatPackCommand('query')), 'fffff8')
  t.equal(hex(meatPackStart(false)), 'fffff9' + 'fffff7' + 'fffffb')
  t.equal(hex(meatPackStart(true)), 'fffff9' + 'fffff6' + 'fffffb')
})

test('reads the state a controller tells', async t => {
  t.same(parseMeatPackState('[MP] PV01 ON NSP'), { isOn: true, hasSpaces: false })
  t.same(parseMeatPackState('[MP] PV01 OFF ESP'), { isOn: false, hasSpaces: true })
  t.equal(parseMeatPackState('[MP] PV02 ON ESP'), undefined)
  t.equal(parseMeatPackState('ok'), undefined)
})

test('refuses what is not one line of ASCII', async t => {
  for (const frame of ['', 'G1', 'G1\nG2\n', 'G1 \u00ff\n', 'M117 caf\u00e9\n'])
    t.throws(() => packFrame(frame, true), { code: 'DRIVER_LINE_REFUSED' }, JSON.stringify(frame))
})

const frames = fc.array(
  fc
    .array(fc.constantFrom(...'0123456789. GXYZEFSMN*-'), { maxLength: 60 })
    .map(characters => `${characters.join('')}\n`),
  { maxLength: 20 },
)
const anyText = fc
  .string({ unit: fc.integer({ min: 0x20, max: 0x7e }).map(code => String.fromCharCode(code)) })
  .map(text => `${text}\n`)

test('the controller reads what was packed, however the bytes are cut', async t => {
  fc.assert(
    fc.property(
      fc.oneof(frames, fc.array(anyText)),
      fc.boolean(),
      fc.integer({ min: 1, max: 7 }),
      (lines, hasSpaces, cut) => {
        const reader = createMeatPackReader()
        const bytes = Buffer.concat([
          meatPackStart(hasSpaces),
          ...lines.map(line => packFrame(line, hasSpaces)),
        ])
        let text = ''
        for (let at = 0; at < bytes.length; at += cut)
          text += reader.push(bytes.subarray(at, at + cut))
        return text === lines.join('')
      },
    ),
    { numRuns: 500 },
  )
  t.pass()
})

test('a packed frame never holds two signal bytes in a row, nor is it ever longer than half again', async t => {
  fc.assert(
    fc.property(fc.oneof(frames, fc.array(anyText)), fc.boolean(), (lines, hasSpaces) =>
      lines.every(line => {
        const packed = packFrame(line, hasSpaces)
        const isTwice = packed.some((byte, i) => byte === 0xff && packed[i + 1] === 0xff)
        return !isTwice && packed.length <= line.length + Math.ceil(line.length / 2)
      }),
    ),
  )
  t.pass()
})

test('the start sequence mends a reader that lost half a pair', async t => {
  const reader = createMeatPackReader()
  reader.push(meatPackStart(true))
  reader.push(Uint8Array.of(0xff, 0x59))
  t.equal(reader.push(Buffer.concat([meatPackStart(true), packFrame('G1 X1\n', true)])), 'G1 X1\n')
})

test('packing is off until it is asked for, and off again on request', async t => {
  const reader = createMeatPackReader()
  t.equal(reader.push(Buffer.from('M115\n')), 'M115\n')
  reader.push(meatPackCommand('enable'))
  t.equal(reader.isOn, true)
  t.equal(reader.push(packFrame('G1\n', true)), 'G1\n')
  reader.push(meatPackCommand('disable'))
  t.equal(reader.push(Buffer.from('G1\n')), 'G1\n')
})

test('a plain move shrinks to about half', async t => {
  const frame = 'N12345G1X126.406Y108.488E3.52617*97\n'
  t.ok(
    packFrame(frame, false).length <= 0.6 * frame.length,
    `${packFrame(frame, false).length} of ${frame.length}`,
  )
})

test('packing that is not confirmed stays off', async t => {
  const clock = fakeClock()
  const packing = new Packing()
  const written: string[] = []
  const started = packing.start(bytes => written.push(bytes), clock, new AbortController().signal)
  t.ok(packing.hear('[MP] PV01 OFF ESP'))
  t.ok(packing.hear('[MP] PV01 ON NSP'), 'the other table')
  t.notOk(packing.hear('ok'))
  await clock.advance(2_000)
  await started
  t.equal(packing.isOn, false)
  t.equal(packing.encode('N1 G1X1*9\n'), 'N1 G1X1*9\n')
  t.equal(hex(Buffer.from(written.at(-1) ?? '', 'latin1')), 'fffff9')
})

test('each repair begins packing anew; too many of them end it', async t => {
  const packing = new Packing()
  const started = packing.start(() => undefined, fakeClock(), new AbortController().signal)
  packing.hear('[MP] PV01 ON ESP')
  await started
  const repair = () => hex(Buffer.from(packing.encode('\nG1\n'), 'latin1'))
  for (let i = 0; i < 3; i++) t.equal(repair(), 'fffff9fffff6fffffb' + 'cc' + '1dcc')
  t.equal(repair(), 'fffff9' + '0a' + '47310a')
  t.equal(packing.isOn, false)
})
