/** What the shell does when a link misbehaves: a cable that comes and goes, a machine that is emptied, a port that never falls quiet. */
import t from 'tap'
import type { Dialect } from '../../drivers/dialect.ts'
import { DriverError } from '../../drivers/errors.ts'
import { grbl } from '../../drivers/grbl/dialect.ts'
import { marlin } from '../../drivers/marlin/dialect.ts'
import { reprap } from '../../drivers/reprap/dialect.ts'
import { Conversation } from '../../drivers/shell/conversation.ts'
import { FirstWords } from '../../drivers/shell/first-words.ts'
import { Flush } from '../../drivers/shell/flush.ts'
import { createGreeting } from '../../drivers/shell/greeting.ts'
import { Health } from '../../drivers/shell/health.ts'
import type { LineListener } from '../../drivers/shell/line.ts'
import { reattach } from '../../drivers/shell/reattach.ts'
import { smoothie } from '../../drivers/smoothie/dialect.ts'
import { forgetInFlight } from '../../drivers/window/acknowledge.ts'
import { append } from '../../drivers/window/send-window.ts'
import { fakeClock } from '../fakes/core-clock.ts'
import { fakeLink } from '../fakes/drivers-link.ts'
import { moves, windowOf } from '../fakes/drivers-window.ts'

const never = new AbortController().signal

/** What a greeting is run with. */
function greetingOn(dialect: Dialect, written: string[] = []) {
  const clock = fakeClock()
  const { tuning } = dialect
  const words = new FirstWords({ path: '', wanted: [dialect.name], clock, tuning })
  return { clock, tuning, dialect, words, link: fakeLink(written), signal: never }
}

/** A cable that was lost with three lines in flight and is looked for. */
function looking(dialect: Dialect) {
  const clock = fakeClock()
  const stale: string[] = []
  const back: (number | undefined)[] = []
  const quiet = { onBatch: () => undefined, onDrain: () => undefined, onLost: () => undefined }
  let listener: LineListener = { ...quiet, onLine: line => void stale.push(line) }
  let opened = 0
  const found = reattach({
    ...{ clock, dialect, tuning: dialect.tuning, window: windowOf(dialect, ...moves(3)) },
    line: {
      get listener() {
        return listener
      },
      listen: next => {
        const before = listener
        listener = next
        return before
      },
      open: async next => {
        opened++
        listener = next
        return fakeLink()
      },
    },
    lost: new DriverError('DRIVER_PORT_LOST', 'gone'),
    withinMs: 60_000,
    lastExecuted: 0,
    signal: never,
    onBack: (_link, from) => void back.push(from),
  })
  return {
    ...{ clock, stale, back, found },
    opened: () => opened,
    listener: () => listener,
  }
}

t.test('a port that is lost again while it is listened to is not back', async t => {
  const cable = looking(reprap)
  await cable.clock.advance(reprap.tuning.reattachRetryMs)
  cable.listener().onLost(new Error('gone again'))
  for (let waited = 0; waited < 200; waited += 50) await cable.clock.advance(50)
  t.equal(cable.opened(), 1)
  await cable.clock.advance(reprap.tuning.reattachRetryMs)
  t.equal(cable.opened(), 2)
  t.strictSame(cable.back, [])
  for (let waited = 0; waited < 2 * reprap.tuning.reattachListenMs; waited += 100)
    await cable.clock.advance(100)
  await cable.found
  t.strictSame(cable.back, [undefined], 'nobody greeted: the ordinary probe will tell')
})

t.test('the bare ok behind the answer to a question is nobody’s acknowledgement', async t => {
  const cable = looking(marlin)
  await cable.clock.advance(marlin.tuning.reattachRetryMs)
  const say = async (line: string): Promise<void> => {
    cable.listener().onLine(line)
    await cable.clock.advance(1)
  }
  await say('Error:Line Number is not Last Line Number+1, Last Line: 2')
  await say('Resend: 3')
  await say('ok')
  await cable.found
  t.strictSame(cable.back, [3])
  t.strictSame(cable.stale, [])
})

t.test('a machine that holds refused lines is emptied once, however many it refuses', async t => {
  const clock = fakeClock()
  const written: string[] = []
  let resumed = 0
  const flush = new Flush({
    ...{ clock, holdStopMs: 600, isDumb: () => false, onDeaf: () => undefined },
    sender: {
      write: text => void written.push(text),
      pause: () => undefined,
      resume: () => void resumed++,
    },
  })
  const words = { hold: '!', reset: 'R' }
  const emptied = flush.begin(words)
  t.equal(flush.begin(words), emptied)
  await clock.advance(600)
  t.strictSame(written, ['!', 'R'])
  t.ok(flush.isStartExpected)
  await clock.advance(3_000)
  t.strictSame(written, ['!', 'R', 'R'], 'its greeting was lost on the way')
  flush.ended()
  await emptied
  await clock.advance(10_000)
  t.equal(written.length, 3)
  t.equal(resumed, 1)
})

t.test(
  'who was not asked for temperatures tells them while it waits for heat, and only then',
  async t => {
    for (const [dialect, line] of [
      [reprap, 'T:60.0 /210.0 B:40.0 /60.0'],
      [smoothie, 'T:60.0 /210.0 @255 '],
      [marlin, ' T:60.00 /210.00 @:127'],
    ] as const) {
      const clock = fakeClock()
      const conversation = new Conversation({
        ...{ clock, dialect, tuning: dialect.tuning, isCompact: false, onEvent: () => undefined },
        health: new Health(clock, 115_200, () => undefined),
        link: fakeLink(),
      })
      append(conversation.window, { text: 'M109', frame: 'M109\n', by: 'ok' }, { kind: 'driver' })
      await clock.advance(10_000)
      conversation.onLine(line)
      t.equal(conversation.progress.stalledSinceMs, 10_000, dialect.name)
      forgetInFlight(conversation.window)
      conversation.onLine(line)
      append(conversation.window, { text: 'G1', frame: 'G1\n', by: 'ok' }, { kind: 'driver' })
      await clock.advance(10_000)
      conversation.onLine(line)
      t.equal(conversation.progress.stalledSinceMs, 10_000, 'it reports while idle too')
    }
  },
)

t.test('a controller that never falls quiet is talked to all the same', async t => {
  const options = greetingOn(grbl)
  const { clock } = options
  const greeting = createGreeting(grbl)
  let isDone = false
  const greeted = greeting.run(options).then(() => {
    isDone = true
  })
  await clock.advance(grbl.tuning.greetingMs)
  greeting.onLine('ok')
  for (let lines = 0; lines < 100 && !isDone; lines++) {
    greeting.onLine('[MSG:report]')
    await clock.advance(grbl.tuning.quietMs / 2)
  }
  t.ok(isDone)
  await greeted
})

t.test('a controller that halts instead of answering is told as halted', async t => {
  // Marlin's emergency parser reads no checksum: one flip on the way made `N0 M110` into M112.
  const options = greetingOn(marlin)
  const { clock, tuning } = options
  const greeting = createGreeting(marlin)
  const greeted = greeting.run(options)
  const refused = t.rejects(greeted, { code: 'DRIVER_HALTED' })
  greeting.onLine('Error:Printer halted. kill() called!')
  for (let attempt = 0; attempt <= tuning.handshakeAttempts; attempt++)
    await clock.advance(Math.max(tuning.greetingMs, tuning.handshakeRetryMs))
  await refused
})

t.test('a board found in check mode is opened only once it has greeted its reset', async t => {
  const written: string[] = []
  const options = greetingOn(grbl, written)
  const { clock, tuning } = options
  let isDone = false
  const greeting = createGreeting(grbl)
  const greeted = greeting.run(options).then(() => {
    isDone = true
  })
  await clock.advance(tuning.greetingMs)
  greeting.onLine('ok')
  await clock.advance(0)
  greeting.onLine('<Check|MPos:0.000,0.000,0.000|FS:0,0>')
  t.equal(written.at(-1), '\x18')
  for (let quiet = 0; quiet < 4; quiet++) await clock.advance(tuning.quietMs)
  t.notOk(isDone, 'its greeting is still on the way')
  greeting.onLine("Grbl 1.1h ['$' for help]")
  await clock.advance(tuning.handshakeRetryMs)
  greeting.onLine('ok')
  for (let quiet = 0; quiet < 4; quiet++) await clock.advance(tuning.quietMs)
  t.ok(isDone)
  await greeted
})
