/** In and out of a firmware's check mode, word by word: what proves it, what ends it, and what is believed of neither. */
import t from 'tap'
import { grbl } from '../../drivers/grbl/dialect.ts'
import { inCheckMode } from '../../drivers/shell/check-mode.ts'
import { Conversation } from '../../drivers/shell/conversation.ts'
import { Feed } from '../../drivers/shell/feed.ts'
import { Health } from '../../drivers/shell/health.ts'
import { hearCounted } from '../../drivers/window/counted.ts'
import { fakeClock } from '../fakes/core-clock.ts'
import { fakeLink } from '../fakes/drivers-link.ts'
import { windowOf } from '../fakes/drivers-window.ts'

const never = new AbortController().signal
const GREETING = "Grbl 1.1h ['$' for help]"

/** A conversation that has written `$C`, and the rehearsal that waits for what comes. */
async function entering(body: () => Promise<string> = () => new Promise(() => undefined)) {
  const clock = fakeClock()
  const written: string[] = []
  const conversation = new Conversation({
    ...{ clock, dialect: grbl, tuning: grbl.tuning, isCompact: false, onEvent: () => undefined },
    health: new Health(clock, 115_200, () => undefined),
    link: fakeLink(written),
  })
  const say = async (...lines: readonly string[]): Promise<void> => {
    for (const line of lines) conversation.onLine(line)
    await clock.advance(0)
  }
  let outcome: unknown
  inCheckMode(conversation, grbl, never, body).then(
    value => {
      outcome = value
    },
    (error: unknown) => {
      outcome = error
    },
  )
  await say('ok')
  t.equal(written.at(-1), '$C\n')
  await say('[MSG:Enabled]', 'ok')
  return { clock, conversation, written, say, outcome: () => outcome }
}

t.test('nothing is sent before its status says that it only checks', async t => {
  const begun: string[] = []
  const { written, say, outcome } = await entering(async () => {
    begun.push('program')
    return 'checked'
  })
  t.equal(written.at(-1), '?')
  t.strictSame(begun, [])
  await say('<Chexk|WPos:0,0,0>')
  t.strictSame(begun, [], 'a damaged report is asked for again')
  await say('<Check|WPos:0,0,0>')
  t.strictSame(begun, ['program'])
  t.equal(written.at(-1), '\x18')
  t.equal(outcome(), undefined, 'not out before its greeting')
  await say(GREETING)
  t.equal(outcome(), 'checked')
})

t.test('a board that stands idle after $C is given nothing', async t => {
  const begun: string[] = []
  const { written, say, outcome } = await entering(async () => {
    begun.push('program')
    return 'checked'
  })
  for (let report = 0; report < 5; report++) await say('<Idle|WPos:0,0,0>')
  t.equal(written.at(-1), '\x18')
  await say(GREETING)
  t.strictSame(begun, [])
  t.match(outcome(), { code: 'DRIVER_COMMAND_REFUSED', message: /in Idle/ })
})

t.test('whoever left the mode without a word heard is reset before it moves far', async t => {
  const { conversation, written, say, outcome } = await entering(() => {
    const { promise } = Promise.withResolvers<string>()
    return Promise.race([promise, conversation.command('G4 P9').then(() => 'checked')])
  })
  await say('<Check|WPos:0,0,0>', '<Ch3ck|WPos:0,0,0>', '<Check:0|WPos:0,0,0>')
  t.equal(conversation.failure, undefined)
  await say('<Run|WPos:0,0,0>')
  t.match(outcome(), { code: 'DRIVER_RESET', message: /check mode: it is in Run/ })
  t.equal(written.at(-1), '\x18')
})

t.test('a soft limit halts where a line is refused, and is told as such', async t => {
  const { clock, conversation, written, say, outcome } = await entering(async () => {
    const lines = ['G1 X1', 'G1 X999'].map((text, i) => ({ line: 7 + i, text }))
    const feed = new Feed({ next: () => lines.shift() }, () => undefined)
    conversation.feed(feed)
    await feed.finished
    return 'checked'
  })
  await say('<Check|WPos:0,0,0>')
  await say('ok', 'ALARM:2')
  await clock.advance(500)
  t.equal(written.at(-1), '!', 'grbl says so for half a second, and forgets a reset meanwhile')
  await clock.advance(100)
  t.equal(written.at(-1), '\x18')
  await say('ok', GREETING)
  t.equal(conversation.failure, undefined)
  t.match(outcome(), {
    ...{ code: 'DRIVER_COMMAND_REFUSED', line: 8 },
    message: 'line 8: ALARM:2 (the target is outside its travel)',
  })
})

t.test('a board that greets no reset is given up', async t => {
  const { clock, written, say, outcome } = await entering(async () => 'checked')
  await say('<Check|WPos:0,0,0>')
  for (let waitedS = 0; waitedS < 40; waitedS++) await clock.advance(1_000)
  t.match(outcome(), { code: 'DRIVER_SILENT' })
  t.equal(written.filter(bytes => bytes === '\x18').length, 10)
})

t.test('a lost acknowledgement is told by a board that checks as by one that stands', async t => {
  const window = windowOf(grbl, 'G1 X1', 'G4 P9')
  const report = grbl.parseReply('<Check|WPos:0,0,0>')
  for (let reports = 0; reports < 5; reports++) {
    t.equal(window.acked, 0)
    window.statusAskedAt = 2
    hearCounted(window, report)
  }
  window.statusAskedAt = 2
  hearCounted(window, report)
  t.equal(window.acked, 2, 'a dwell is none in check mode')
})
