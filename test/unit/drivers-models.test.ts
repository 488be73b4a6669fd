/** The acknowledgement models beside Marlin's: each fact of each protocol alone. */
import t from 'tap'
import type { Dialect } from '../../drivers/dialect.ts'
import { grblCodec } from '../../drivers/grbl/codec.ts'
import { grbl } from '../../drivers/grbl/dialect.ts'
import { klipper } from '../../drivers/klipper/dialect.ts'
import { marlin } from '../../drivers/marlin/dialect.ts'
import { buddy, prusa } from '../../drivers/prusa/dialect.ts'
import { crc16 } from '../../drivers/reprap/crc16.ts'
import { reprap, reprapCrc16 } from '../../drivers/reprap/dialect.ts'
import { smoothie } from '../../drivers/smoothie/dialect.ts'
import { settle } from '../../drivers/window/acknowledge.ts'
import {
  append,
  createWindow,
  isRewound,
  type SendWindow,
  takeRewound,
} from '../../drivers/window/send-window.ts'

type Window = SendWindow<undefined>

function windowOf(dialect: Dialect, ...texts: string[]): Window {
  const window = createWindow<undefined>(dialect.tuning, dialect.rules)
  for (const text of texts) send(dialect, window, text)
  return window
}

function send(dialect: Dialect, window: Window, text: string): number {
  const frame = dialect.codec.frameCommand(window.next, text)
  return append(window, { text, frame, by: dialect.codec.acknowledgedBy(text) }, undefined).n
}

function say(dialect: Dialect, window: Window, ...lines: string[]): string[] {
  return lines.map(line => dialect.hear(window, dialect.parseReply(line)).kind)
}

const moves = (count: number): string[] => Array.from({ length: count }, (_, i) => `G1 X${i}`)

t.test('MK3 goes back to a line it had acknowledged, when it asks without an error', async t => {
  const window = windowOf(prusa, ...moves(8))
  say(prusa, window, ...new Array<string>(8).fill('ok'))
  t.equal(window.acked, 8)
  t.strictSame(say(prusa, window, 'Resend: 5', 'ok'), ['resend', 'nothing'])
  settle(window)
  t.equal(window.acked, 4)
  t.equal(takeRewound(window)?.n, 5)
})

t.test('Marlin asking without an error for an acknowledged line is asked again', async t => {
  const window = windowOf(marlin, ...moves(8))
  say(marlin, window, ...new Array<string>(8).fill('ok'))
  t.strictSame(say(marlin, window, 'Resend: 5'), ['probe'])
})

t.test('a board that asks for line 1 in the middle of a print has restarted', async t => {
  for (const dialect of [marlin, prusa, smoothie]) {
    const window = windowOf(dialect, ...moves(20))
    say(dialect, window, ...new Array<string>(20).fill('ok'))
    const verdicts = say(dialect, window, 'Error:checksum mismatch, Last Line: 0', 'Resend: 1')
    t.notOk(verdicts.includes('resend'), dialect.name)
    t.ok(verdicts.includes('restarted'), dialect.name)
  }
})

t.test('RepRapFirmware restarts in silence: it stands at the origin, unsent', async t => {
  const window = windowOf(reprap, 'M114')
  say(reprap, window, 'X:5.000 Y:0.000 Z:1.000 E:0.000', 'ok')
  send(reprap, window, 'G1 X6')
  const origin = 'X:0.000 Y:0.000 Z:0.000 E:0.000'
  t.equal([...ask(window, origin), ...ask(window, origin)].at(-1), 'restarted')
})

t.test('Buddy may leave the ok after a Resend out: an ok too few, never one too many', async t => {
  const window = windowOf(buddy, ...moves(4))
  say(buddy, window, 'Error:checksum mismatch, Last Line: 2', 'Resend: 3', 'ok', 'ok')
  t.equal(window.acked, 1)
  t.equal(buddy.stop.bytes(9), '\nM112\n', 'a numbered M112 would hide from it')
})

t.test('Smoothie asks by rs without any ok, once for each stale line', async t => {
  const window = windowOf(smoothie, ...moves(4))
  t.strictSame(say(smoothie, window, 'rs N2', 'rs N2', 'rs N2', 'ok'), [
    'resend',
    'nothing',
    'nothing',
    'acked',
  ])
  settle(window)
  t.ok(isRewound(window))
  t.equal(takeRewound(window)?.n, 2)
})

t.test('Smoothie halted, and positions on its acknowledgement', async t => {
  t.equal(smoothie.parseReply('!!').kind, 'fatal')
  t.match(smoothie.parseReply('ok C: X:1.0000 Y:2.0000 Z:3.0000 E:4.0000'), {
    kind: 'ok',
    report: { kind: 'position', position: { x: 1, y: 2, z: 3, e: 4 } },
  })
  t.equal(smoothie.parseReply('ok - ignored').kind, 'ok')
})

t.test('Klipper: a refused line is named, and its ok is not counted twice', async t => {
  const window = windowOf(klipper, ...moves(3))
  t.strictSame(say(klipper, window, 'ok', '!! Move out of range: 999.0', 'ok', 'ok'), [
    'acked',
    'refused',
    'nothing',
    'acked',
  ])
  t.equal(window.acked, 3)
  t.equal(klipper.parseReply('// Klipper state: Shutdown').kind, 'fatal')
  t.ok(klipper.tuning.bufferLines <= 16, 'M112 overtakes only below 20 pending lines')
  t.equal(klipper.codec.lineBreak, '', 'an empty line would be acknowledged')
})

/** Asks until the machine has stood for a second; the first two reports may themselves acknowledge. */
function stand(window: ReturnType<typeof windowOf>, askedAt: number, report: string): string[] {
  return Array.from({ length: 8 }, () => {
    window.statusAskedAt = askedAt
    return say(grbl, window, report)
  }).flat()
}

t.test('grbl: a status report finds the acknowledgements that were lost', async t => {
  const window = windowOf(grbl, 'G1 X1', 'G1 X2', 'G1 X3', 'G1 X4')
  window.ringBytes = 127
  const asked = (report: string) => {
    window.statusAskedAt = 4
    return say(grbl, window, report)
  }
  // One line of six bytes waits; the one before it may still be at the planner.
  const report = '<Run|WPos:1.000,0.000,0.000|FS:0,0|Bf:9,121>'
  t.strictSame(asked(report), ['nothing'], 'a damaged digit would open the window too far')
  t.strictSame(asked('<Run|WPos:1.000,0.000,0.000|FS:0,0|Bf:9,127>'), ['acked'])
  t.equal(window.acked, 2, 'what both of them say')
  const verdicts = stand(window, 4, '<Idle|WPos:4.000,0.000,0.000|FS:0,0|Bf:15,127>')
  t.equal(window.acked, 4)
  t.same(
    verdicts.findLast(kind => kind !== 'nothing'),
    'acked',
    'one report may come between the execution of a line and its ok',
  )
})

t.test('grbl: without Bf, a machine that stands has executed what it was sent', async t => {
  // Recorded on grbl 1.1h with its default $10=1: the ok of the last move was damaged.
  const idle = '<Idle|MPos:6.000,0.000,0.000|FS:0,0>'
  const window = windowOf(grbl, 'G1 X0.02', 'G4 P0.01')
  stand(window, 2, idle)
  t.equal(window.acked, 2)
  const dwelling = windowOf(grbl, 'G4 P3')
  stand(dwelling, 1, idle)
  t.equal(dwelling.acked, 0, 'a dwell stands on purpose')
})

t.test(
  'grbl: a report that was not asked for, or came for later lines, proves nothing',
  async t => {
    const window = windowOf(grbl, 'G1 X1', 'G1 X2')
    t.strictSame(say(grbl, window, '<Idle|WPos:0.000,0.000,0.000|FS:0,0|Bf:15,127>'), ['nothing'])
    stand(window, 1, '<Idle|WPos:0.000,0.000,0.000|FS:0,0|Bf:15,127>')
    t.equal(window.acked, 1)
  },
)

t.test('grbl: a lost acknowledgement that may have been an error ends it', async t => {
  const window = windowOf(grbl, 'G1 X1')
  say(grbl, window, 'eror:20')
  const report = '<Idle|WPos:0.000,0.000,0.000|FS:0,0|Bf:15,127>'
  t.equal(stand(window, 1, report).at(-1), 'impossible')
})

t.test('grbl: damaged replies run together are an error only where one of them may be', async t => {
  const idle = '<Idle|MPos:30.000,0.000,0.000|FS:0,0>'
  const verdictAfter = (damaged: string): string | undefined => {
    const window = windowOf(grbl, 'G1 X30')
    say(grbl, window, damaged)
    return stand(window, 1, idle).findLast(kind => kind !== 'nothing')
  }
  // Recorded on grbl 1.1h over a line that flips a bit in 500 bytes.
  t.equal(verdictAfter('ok\rJok\r'), 'acked')
  t.equal(verdictAfter('<Idle|MPos:30.000,0.000\f0.000|FS:0,0>\r*ok\r'), 'acked')
  t.equal(verdictAfter(`${idle}\rJ${idle}\r`), 'acked')
  t.equal(verdictAfter(`${idle}\rJerror:20\r`), 'impossible')
})

t.test(
  'grbl: error:n names its line, ALARM stops, the line being executed is believed',
  async t => {
    const window = windowOf(grbl, ...moves(5))
    t.strictSame(say(grbl, window, 'ok', 'error:20'), ['acked', 'refused'])
    t.equal(grbl.parseReply('ALARM:1').kind, 'fatal')
    for (const line of [5, 4]) {
      t.equal(window.acked, 2, 'told twice, or a damaged digit would do')
      window.statusAskedAt = 5
      say(grbl, window, `<Run|WPos:0.000,0.000,0.000|FS:0,0|Ln:${line}>`)
    }
    t.equal(window.acked, 3)
    const counted = windowOf(grbl, ...moves(5))
    for (let i = 0; i < 2; i++) {
      counted.statusAskedAt = 5
      say(grbl, counted, '<Run|WPos:0.000,0.000,0.000|FS:0,0|Bf:15,115|Ln:5>')
    }
    t.equal(counted.acked, 2, 'no line is executed while it waits in the buffer')
  },
)

t.test('grbl: realtime characters, comments and what is stored never pass', async t => {
  const codec = grblCodec({ isNumbered: false })
  for (const text of [
    'G1 X1 ?',
    'G1 X1 !',
    'G1~',
    'G1 (x)',
    'G1 ;x',
    'G1 \u0084',
    'G10 L2 P1 X0',
    'G28.1',
    '$X',
    `G1 ${'X'.repeat(80)}`,
  ])
    t.throws(() => codec.frameProgramLine(1, text), { code: 'DRIVER_LINE_REFUSED' }, text)
  t.equal(codec.frameRequest(1, '$X'), '$X\n')
  t.equal(grblCodec({ isNumbered: true }).frameProgramLine(7, 'G1 X1'), 'N7G1 X1\n')
})

t.test(
  'RepRapFirmware: a line is repeated only when the position shows that it was not executed',
  async t => {
    const window = windowOf(reprap, 'M114')
    say(reprap, window, 'X:0.000 Y:0.000 Z:0.000 E:0.000 E0:0.0 Count 0 0 0', 'ok')
    send(reprap, window, 'G1 X5')
    t.strictSame(ask(window, 'X:0.000 Y:0.000 Z:0.000 E:0.000'), ['probe', 'resend'])
    settle(window)
    t.equal(takeRewound(window)?.text, 'G1 X5')
    t.strictSame(ask(window, 'X:5.000 Y:0.000 Z:0.000 E:0.000'), ['probe', 'acked'])
    t.equal(window.acked, window.next - 1)
  },
)

/** Asks for the position twice, for one damaged digit could make another place of it. */
function ask(window: Window, answer: string): string[] {
  return [1, 2].flatMap(() => {
    while (isRewound(window)) takeRewound(window)
    send(reprap, window, 'M114')
    return say(reprap, window, answer, 'ok').slice(0, 1)
  })
}

t.test(
  'RepRapFirmware: an answer to a question asked before the line says nothing about it',
  async t => {
    const before = 'X:0.000 Y:0.000 Z:0.000 E:0.000'
    const window = windowOf(reprap, 'M114')
    say(reprap, window, before, 'ok')
    send(reprap, window, 'G1 X5')
    for (let late = 0; late < 4; late++) send(reprap, window, 'M114')
    t.strictSame(say(reprap, window, before, 'ok', before, 'ok')[2], 'resend')
    settle(window)
    takeRewound(window)
    // Two more answers are on their way from before it was repeated.
    const verdicts = say(reprap, window, before, 'ok', before, 'ok', 'ok')
    t.notOk(verdicts.includes('resend'), 'or it would be executed twice')
    t.equal(window.acked, 2, 'its own ok came after them')
  },
)

t.test('RepRapFirmware: an ok that may belong to a lost answer acknowledges nothing', async t => {
  const position = 'X:0.000 Y:0.000 Z:0.000 E:0.000'
  const window = windowOf(reprap, 'M114', 'M114')
  say(reprap, window, position, 'ok')
  send(reprap, window, 'G1 X5')
  t.strictSame(say(reprap, window, 'ok'), ['probe'], 'the second answer is still owed')
  t.strictSame(say(reprap, window, 'X:0.000 Y:0.0 0 Z:0.000 E:0.000', 'ok'), ['nothing', 'nothing'])
  t.strictSame(say(reprap, windowOf(reprap, 'G1 X5'), 'Error8 Bad command: 25', 'ok'), [
    'nothing',
    'nothing',
  ])
})

t.test('RepRapFirmware: an arc back to its start is never repeated on a guess', async t => {
  const window = windowOf(reprap, 'M114')
  say(reprap, window, 'X:0.000 Y:0.000 Z:0.000 E:0.000', 'ok')
  send(reprap, window, 'G2 X0 Y0 I5 J0')
  const answer = 'X:0.000 Y:0.000 Z:0.000 E:0.000'
  t.strictSame(
    [...ask(window, answer), ...ask(window, answer)],
    [...['probe', 'probe', 'probe', 'impossible']],
  )
})

t.test('RepRapFirmware: a relative extrusion is told apart, a cut line is counted out', async t => {
  const window = windowOf(reprap, 'M114')
  say(reprap, window, 'X:0.000 Y:0.000 Z:0.000 E:1.000', 'ok')
  send(reprap, window, 'M83')
  say(reprap, window, 'ok')
  send(reprap, window, 'G1 E0.5')
  t.strictSame(say(reprap, window, 'Error: Bad command: 57', 'ok'), ['nothing', 'nothing'])
  t.strictSame(ask(window, 'X:0.000 Y:0.000 Z:0.000 E:1.500'), ['probe', 'acked'])
})

t.test('RepRapFirmware: five digits of CRC where it is demanded', async t => {
  t.equal(crc16('123456789'), 0x31c3)
  t.match(reprapCrc16.codec.frameCommand(3, 'G1 X1'), /^N3 G1 X1\*\d{5}\n$/)
})
