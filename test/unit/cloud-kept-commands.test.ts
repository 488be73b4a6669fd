/** A signed command that the core did not answer: kept on disk, asked again, and never in the way of the next. */
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { createLogger } from '#lib/logger.ts'
import { Commands } from '../../firmware/cloud/commands.ts'
import type { CoreClient } from '../../firmware/cloud/core-client.ts'
import { CloudError } from '../../firmware/cloud/errors.ts'
import { Outbox } from '../../firmware/cloud/outbox.ts'
import { fakeClock } from '../fakes/core-clock.ts'

type Core = Pick<CoreClient, 'request' | 'isEnded'>

const answered: string[] = []
function core(kind: 'answers' | 'dies' | 'refuses'): Core {
  const request = async (_method: string, params: unknown) => {
    if (kind !== 'answers') throw new CloudError('CLOUD_CORE', kind)
    const { envelope } = params as { readonly envelope: string }
    answered.push(Buffer.from(envelope, 'base64').toString())
    return { result: Buffer.from('signed').toString('base64'), verb: 'rebirth' }
  }
  return { request: request as Core['request'], isEnded: kind === 'dies' }
}

function desk(t: Test, path: string, value: Core | undefined) {
  const outbox = new Outbox(path, { eventBytes: 1 << 20, telemetryBytes: 1 << 20 })
  t.teardown(() => outbox[Symbol.dispose]())
  const verbs: (string | null)[] = []
  const log = createLogger({ name: 'test', level: 'silent' })
  const clock = fakeClock()
  const state = {
    outbox,
    sender: { added: () => undefined },
    ports: { log, clock },
    core: { value },
  }
  return { outbox, clock, verbs, commands: new Commands(state, verb => verbs.push(verb)) }
}

test('what a dying or absent core did not answer is asked again by the next life of the courier', async t => {
  const path = join(t.testdir(), 'outbox.sqlite')
  for (const [life, found] of [core('dies'), undefined].entries())
    await desk(t, path, found).commands.take(Buffer.from(`from life ${life}`))
  const { commands, verbs, outbox } = desk(t, path, core('answers'))
  answered.length = 0
  await commands.coreConnected(core('dies'))
  t.same(answered, [])
  await commands.coreConnected(core('answers'))
  t.same(answered, ['from life 0', 'from life 1'])
  t.same(verbs, ['rebirth', 'rebirth'])
  t.equal(outbox.lastOf('resp'), 2)
  await commands.coreConnected(core('answers'))
  t.equal(answered.length, 2, 'and not a third time')
})

test('what the core cannot answer is dropped, and no more than sixteen are kept', async t => {
  const path = join(t.testdir(), 'outbox.sqlite')
  const refusing = desk(t, path, core('refuses'))
  await refusing.commands.take(Buffer.from('poison'))
  const away = desk(t, path, core('dies'))
  for (let number = 0; number < 20; number += 1)
    await away.commands.take(Buffer.from(`number ${number}`))
  answered.length = 0
  await away.commands.coreConnected(core('answers'))
  t.equal(answered.length, 16)
  t.equal(answered[0], 'number 0')
})

test('of a flood the core gets what a fleet end may send in a minute, and the next minute goes on', async t => {
  const path = join(t.testdir(), 'outbox.sqlite')
  const { commands, clock, outbox } = desk(t, path, core('answers'))
  answered.length = 0
  let dropped = 0
  const send = (n: number) =>
    commands.take(Buffer.from(`number ${n}`)).catch((error: unknown) => {
      t.match(error, { code: 'CLOUD_FLOOD' })
      dropped += 1
    })
  for (let number = 0; number < 200; number += 1) await send(number)
  t.same([answered.length, dropped], [120, 80])
  await clock.advance(60_001)
  await send(200)
  t.equal(answered.at(-1), 'number 200')
  t.equal(outbox.lastOf('resp'), 121)
})

test('a command that comes while kept ones are handed over waits behind them: counters only go up', async t => {
  const path = join(t.testdir(), 'outbox.sqlite')
  for (const number of ['1', '2']) await desk(t, path, undefined).commands.take(Buffer.from(number))
  const slow = core('answers')
  const { commands } = desk(t, path, slow)
  answered.length = 0
  const flushing = commands.coreConnected(slow)
  await commands.take(Buffer.from('3'))
  await flushing
  await commands.take(Buffer.from('4'))
  t.same(answered, ['1', '2', '3', '4'])
})

test('a command longer than any request to the core is dropped by name: it would end the connection each time', async t => {
  const { commands } = desk(t, join(t.testdir(), 'outbox.sqlite'), undefined)
  await t.rejects(commands.take(Buffer.alloc(60_000)), { code: 'CLOUD_MALFORMED' })
  answered.length = 0
  await commands.coreConnected(core('answers'))
  t.same(answered, [])
})
