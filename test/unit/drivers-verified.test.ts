/** The acknowledgement model of RepRapFirmware, which discards in silence: nothing is repeated on a guess. */
import t from 'tap'
import { crc16 } from '../../drivers/reprap/crc16.ts'
import { reprap, reprapCrc16 } from '../../drivers/reprap/dialect.ts'
import { settle } from '../../drivers/window/acknowledge.ts'
import { isRewound, takeRewound } from '../../drivers/window/send-window.ts'
import { modelOf, type Window } from '../fakes/drivers-window.ts'

const { windowOf, send, say } = modelOf(reprap)

t.test('RepRapFirmware restarts in silence: it stands at the origin, unsent', async t => {
  const window = windowOf('M114')
  say(window, 'X:5.000 Y:0.000 Z:1.000 E:0.000', 'ok')
  send(window, 'G1 X6')
  const origin = 'X:0.000 Y:0.000 Z:0.000 E:0.000'
  t.equal([...ask(window, origin), ...ask(window, origin)].at(-1), 'restarted')
})

t.test(
  'RepRapFirmware: a line is repeated only when the position shows that it was not executed',
  async t => {
    const window = windowOf('M114')
    say(window, 'X:0.000 Y:0.000 Z:0.000 E:0.000 E0:0.0 Count 0 0 0', 'ok')
    send(window, 'G1 X5')
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
    send(window, 'M114')
    return say(window, answer, 'ok').slice(0, 1)
  })
}

t.test(
  'RepRapFirmware: an answer to a question asked before the line says nothing about it',
  async t => {
    const before = 'X:0.000 Y:0.000 Z:0.000 E:0.000'
    const window = windowOf('M114')
    say(window, before, 'ok')
    send(window, 'G1 X5')
    for (let late = 0; late < 4; late++) send(window, 'M114')
    t.strictSame(say(window, before, 'ok', before, 'ok')[2], 'resend')
    settle(window)
    takeRewound(window)
    // Two more answers are on their way from before it was repeated.
    const verdicts = say(window, before, 'ok', before, 'ok', 'ok')
    t.notOk(verdicts.includes('resend'), 'or it would be executed twice')
    t.equal(window.acked, 2, 'its own ok came after them')
  },
)

t.test('RepRapFirmware: an ok that may belong to a lost answer acknowledges nothing', async t => {
  const position = 'X:0.000 Y:0.000 Z:0.000 E:0.000'
  const window = windowOf('M114', 'M114')
  say(window, position, 'ok')
  send(window, 'G1 X5')
  t.strictSame(say(window, 'ok'), ['probe'], 'the second answer is still owed')
  t.strictSame(say(window, 'X:0.000 Y:0.0 0 Z:0.000 E:0.000', 'ok'), ['nothing', 'nothing'])
  t.strictSame(say(windowOf('G1 X5'), 'Error8 Bad command: 25', 'ok'), ['nothing', 'nothing'])
})

t.test('RepRapFirmware: an arc back to its start is never repeated on a guess', async t => {
  const window = windowOf('M114')
  say(window, 'X:0.000 Y:0.000 Z:0.000 E:0.000', 'ok')
  send(window, 'G2 X0 Y0 I5 J0')
  const answer = 'X:0.000 Y:0.000 Z:0.000 E:0.000'
  t.strictSame(
    [...ask(window, answer), ...ask(window, answer)],
    [...['probe', 'probe', 'probe', 'impossible']],
  )
})

t.test(
  'RepRapFirmware: a move too small for its report is repeated, for it ends where it ends',
  async t => {
    const window = windowOf('M114')
    const there = 'X:5.000 Y:0.000 Z:0.000 E:0.000'
    say(window, there, 'ok')
    send(window, 'G1 X5.0004')
    t.strictSame(ask(window, there), ['probe', 'resend'])
    const relative = windowOf('M114')
    say(relative, there, 'ok')
    send(relative, 'M83')
    say(relative, 'ok')
    send(relative, 'G1 E0.0004')
    const verdicts = [...ask(relative, there), ...ask(relative, there)]
    t.strictSame(verdicts, ['probe', 'probe', 'probe', 'impossible'], 'that one would go further')
  },
)

t.test('RepRapFirmware: a relative extrusion is told apart, a cut line is counted out', async t => {
  const window = windowOf('M114')
  say(window, 'X:0.000 Y:0.000 Z:0.000 E:1.000', 'ok')
  send(window, 'M83')
  say(window, 'ok')
  send(window, 'G1 E0.5')
  t.strictSame(say(window, 'Error: Bad command: 57', 'ok'), ['nothing', 'nothing'])
  t.strictSame(ask(window, 'X:0.000 Y:0.000 Z:0.000 E:1.500'), ['probe', 'acked'])
})

t.test('RepRapFirmware: five digits of CRC where it is demanded', async t => {
  t.equal(crc16('123456789'), 0x31c3)
  t.match(reprapCrc16.codec.frameCommand(3, 'G1 X1'), /^N3 G1 X1\*\d{5}\n$/)
})
