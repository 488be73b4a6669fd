/** A broker that does what it likes: it can delay, and it is found out; nothing else. */
import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'tap'
import { encodeBlock, type Link, openLink, requestSchema, STATEMENT, topicOf } from '#cloud'
import { COMMAND_TYPE, type CommandStatement, RESULT_TYPE } from '#lib/command-statement.ts'
import { signStatement, verifyStatement } from '#lib/dsse.ts'
import { makeOffer, sendBlocks } from '../../fleet/jobs.ts'
import {
  type Fleet,
  fleet,
  printer,
  startCourier,
  startDeskCore,
  until,
} from '../fakes/cloud-bench.ts'
import { seeded } from '../fakes/cloud-random.ts'
import { edKey } from '../fakes/cloud-roster.ts'
import { type DeskPrinter, program, seal } from '../fakes/core-printer.ts'

/** What a broker can: say anything to a printer. */
async function voice(
  on: Fleet,
  heard: (topic: string, payload: Uint8Array) => void = () => undefined,
): Promise<Link> {
  return openLink({
    ...{ host: 'localhost', port: on.broker.port, ca: on.tenant.authority.certPem },
    ...{ identity: on.tenant.identity, clientId: 'voice', protocol: 4, sessionExpiryS: 0 },
    subscriptions: ['mpf/v1/+/req'],
    onMessage: async (topic, payload) => heard(topic, payload),
    signal: AbortSignal.timeout(10_000),
  })
}

test('messages dropped, doubled and put out of order: every event once, in order, proven', async t => {
  await using on = await fleet('aedes')
  const desk = await printer(on, 'P-1')
  await using core = await startDeskCore(desk)
  await using ingest = await on.startIngest()
  const random = seeded(20_261_122)
  const real = ingest.value.take.bind(ingest.value)
  let held: (readonly [string, Uint8Array])[] = []
  ingest.value.take = async (topic, payload) => {
    const chance = random()
    if (chance < 0.2) return
    if (chance < 0.4) held.push([topic, payload])
    else await real(topic, payload)
    if (chance > 0.8) await real(topic, payload)
    if (held.length > 2) {
      const late = held.reverse()
      held = []
      for (const [lateTopic, latePayload] of late) await real(lateTopic, latePayload)
    }
  }
  await using _courier = startCourier(desk)
  for (let i = 0; i < 600; i++) core.journal.record({ type: 'job.received', message: `event ${i}` })
  await until(() => (on.store.log('P-1')?.size ?? 0) >= 600)
  const seqs = on.store.items('P-1', 'evt', 0, 600).map(({ seq }) => seq)
  t.same(
    seqs,
    Array.from({ length: 600 }, (_, i) => i + 1),
  )
  t.same(on.store.alerts('P-1'), [])
})

test('a forged event is refused by name and does not stand in the way of the real one', async t => {
  await using on = await fleet('aedes')
  const desk = await printer(on, 'P-1')
  await using core = await startDeskCore(desk)
  await using ingest = await on.startIngest()
  const real = ingest.value.take.bind(ingest.value)
  let isForged = false
  const { decodeBatch, encodeBatch } = await import('#cloud')
  ingest.value.take = async (topic, payload) => {
    if (topic.endsWith('/evt') && !isForged) {
      isForged = true
      const { header, items } = decodeBatch(payload)
      const lies = items.map(item =>
        Buffer.from(JSON.stringify(item).replace('event 1', 'event X')),
      )
      await real(topic, encodeBatch(header, lies))
      return
    }
    await real(topic, payload)
  }
  for (let i = 0; i < 9; i++) core.journal.record({ type: 'job.received', message: `event ${i}` })
  await using _courier = startCourier(desk)
  await until(() => (on.store.log('P-1')?.size ?? 0) >= 9)
  t.match(on.store.alerts('P-1'), [{ code: /FLEET_(RECORD_DIFFERS|CHAIN_BROKEN)/ }])
  t.notMatch(JSON.stringify(on.store.items('P-1', 'evt', 0, 50)), /event X/)
})

test('forged acknowledgements, notices, offers and commands change nothing and are recorded', async t => {
  await using on = await fleet('aedes')
  const desk = await printer(on, 'P-1')
  await using core = await startDeskCore(desk)
  core.journal.record({ type: 'job.received', message: 'kept' })
  await using _courier = startCourier(desk)
  await using link = await voice(on)
  await until(() => core.journal.events(0, 100).some(({ type }) => type === 'cloud.connected'))
  const stranger = edKey()
  const forged = [
    ['ack', signStatement(STATEMENT.ack, { v: 1, dev: 'P-1', acks: { evt: 1 } }, [stranger])],
    ['ack', Buffer.from('{"acks":{"evt":1}}')],
    [
      'notice',
      signStatement(STATEMENT.notice, { v: 1, dev: 'P-1', kind: 'rebirth', at: 1 }, [stranger]),
    ],
    ['job', signStatement(STATEMENT.offer, { v: 1, dev: 'P-1' }, [stranger])],
    ['cmd', signStatement(COMMAND_TYPE, { v: 1, verb: 'wipe' }, [stranger])],
  ] as const
  for (const [name, payload] of forged) await link.publish({ topic: topicOf('P-1', name), payload })
  await until(() => core.journal.events(0, 100).some(({ type }) => type === 'command.refused'))
  await until(
    () => core.journal.events(0, 100).filter(({ type }) => type === 'cloud.forged').length >= 4,
  )
  t.same(core.done, [])
  t.same(
    (await readdir(join(desk.directory, 'drop/.incoming'))).filter(name => name.endsWith('.json')),
    [],
  )
  // The event that was "acknowledged" is still there for the real fleet end.
  await using _ingest = await on.startIngest()
  await until(() => (on.store.log('P-1')?.size ?? 0) >= 1)
  t.match(on.store.items('P-1', 'evt', 0, 1), [{ seq: 1, value: { message: 'kept' } }])
})

test('a flood of ten thousand forged messages leaves a handful of records and a courier that works', async t => {
  await using on = await fleet('aedes')
  const desk = await printer(on, 'P-1')
  await using core = await startDeskCore(desk)
  await using _courier = startCourier(desk)
  await using link = await voice(on)
  await until(() => core.journal.events(0, 100).some(({ type }) => type === 'cloud.connected'))
  const payload = Buffer.alloc(200, 'x')
  for (let i = 0; i < 10_000; i++)
    await link.publish({ topic: topicOf('P-1', 'ack'), payload, qos: 0 })
  await using _ingest = await on.startIngest()
  core.journal.record({ type: 'job.received', message: 'after the flood' })
  await until(() =>
    on.store
      .items('P-1', 'evt', 0, 1000)
      .some(({ value }) => JSON.stringify(value).includes('after the flood')),
  )
  t.ok(core.journal.lastSequence() < 40, `${core.journal.lastSequence()} events`)
})

test('swapped and altered blocks are refused one by one, and the file still arrives whole', async t => {
  await using on = await fleet('aedes')
  const desk = await printer(on, 'P-1')
  await using core = await startDeskCore(desk)
  const { privateKey: recipient } = generateKeyPairSync('ec', { namedCurve: 'P-384' })
  const publisher = await on.tenant.key('publisher')
  const tenant = on.tenant.id
  // Some blocks of comments that nothing compresses.
  const noise = randomBytes(60 * 8000)
    .toString('base64')
    .replaceAll(/.{80}/g, ';$&\n')
  const bytes = await seal({} as DeskPrinter, program(300) + noise, {
    signer: publisher,
    tenant,
    recipient,
  })
  const path = join(on.directory, 'part.mpf')
  await writeFile(path, bytes)
  const made = await makeOffer(on.store, {
    path,
    device: 'P-1',
    tenant,
    publisher,
    atMs: Date.now(),
  })
  let lies = 0
  const link: Link = await voice(on, (_topic, payload) => {
    const { offer, ranges } = requestSchema.parse(JSON.parse(Buffer.from(payload).toString()))
    const [[offset, length] = [0, 0]] = ranges
    const isCiphertext = offset >= made.offer.frontBytes
    if (isCiphertext && lies < 3) {
      lies += 1
      const wrong = Buffer.alloc(Math.min(length, 128 * 1024), lies)
      void link.publish({
        topic: topicOf('P-1', 'blk'),
        payload: encodeBlock({ offer, off: offset, len: wrong.length }, wrong),
      })
      return
    }
    void sendBlocks(on.store, 'P-1', payload, link)
  })
  await using _courier = startCourier(desk)
  await until(() => core.journal.events(0, 100).some(({ type }) => type === 'cloud.connected'))
  await link.publish({ topic: topicOf('P-1', 'job'), payload: made.envelope })
  const dropped = join(desk.directory, 'drop', `${made.offer.offer}.mpf`)
  const arrived = await until(() => readFile(dropped).catch(() => undefined))
  t.equal(createHash('sha256').update(arrived).digest('hex'), made.offer.sha256)
  await until(() => core.journal.events(0, 200).some(({ code }) => code === 'CLOUD_BLOCK'))
  await link[Symbol.asyncDispose]()
})

test('a signed command is carried out once and answered with the signature of the printer', async t => {
  await using on = await fleet('mosquitto').catch(() => fleet('aedes'))
  const desk = await printer(on, 'P-1')
  await using core = await startDeskCore(desk)
  await using _courier = startCourier(desk)
  await using _ingest = await on.startIngest()
  await using link = await voice(on)
  await until(() => on.store.fact('P-1', 'birth') !== undefined)
  const atS = Math.floor(Date.now() / 1000)
  const statement: CommandStatement = {
    ...{ v: 1, id: 'one', dev: 'P-1', ten: on.tenant.id, verb: 'lock', args: {} },
    ...{ role: 'security', iss: 'test', nbf: atS - 5, exp: atS + 300, ctr: 1 },
  }
  const payload = signStatement(COMMAND_TYPE, statement, [await on.tenant.key('security')])
  for (let i = 0; i < 3; i++) await link.publish({ topic: topicOf('P-1', 'cmd'), payload })
  const [answer] = await until(() => {
    const items = on.store.items('P-1', 'resp', 0, 10)
    return items.length >= 3 && items
  })
  t.same(core.done, ['lock'])
  const head = await until(() => on.store.fact('P-1', 'head') as { publicKey: string } | undefined)
  const { createPublicKey } = await import('node:crypto')
  const verdict = verifyStatement(Buffer.from(JSON.stringify(answer?.value)), RESULT_TYPE, () => ({
    algorithm: 'EdDSA',
    publicKey: createPublicKey(head.publicKey),
  }))
  t.match(verdict, { kind: 'verified', statement: { id: 'one', verb: 'lock', outcome: 'done' } })
})
