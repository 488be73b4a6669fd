/** The acknowledgement model: each fact of Marlin's protocol alone. */
import t from 'tap'
import { frameCommand, markText } from '../../drivers/marlin/codec.ts'
import { parseReply } from '../../drivers/marlin/replies.ts'
import { defaultTuning } from '../../drivers/tuning.ts'
import { settle } from '../../drivers/window/acknowledge.ts'
import { hearNumbered as hear } from '../../drivers/window/go-back-n.ts'
import {
  append,
  createWindow,
  hasRoom,
  inFlightLines,
  isRewound,
  type SendWindow,
  takeRewound,
} from '../../drivers/window/send-window.ts'

type Window = SendWindow<undefined>

function windowWith(lines: number): Window {
  const window = createWindow<undefined>(defaultTuning)
  for (let i = 0; i < lines; i++) send(window, `G1 X${i}`)
  return window
}

function send(window: Window, text: string): number {
  const by = text.startsWith('M118') ? 'mark' : text === 'M105' ? 'temperatures' : 'ok'
  return append(window, { text, frame: frameCommand(window.next, text), by }, undefined).n
}

function say(window: Window, ...lines: string[]): string[] {
  return lines.map(line => hear(window, parseReply(line)).kind)
}

t.test('counts plain acknowledgements', async t => {
  const window = windowWith(3)
  say(window, 'ok', 'ok')
  t.equal(window.acked, 2)
})

t.test('ignores an acknowledgement more than there are lines', async t => {
  const window = windowWith(1)
  t.strictSame(say(window, 'ok', 'ok'), ['acked', 'nothing'])
  t.equal(window.acked, 1)
})

t.test('takes a numbered acknowledgement for all lines before it', async t => {
  const window = windowWith(4)
  say(window, 'ok N3 P15 B3')
  t.equal(window.acked, 3)
})

t.test('asks when a numbered acknowledgement names no line in flight', async t => {
  const window = windowWith(2)
  t.strictSame(say(window, 'ok N9 P15 B3', 'ok N0 P15 B3'), ['lost', 'lost'])
  t.equal(window.acked, 0)
})

t.test('ignores bare acknowledgements once they come numbered', async t => {
  const window = windowWith(4)
  say(window, 'ok N1 P15 B3', 'ok', 'ok')
  t.equal(window.acked, 1)
})

t.test('stops when the firmware acknowledges a numberless line it was never sent', async t => {
  const window = windowWith(4)
  say(window, 'ok N1 P15 B3')
  t.strictSame(say(window, 'ok P15 B3'), ['impossible'])
})

t.test('asks at once when an acknowledgement came damaged', async t => {
  // Recorded on Marlin 2.1.2.1 at 0.2 % of noise a byte.
  const damaged = ['ok N1690P14 B3', 'ok N306 P!4 B3', '\u00efk N113 P3 B2', 'o{']
  for (const line of damaged) t.strictSame(say(windowWith(2), line), ['lost'], line)
  t.strictSame(say(windowWith(2), 'ok N1 P0 B3\u000eok N2 P0 B3'), ['lost'], 'run together')
  const temperatures = '\u00efk T:19.37 /0.00 B:19.37 /0.00 @:0 B@:0'
  t.strictSame(say(windowWith(2), temperatures), ['lost'], 'no report of its own')
  t.strictSame(say(windowWith(2), temperatures.slice(2)), ['nothing'])
  t.strictSame(say(windowWith(2), 'Cap:LO^G_FILENAME:0'), ['nothing'], 'any other reply')
})

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

t.test(
  'has one line on the wire until a link is known to be clean, and once it is not',
  async t => {
    // Recorded on Marlin 2.1.2.1 at 250,000 baud: the flush after an error cut the line behind the damaged one to `G1 X0.1*71`.
    for (const word of ['', ' N%']) {
      const window = windowWith(0)
      const acknowledge = (lines: number): void => {
        for (let i = 0; i < lines; i++) {
          const n = send(window, 'G1 X1')
          say(window, `ok${word.replace('%', `${n}`)}`)
        }
      }
      acknowledge(63)
      t.equal(window.windowLines, 1)
      acknowledge(8)
      t.equal(window.windowLines, 4)
      const damaged = send(window, 'G1 X1')
      say(window, `Error:checksum mismatch, Last Line: ${damaged - 1}`, `Resend: ${damaged}`, 'ok')
      settle(window)
      takeRewound(window)
      say(window, `ok${word.replace('%', `${damaged}`)}`)
      acknowledge(200)
      t.equal(window.windowLines, 1)
      acknowledge(100)
      t.equal(window.windowLines, 2)
    }
  },
)

t.test('takes nothing from a mark whose head the flush cut off', async t => {
  // Recorded on Marlin 2.1.2.1: `N290` was damaged, of `N291 M118 ~291*69` only ` M118 ~291*69` was read.
  const error = ['Error:checksum mismatch, Last Line: 1', 'Resend: 2', 'ok']
  const numbered = windowWith(2)
  say(numbered, 'ok N1 P4 B3')
  const mark = send(numbered, markText(3))
  say(numbered, ...error)
  t.strictSame(say(numbered, `~${mark}`, 'ok P4 B3'), ['nothing', 'nothing'])
  t.equal(numbered.acked, 1)
  const plain = windowWith(2)
  say(plain, 'ok')
  send(plain, markText(3))
  say(plain, ...error)
  t.strictSame(say(plain, `~${mark}`, 'ok'), ['nothing', 'nothing'])
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

t.test('counts the ok of an unknown command that was sent', async t => {
  const window = windowWith(0)
  send(window, 'G777')
  say(window, 'echo:Unknown command: "G777"', 'ok')
  t.equal(window.acked, 1)
})

t.test('acknowledges an M105 by its temperatures only', async t => {
  const window = windowWith(1)
  send(window, 'M105')
  say(window, 'ok', 'ok')
  t.equal(window.acked, 1)
  say(window, 'ok T:20.0 /0.0')
  t.equal(window.acked, 2)
})

t.test('lets a mark repair the count', async t => {
  const window = windowWith(3)
  const n = send(window, markText(window.next))
  send(window, 'G1 X9')
  // Two of the three oks were lost.
  t.strictSame(say(window, 'ok', `~${n}`, 'ok', 'ok'), ['acked', 'acked', 'nothing', 'acked'])
  t.equal(inFlightLines(window), 0)
})

t.test('keeps what is outstanding within lines and bytes', async t => {
  const window = createWindow<undefined>({ ...defaultTuning, ringBytes: 40 })
  t.ok(hasRoom(window, 95), 'one line always fits')
  send(window, 'G1 X100.000 Y100.000')
  t.notOk(hasRoom(window, 10), 'starts with one line in flight')
  say(window, 'ok')
  for (let i = 0; i < 64; i++) {
    send(window, 'G1')
    say(window, 'ok')
  }
  send(window, 'G1 X100.000 Y100.000')
  t.ok(hasRoom(window, 10))
  t.notOk(hasRoom(window, 20))
})

t.test('learns the queue of a firmware that reports it, once it has said so twice', async t => {
  const window = windowWith(3)
  say(window, 'ok N1 P15 B7')
  t.equal(window.bufferLines, 4)
  say(window, 'ok N2 P15 B7')
  t.equal(window.bufferLines, 8)
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

t.test(
  'stops when an ok more than was sent proves that an unchecked line was executed',
  async t => {
    const window = windowWith(0)
    const first = send(window, markText(window.next))
    say(window, `~${first}`, 'ok')
    send(window, 'G1 X1')
    send(window, 'G1 X2')
    const second = send(window, markText(window.next))
    t.strictSame(say(window, 'ok', 'ok', 'ok', `~${second}`).at(-1), 'impossible')
  },
)
