/** The acknowledgement model: what a Marlin asks for again, each fact of its protocol alone. */
import t from 'tap'
import { markText } from '../../drivers/marlin/codec.ts'
import { marlin } from '../../drivers/marlin/dialect.ts'
import { parseReply } from '../../drivers/marlin/replies.ts'
import { settle } from '../../drivers/window/acknowledge.ts'
import { hasRoom, isRewound, takeRewound } from '../../drivers/window/send-window.ts'
import { modelOf, moves } from '../fakes/drivers-window.ts'

const { windowOf, send, say } = modelOf(marlin)
const windowWith = (lines: number) => windowOf(...moves(lines))

t.test('asks at once when a line was executed without the number it was sent with', async t => {
  const window = windowWith(1)
  t.strictSame(say(window, 'echo:Unknown command: "L1 G1 X0"', 'ok'), ['lost', 'nothing'])
  t.equal(window.acked, 0)
})

t.test('swallows the ok of a refused fragment whose report came damaged', async t => {
  const window = windowWith(2)
  const report = 'echo:Unknown commend: "n1001 G1 X0.1"'
  t.strictSame(say(window, 'ok N1 P0 B3', report, 'ok P0 B3'), ['acked', 'lost', 'nothing'])
  const together = 'ok N461 P3 B3\u000eecho:Unknown command: "\u008aN462 M118 ~462"'
  t.strictSame(say(window, together, 'ok P15 B3'), ['lost', 'nothing'], 'run together')
})

t.test('takes a damaged link error for one, never for a halt', async t => {
  const window = windowWith(4)
  const error = 'Error:Line Number iw not Last Line Number+1, Last \\fine: 1'
  t.strictSame(say(window, 'ok', error, 'Resend: 2', 'ok'), [
    'acked',
    'nothing',
    'resend',
    'nothing',
  ])
  t.equal(parseReply('Error:chegkSui mismatch, Last(Line: 6').kind, 'linkError', 'at 1 %')
  // Seen on Marlin 2.1.2.1 under MeatPack: its receive ring is emptied, nothing is asked for.
  t.strictSame(say(windowWith(2), 'Error:Serial status mismatch', ' T:19.37 /0.00'), [
    'nothing',
    'probe',
  ])
  t.equal(parseReply('Error:Printer halted. kill() called!').kind, 'fatal')
  t.equal(parseReply('Error:Printer hcltef. kill() aalled!').kind, 'fatal', 'damaged itself')
})

t.test('takes nothing from a mark whose head the flush cut off', async t => {
  // Recorded on Marlin 2.1.2.1: `N290` was damaged, of `N291 M118 ~291*69` only ` M118 ~291*69` was read (marks began so then).
  const error = ['Error:checksum mismatch, Last Line: 1', 'Resend: 2', 'ok']
  const numbered = windowWith(2)
  say(numbered, 'ok N1 P4 B3')
  const mark = send(numbered, markText(3))
  say(numbered, ...error)
  t.strictSame(say(numbered, `q${mark}`, 'ok P4 B3'), ['nothing', 'nothing'])
  t.equal(numbered.acked, 1)
  const plain = windowWith(2)
  say(plain, 'ok')
  send(plain, markText(3))
  say(plain, ...error)
  t.strictSame(say(plain, `q${mark}`, 'ok'), ['nothing', 'nothing'])
  settle(plain)
  t.equal(takeRewound(plain)?.n, 2)
})

t.test('swallows exactly the bare ok that follows a Resend', async t => {
  const window = windowWith(4)
  const verdicts = say(
    window,
    'ok',
    'Error:checksum mismatch, Last Line: 2',
    'Resend: 3',
    'ok',
    'ok',
  )
  t.strictSame(verdicts, ['acked', 'nothing', 'resend', 'nothing', 'acked'])
  t.equal(window.acked, 2)
})

t.test('does not swallow a later ok when the bare one was lost', async t => {
  const window = windowWith(4)
  say(window, 'Error:checksum mismatch, Last Line: 2', 'Resend: 3', 'echo:busy: processing', 'ok')
  t.equal(window.acked, 1)
})

t.test('rewinds once, to the line asked for, after the settle time', async t => {
  const window = windowWith(4)
  const ask = ['Error:checksum mismatch, Last Line: 2', 'Resend: 3', 'ok']
  t.strictSame(say(window, ...ask, ...ask), [
    'nothing',
    'resend',
    'nothing',
    'nothing',
    'nothing',
    'nothing',
  ])
  t.notOk(hasRoom(window, 1))
  settle(window)
  t.ok(isRewound(window))
  t.equal(takeRewound(window)?.n, 3)
  t.equal(takeRewound(window)?.n, 4)
  t.equal(window.resends, 1)
})

t.test('believes the Error line when its Resend was damaged', async () => {
  const window = windowWith(4)
  t.strictSame(say(window, 'Error:checksum mismatch, Last Line: 2', 'Resenf: 3', 'ok'), [
    'nothing',
    'resend',
    'nothing',
  ])
  t.equal(window.settlingFrom, 3)
  t.equal(window.acked, 0)
})

t.test('asks again when a Resend names a line that cannot be meant', async t => {
  const window = windowWith(4)
  t.strictSame(say(window, 'Resend: 0303', 'ok'), ['probe', 'nothing'])
  t.strictSame(say(window, 'Error:checksum mismatch, Last Line: 4', 'Resend: 7', 'ok'), [
    'nothing',
    'probe',
    'nothing',
  ])
  t.equal(window.settlingFrom, undefined)
})

t.test('goes back behind a damaged numbered ok when Error and Resend agree', async t => {
  const window = windowWith(3)
  say(window, 'ok N2 P15 B3')
  t.strictSame(say(window, 'Error:checksum mismatch, Last Line: 0', 'Resend: 1', 'ok'), [
    'nothing',
    'resend',
    'nothing',
  ])
  settle(window)
  t.equal(window.acked, 0)
  t.equal(takeRewound(window)?.n, 1)
})

t.test('stops when Error and Resend agree on a line not yet sent', async t => {
  const window = windowWith(3)
  t.strictSame(say(window, 'Error:checksum mismatch, Last Line: 500', 'Resend: 501'), [
    'nothing',
    'impossible',
  ])
})

t.test('counts out the ok of a fragment', async t => {
  const window = windowWith(2)
  say(window, 'echo:Unknown command: "X0.1 F12000"', 'ok')
  t.equal(window.acked, 0)
})

t.test('gives up a link that needs more resends than a checksum can vouch for', async t => {
  const window = windowWith(2)
  const verdicts: string[] = []
  for (let i = 0; i < 20; i++) {
    verdicts.push(...say(window, 'Error:checksum mismatch, Last Line: 0', 'Resend: 1', 'ok'))
    settle(window)
  }
  t.ok(verdicts.includes('noise'))
})
