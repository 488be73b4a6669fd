/** Before it is known who answers: how long it is waited for, and what is told of it. */
import t from 'tap'
import { DriverError } from '../../drivers/errors.ts'
import { marlin } from '../../drivers/marlin/dialect.ts'
import { FirstWords } from '../../drivers/shell/first-words.ts'
import { defaultTuning } from '../../drivers/tuning.ts'
import { fakeClock } from '../fakes/core-clock.ts'
import { fakeLink } from '../fakes/drivers-link.ts'

const { handshakeAttempts, handshakeRetryMs, bootMs } = defaultTuning
const HANDSHAKE_MS = handshakeAttempts * handshakeRetryMs

function listening() {
  const clock = fakeClock()
  const options = { path: '/dev/ttyACM0', wanted: [marlin.name], clock, tuning: defaultTuning }
  return { clock, words: new FirstWords(options) }
}

t.test('a boot that says something new is waited for, but not for ever', async t => {
  const { clock, words } = listening()
  for (let atMs = 0, n = 0; atMs < bootMs - 10_000; atMs += 10_000) {
    await clock.advance(10_000)
    words.hear(`echo:step ${'i'.repeat(n++)}`)
    t.ok(words.patienceMs > 0)
  }
  t.equal(words.patienceMs, 10_000, 'of the longest boot')
})

t.test('nobody is waited for because it says the same again, in other figures', async t => {
  const { clock, words } = listening()
  words.hear('wait')
  words.hear('ok T:20.1')
  await clock.advance(1_000)
  words.hear('wait')
  words.hear('ok T:20.2')
  t.equal(words.patienceMs, HANDSHAKE_MS - 1_000)
  words.hear('echo:busy: processing')
  await clock.advance(1_000)
  words.hear('echo:busy: processing')
  t.equal(words.patienceMs, HANDSHAKE_MS)
})

t.test('a question ends with the patience, by what was said', async t => {
  const { clock, words } = listening()
  words.hear('error:20')
  const never = new AbortController().signal
  const written: string[] = []
  const asked = words.answerTo(
    signal =>
      new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
    fakeLink(written),
    never,
  )
  const refused = t.rejects(asked, {
    code: 'DRIVER_NOT_RECOGNISED',
    message: 'it says "error:20" in 1 lines and does not answer as marlin does (/dev/ttyACM0)',
  })
  await clock.advance(HANDSHAKE_MS)
  t.strictSame(written, ['\nM115\nM115\n$I\n'], 'a last question, for its name')
  await clock.advance(handshakeRetryMs)
  await refused
  t.equal(clock.sleepers, 0)
})

t.test('a halt is told as one, what only begins like one is not', async t => {
  const { words } = listening()
  words.hear('Error:expected line 58 got 1')
  for (const [said, code] of [
    ['Error:expected line 58 got 1', 'DRIVER_NOT_RECOGNISED'],
    ['Error:MINTEMP triggered, system stopped! Heater_ID: E0', 'DRIVER_HALTED'],
    ['!!', 'DRIVER_HALTED'],
    ['ALARM:1 (a limit switch)', 'DRIVER_HALTED'],
    ['!! Shutdown due to webhooks request', 'DRIVER_HALTED'],
  ] as const)
    t.match(words.giveUp(new DriverError('DRIVER_HALTED', said)), { code }, said)
})

t.test('what is told holds nothing of a print before ours, and is short', async t => {
  const { words } = listening()
  words.hear('\xfe\x01noise')
  t.match(words.giveUp().message, /^it says nothing readable in 1 lines and /)
  words.hear('echo:Unknown command: "M117 turbine blade 7"')
  words.hear('Bad command: G1 X17.25')
  words.hear('z'.repeat(500))
  const { message } = words.giveUp()
  t.ok(message.length < 250, message)
  t.notMatch(message, /turbine|17|[^ -~…]/)
})

t.test('a controller that waits for its user is waited for, and told to wait for that', async t => {
  const { clock, words } = listening()
  words.hear('start')
  for (let atMs = 0; atMs < bootMs; atMs += 2_000) {
    t.ok(words.patienceMs > 0)
    words.hear('echo:busy: paused for user')
    await clock.advance(2_000)
  }
  t.notOk(words.patienceMs > 0)
  t.match(words.giveUp(), {
    code: 'DRIVER_PAUSED_FOR_USER',
    message: '/dev/ttyACM0 is paused for user',
  })
})
