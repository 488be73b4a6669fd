/** Signed commands between broker and core: none waits for another's answer, none is lost when the core or the courier dies over it. */
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { unverifiedStatement } from '#lib/dsse.ts'
import { createLogger } from '#lib/logger.ts'
import { Commands } from '../../firmware/cloud/commands.ts'
import type { CoreClient } from '../../firmware/cloud/core-client.ts'
import { CloudError } from '../../firmware/cloud/errors.ts'
import { Outbox } from '../../firmware/cloud/outbox.ts'
import { command, roster } from '../fakes/cloud-roster.ts'
import { fakeClock } from '../fakes/core-clock.ts'

type Core = Pick<CoreClient, 'request' | 'isEnded'>

const answered: string[] = []

const { security } = roster()
const envelopes = new Map<string, Uint8Array>()
/** The command of this id: the same each time. */
function envelopeOf(id: string): Uint8Array {
  const envelope = envelopes.get(id) ?? command([security], 1e12, { id })
  envelopes.set(id, envelope)
  return envelope
}

/** `slow` answers what begins with "pause" only when it is released. */
function core(kind: 'answers' | 'dies' | 'refuses', slow?: Promise<void>): Core {
  const request = async (_method: string, params: unknown) => {
    if (kind !== 'answers') throw new CloudError('CLOUD_CORE', kind)
    const { envelope } = params as { readonly envelope: string }
    const { id: text } = unverifiedStatement(Buffer.from(envelope, 'base64')) as { id: string }
    if (text.startsWith('pause')) await slow
    answered.push(text)
    const args = { from: 1, to: 2 }
    return { result: Buffer.from('signed').toString('base64'), verb: 'log.export', args }
  }
  return { request: request as Core['request'], isEnded: kind === 'dies' }
}

function desk(t: Test, path: string) {
  const outbox = new Outbox(path, { eventBytes: 1 << 20, telemetryBytes: 1 << 20 })
  t.teardown(() => outbox[Symbol.dispose]())
  const verbs: string[] = []
  const log = createLogger({ name: 'test', level: 'silent' })
  const clock = fakeClock()
  const state = { outbox, sender: { added: () => undefined }, ports: { log, clock } }
  const commands = new Commands(state, verb => verbs.push(verb))
  const take = (id: string) => commands.take(envelopeOf(id))
  /** The connection to a core, until it is ended. */
  const serve = (by: Core) => {
    const ending = new AbortController()
    const running = commands.run(by, ending.signal)
    return {
      async [Symbol.asyncDispose]() {
        ending.abort()
        await running
      },
    }
  }
  answered.length = 0
  return { outbox, clock, verbs, commands, take, serve }
}

const turns = async () => {
  for (let turn = 0; turn < 10; turn += 1) await new Promise(resolve => setImmediate(resolve))
}

test('what a dying or absent core did not answer is asked again by the next life of the courier', async t => {
  const path = join(t.testdir(), 'outbox.sqlite')
  {
    const { take, serve } = desk(t, path)
    await take('from-no-core')
    await using _ = serve(core('dies'))
    await take('from-a-dying-one')
  }
  const { verbs, outbox, serve } = desk(t, path)
  for (const kind of ['dies', 'answers', 'answers'] as const) {
    await using _ = serve(core(kind))
    await turns()
  }
  t.same(answered, ['from-no-core', 'from-a-dying-one'])
  t.same(verbs, ['log.export', 'log.export'])
  t.equal(outbox.lastOf('resp'), 2)
})

test('what the core cannot answer is dropped, and no more than sixteen are kept', async t => {
  const path = join(t.testdir(), 'outbox.sqlite')
  {
    const { take, serve } = desk(t, path)
    await using _ = serve(core('refuses'))
    await take('poison')
  }
  const { take, serve } = desk(t, path)
  for (let number = 0; number < 16; number += 1) await take(`number-${number}`)
  await t.rejects(take('number-16'), { code: 'CLOUD_FLOOD' }, 'and that is told')
  await using _ = serve(core('answers'))
  await turns()
  t.equal(answered.length, 16)
  t.equal(answered[0], 'number-0')
})

test('of a flood the core gets what a fleet end may send in a minute, and the next minute goes on', async t => {
  const { take, serve, clock, outbox } = desk(t, join(t.testdir(), 'outbox.sqlite'))
  await using _ = serve(core('answers'))
  let dropped = 0
  const send = (n: number) =>
    take(`number-${n}`).catch((error: unknown) => {
      t.match(error, { code: 'CLOUD_FLOOD' })
      dropped += 1
    })
  for (let number = 0; number < 200; number += 1) await send(number)
  t.same([answered.length, dropped], [120, 80])
  await clock.advance(60_001)
  await send(200)
  t.equal(answered.at(-1), 'number-200')
  t.equal(outbox.lastOf('resp'), 121)
  t.equal(outbox.fact('commands-kept'), undefined, 'quick answers cost no write of their own')
  t.equal(clock.sleepers, 0)
})

test('while the core carries one out for long, the next goes past it; cut off then, the long one is asked again', async t => {
  const path = join(t.testdir(), 'outbox.sqlite')
  const { promise: never } = Promise.withResolvers<void>()
  {
    const { take, serve, clock, outbox } = desk(t, path)
    await using _ = serve(core('answers', never))
    const taking = take('pause')
    await turns()
    await clock.advance(1000)
    await taking
    await take('lock')
    await take('pause')
    t.same(answered, ['lock'])
    t.equal(outbox.lastOf('resp'), 1)
  }
  const { serve, outbox } = desk(t, path)
  await using _ = serve(core('answers'))
  await turns()
  t.same(answered, ['pause'])
  t.equal(outbox.lastOf('resp'), 2)
})

test('commands that were kept are handed over in the order they came, before any that comes now', async t => {
  const path = join(t.testdir(), 'outbox.sqlite')
  for (const number of ['1', '2']) await desk(t, path).take(number)
  const { take, serve } = desk(t, path)
  await using _ = serve(core('answers'))
  await take('3')
  await take('4')
  t.same(answered, ['1', '2', '3', '4'])
})

test('the answer, what follows from it and the end of the keeping are written at once or not at all', async t => {
  const path = join(t.testdir(), 'outbox.sqlite')
  await desk(t, path).take('export')
  const { outbox, clock } = desk(t, path)
  let isFull = true
  const log = createLogger({ name: 'test', level: 'silent' })
  const commands = new Commands(
    { outbox, sender: { added: () => undefined }, ports: { log, clock } },
    () => {
      if (isFull) throw new CloudError('CLOUD_STORE', 'disk is full')
      outbox.setFact('follows', 'yes')
    },
  )
  const ending = new AbortController()
  const running = commands.run(core('answers'), ending.signal)
  await turns()
  t.same([outbox.lastOf('resp'), outbox.fact('follows')], [0, undefined])
  t.equal(JSON.parse(outbox.fact('commands-kept') ?? '').length, 1)
  isFull = false
  await clock.advance(1000)
  t.same([outbox.lastOf('resp'), outbox.fact('follows')], [1, 'yes'])
  t.equal(outbox.fact('commands-kept'), '[]')
  t.same(answered, ['export'], 'the core was not asked twice')
  ending.abort()
  await running
})

test('one that comes again is answered again, and what follows from it is not begun again', async t => {
  const path = join(t.testdir(), 'outbox.sqlite')
  for (const life of [1, 2]) {
    const { take, serve, verbs, outbox } = desk(t, path)
    await using _ = serve(core('answers'))
    await take('replayed')
    t.equal(outbox.lastOf('resp'), life)
    t.equal(verbs.length, life === 1 ? 1 : 0)
  }
})

test('a command longer than any request to the core is dropped by name: it would end the connection each time', async t => {
  const { commands, serve } = desk(t, join(t.testdir(), 'outbox.sqlite'))
  await t.rejects(commands.take(Buffer.alloc(60_000)), { code: 'CLOUD_MALFORMED' })
  await using _ = serve(core('answers'))
  await turns()
  t.same(answered, [])
})
