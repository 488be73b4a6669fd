/** Birth, will, death and rebirth as the broker sees them: every field of CONNECT, the order of what follows, and a clean goodbye; in MQTT 5 and 3.1.1. */
import type { TLSSocket } from 'node:tls'
import { type Test, test } from 'tap'
import { STATEMENT, topicOf } from '#cloud'
import { signStatement } from '#lib/dsse.ts'
import { dictionaryOf } from '../../firmware/cloud/metrics.ts'
import { isStaleDeath } from '../../fleet/deaths.ts'
import { fleet, printer, startCourier, startDeskCore, until } from '../fakes/cloud-bench.ts'
import { PACKET, puback, scriptedBroker } from '../fakes/cloud-scripted-broker.ts'
import { fakeClock } from '../fakes/core-clock.ts'
import {
  grantAll,
  PROPERTY,
  publishPacket,
  readConnect,
  readPublish,
} from '../fakes/mqtt-connect.ts'

type Connect = ReturnType<typeof readConnect>
type Told = ReturnType<typeof readPublish> & { readonly value: Record<string, unknown> }

/** A printer at a broker that speaks `level` alone, and all that broker was told. */
async function told(t: Test, level: 5 | 4) {
  const on = await fleet('aedes')
  t.teardown(() => on[Symbol.asyncDispose]())
  const connects: Connect[] = []
  const told: Told[] = []
  /** Of DISCONNECT; no bytes: a normal one (3.14.2.1). */
  const goodbyes: Buffer[] = []
  let socket: TLSSocket | undefined
  const { options } = await scriptedBroker(
    t,
    packet => {
      socket = packet.socket
      if (packet.type === PACKET.connect) {
        const connect = readConnect(packet.body)
        connects.push(connect)
        // A broker before MQTT 5 may just close.
        if (connect.level !== level) packet.socket.destroy()
        else packet.socket.write(Buffer.from(level === 5 ? [0x20, 3, 0, 0, 0] : [0x20, 2, 0, 0]))
      }
      if (packet.type === PACKET.subscribe) packet.socket.write(grantAll(packet.body, level))
      if (packet.type === PACKET.disconnect) goodbyes.push(Buffer.from(packet.body))
      if (packet.type !== PACKET.publish) return
      const publish = readPublish(packet.body, packet.flags, level)
      if (/birth|state$/.test(publish.topic))
        told.push({ ...publish, value: JSON.parse(publish.payload.toString()) })
      if (publish.qos > 0) packet.socket.write(puback(publish.id))
    },
    on.tenant.authority,
  )
  const desk = await printer(on, 'P-1', { endpoints: [`mqtts://localhost:${options.port}`] })
  const core = await startDeskCore(desk)
  t.teardown(() => core[Symbol.asyncDispose]())
  const clock = fakeClock(Date.now())
  const courier = startCourier(desk, { clock })
  t.teardown(() => courier[Symbol.asyncDispose]())
  const of = (name: 'birth' | 'state') =>
    told.filter(({ topic }) => topic === topicOf('P-1', name)).map(each => each)
  return {
    ...{ on, core, courier, clock, connects, told, goodbyes, of },
    cut: () => socket?.destroy(),
    async askBirth() {
      const at = Math.floor(Date.now() / 1000)
      const notice = { v: 1, dev: 'P-1', kind: 'rebirth', at }
      const payload = signStatement(STATEMENT.notice, notice, [await on.tenant.key('witness')])
      socket?.write(publishPacket(topicOf('P-1', 'notice'), payload, level))
    },
  }
}

for (const level of [5, 4] as const)
  test(`MQTT ${level === 5 ? '5' : '3.1.1'}: who connects, what is his will, and how he is born`, async t => {
    const { connects, of, core } = await told(t, level)
    await until(() => of('state').length > 0)
    const connect = connects.at(-1)
    if (!connect) throw new Error('no CONNECT')
    t.match(connect, { name: 'MQTT', level, clientId: 'P-1', isClean: false })
    t.match(connect, { hasWill: true, willQos: 1, isWillRetained: true })
    t.equal(connect.will.topic, topicOf('P-1', 'state'))
    const will = JSON.parse(connect.will.payload)
    const link = level === 5 ? 1 : 2
    t.same(will, { online: false, session: 1, link })
    const five = [
      [PROPERTY.sessionExpiry, 86_400],
      [PROPERTY.receiveMaximum, 16],
      [PROPERTY.maximumPacket, 1 << 20],
      [PROPERTY.requestProblem, 1],
    ] as const
    t.same(new Map(connect.properties), new Map(level === 5 ? five : []))
    const delay = level === 5 ? ([[PROPERTY.willDelay, 30]] as const) : []
    t.same(new Map(connect.will.properties), new Map(delay))

    const [birth] = of('birth')
    t.match(birth, { qos: 1, isRetained: false })
    t.match(birth?.value, { dev: 'P-1', session: 1, link, protocol: level })
    t.same(birth?.value.dictionary, JSON.parse(JSON.stringify(dictionaryOf('full'))))
    const [state] = of('state')
    t.match(state, { qos: 1, isRetained: true, value: { online: true, session: 1, link } })
    const connected = await until(() =>
      core.journal.events(0, 100).find(({ type }) => type === 'cloud.connected'),
    )
    t.equal(connected.detail.protocol, level, 'what 3.1.1 lacks is known')
  })

test('born again when the fleet end asks for it, also right behind a birth, and once for many', async t => {
  const { of, askBirth, clock } = await told(t, 5)
  await until(() => of('state').length > 0)
  for (let times = 0; times < 3; times += 1) await askBirth()
  await until(async () => {
    await clock.advance(1000)
    return of('birth').length > 1
  })
  t.ok(clock.nowMs() >= 5000)
  for (let second = 0; second < 20; second += 1) await clock.advance(1000)
  const [first, second, ...more] = of('birth').map(({ value }) => value)
  t.same(second?.dictionary, first?.dictionary)
  t.same(more, [])
})

test('ended in order: the death is told by the printer itself, then a normal DISCONNECT, which leaves no will', async t => {
  const { of, told: all, goodbyes, courier, connects } = await told(t, 5)
  await until(() => of('state').length > 0)
  await courier[Symbol.asyncDispose]()
  await until(() => goodbyes.length > 0)
  const last = all.at(-1)
  t.match(last, { topic: topicOf('P-1', 'state'), qos: 1, isRetained: true })
  const will = JSON.parse(connects[0]?.will.payload ?? '')
  t.same(last?.value, { ...will, planned: true })
  t.ok(goodbyes.every(body => body.length === 0 || body[0] === 0))
  t.equal(of('state').filter(({ value }) => value.online === false).length, 1)
})

test('cut off: nothing is said, the next link is another, and a death of the one before is not believed', async t => {
  const { of, goodbyes, connects, cut, clock } = await told(t, 5)
  await until(() => of('state').length > 0)
  cut()
  await until(async () => {
    await clock.advance(1000)
    return of('state').length > 1
  })
  t.same(goodbyes, [])
  const [first, second] = connects.map(({ will }) => JSON.parse(will.payload))
  const alive = of('state').at(-1)?.value
  t.match(alive, { online: true, session: 1, link: 2 })
  t.ok(isStaleDeath(first, alive))
  t.notOk(isStaleDeath(second, alive))
  t.notOk(isStaleDeath(first, undefined), 'the only thing known of a printer')
})
