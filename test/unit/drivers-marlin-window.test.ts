/** The acknowledgement model: what counts as executed on a Marlin, and how much may be in flight. */
import t from 'tap'
import { markText } from '../../drivers/marlin/codec.ts'
import { marlin } from '../../drivers/marlin/dialect.ts'
import { defaultTuning } from '../../drivers/tuning.ts'
import { settle } from '../../drivers/window/acknowledge.ts'
import {
  createWindow,
  hasRoom,
  inFlightLines,
  takeRewound,
} from '../../drivers/window/send-window.ts'
import { modelOf, moves } from '../fakes/drivers-window.ts'

const { windowOf, send, say } = modelOf(marlin)
const windowWith = (lines: number) => windowOf(...moves(lines))

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

t.test('a line damaged past its checksum, no command any more, was not executed', async t => {
  // Recorded on Marlin 2.1.2.1: `N96 G1 X8.4*77` arrived as `N96!G0 X8.4*77`.
  for (const heard of ['!G0 X1', 'C5 X1']) {
    const window = windowWith(3)
    say(window, 'ok N1 P15 B3')
    const refused = say(window, `echo:Unknown command: "${heard}"`)
    t.strictSame(refused, ['refused'], heard)
    t.equal(window.acked, 2, 'its number is spent')
  }
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
  t.strictSame(say(window, 'ok', `q${n}`, 'ok', 'ok'), ['acked', 'acked', 'nothing', 'acked'])
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

t.test(
  'stops when an ok more than was sent proves that an unchecked line was executed',
  async t => {
    const window = windowWith(0)
    const first = send(window, markText(window.next))
    say(window, `q${first}`, 'ok')
    send(window, 'G1 X1')
    send(window, 'G1 X2')
    const second = send(window, markText(window.next))
    t.strictSame(say(window, 'ok', 'ok', 'ok', `q${second}`).at(-1), 'impossible')
  },
)

t.test('asks once more when the echo of a mark may be that of the one before, damaged', async t => {
  const window = windowWith(0)
  const first = send(window, markText(window.next))
  say(window, `q${first}`, 'ok')
  send(window, 'G1 X1')
  const lost = send(window, markText(window.next))
  say(window, 'ok', 'ok')
  send(window, markText(window.next))
  t.strictSame(say(window, `q${lost}`, 'ok'), ['lost', 'nothing'])
  const last = send(window, markText(window.next))
  t.strictSame(say(window, `q${last}`, 'ok'), ['acked', 'nothing'], 'the count is right')
  t.equal(window.acked, last)
})

t.test('a line too many is still found at the mark after the doubtful one', async t => {
  const window = windowWith(0)
  const first = send(window, markText(window.next))
  say(window, `q${first}`, 'ok')
  send(window, 'G1 X1')
  const second = send(window, markText(window.next))
  const third = send(window, markText(window.next))
  const verdicts = say(window, 'ok', 'ok', `q${second}`, 'ok', `q${third}`)
  t.strictSame(verdicts.slice(2), ['lost', 'nothing', 'impossible'])
})
