/** The acknowledgement model of those that only count, grbl and Klipper: each fact of each protocol alone. */
import t from 'tap'
import { grblCodec } from '../../drivers/grbl/codec.ts'
import { grbl } from '../../drivers/grbl/dialect.ts'
import { klipper } from '../../drivers/klipper/dialect.ts'
import { moves, say, type Window, windowOf } from '../fakes/drivers-window.ts'

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

t.test(
  "Klipper: another sender's words on its terminal are not counted as ours, and suspected",
  async t => {
    const window = windowOf(klipper, ...moves(2), 'M105', 'M73 P1')
    say(klipper, window, '// Unknown command:"FOO"', 'ok')
    t.equal(window.acked, 0, 'no move is a word that Klipper does not know')
    t.equal(window.doubt, 'acknowledged a line never sent')
    window.doubt = undefined
    say(klipper, window, 'ok', 'ok')
    t.match(window, { acked: 2, doubt: undefined })
    say(klipper, window, 'ok')
    t.match(window, { acked: 2, doubt: 'acknowledged a line never sent' }, 'M105 has none like it')
    window.doubt = undefined
    say(klipper, window, 'ok B:22.3 /0.0 T0:22.3 /0.0', '// Unknown command:"M73"', 'ok')
    t.match(window, { acked: 4, doubt: undefined }, 'a word of ours, or within a macro of ours')
  },
)

/** Asks until the machine has stood for a second; the first two reports may themselves acknowledge. */
function stand(window: Window, askedAt: number, report: string): string[] {
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
