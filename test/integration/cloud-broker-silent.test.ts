/** A broker that stops answering at each step of a link: nothing waits for it for ever, and nothing exceeds its window. */
import { mock } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { type Test, test } from 'tap'
import { MAX_WINDOW, openLink } from '../../firmware/cloud/mqtt-link.ts'
import { superviseLink } from '../../firmware/cloud/supervisor.ts'
import {
  connack,
  idOf,
  PACKET,
  type Packet,
  puback,
  scriptedBroker,
  suback,
} from '../fakes/cloud-scripted-broker.ts'
import { fakeClock } from '../fakes/core-clock.ts'

const welcome = (packet: Packet, receiveMaximum?: number) => {
  if (packet.type === PACKET.connect) packet.socket.write(connack(receiveMaximum))
  if (packet.type === PACKET.subscribe) packet.socket.write(suback(packet))
}
const publication = { topic: 't', payload: 'p' }

/** A broker that welcomes and acknowledges no publish; what it was sent. */
async function silent(t: Test, receiveMaximum?: number) {
  const published: Packet[] = []
  const { promise: first, resolve } = Promise.withResolvers<void>()
  const { options } = await scriptedBroker(t, packet => {
    welcome(packet, receiveMaximum)
    if (packet.type !== PACKET.publish) return
    published.push(packet)
    resolve()
  })
  return { options, published, first }
}

test('cut between CONNACK and SUBACK: the link is lost, in words of ours', async t => {
  const { options } = await scriptedBroker(t, packet => {
    if (packet.type === PACKET.connect) welcome(packet)
    else packet.socket.destroy()
  })
  await t.rejects(openLink(options), { code: 'CLOUD_LOST' })
})

test('ended while no SUBACK comes: the opening ends at once', async t => {
  const ending = new AbortController()
  const { options } = await scriptedBroker(t, packet => {
    if (packet.type === PACKET.connect) welcome(packet)
    else ending.abort(new Error('ending'))
  })
  await t.rejects(openLink({ ...options, signal: ending.signal }), { message: 'ending' })
})

test('a broker that answers no CONNECT is a timeout, so that the next endpoint is tried and nothing is taken for a refusal', async t => {
  const { promise: asked, resolve } = Promise.withResolvers<void>()
  const { options } = await scriptedBroker(t, () => resolve())
  mock.timers.enable({ apis: ['setTimeout'] })
  t.teardown(() => mock.timers.reset())
  const opening = openLink(options)
  await asked
  mock.timers.tick(20_000)
  mock.timers.reset()
  await t.rejects(opening, { code: 'CLOUD_TIMEOUT' })
})

test('a broker that acknowledges nothing any more is given up after a minute', async t => {
  const { options, first } = await silent(t)
  await using link = await openLink(options)
  mock.timers.enable({ apis: ['setTimeout'] })
  t.teardown(() => mock.timers.reset())
  const publishing = link.publish(publication)
  await first
  mock.timers.tick(60_000)
  await t.rejects(publishing, { code: 'CLOUD_LOST' })
  mock.timers.reset()
  t.match(await link.closed, { code: 'CLOUD_TIMEOUT' })
})

test('a session ends when it is told to, though its publishes are not acknowledged', async t => {
  const { options, first } = await silent(t)
  const ending = new AbortController()
  const supervising = superviseLink(
    {
      ...{ endpoints: [{ host: '', port: 0 }], clock: fakeClock(), random: () => 0 },
      open: () => openLink(options),
      use: link => link.publish(publication).catch(() => undefined),
      onRefused: async () => undefined,
    },
    ending.signal,
  )
  await first
  ending.abort()
  await supervising
})

test('a session that was ended while its link was opened does not begin', async t => {
  const { options } = await silent(t)
  const ending = new AbortController()
  let isEnded = false
  await superviseLink(
    {
      ...{ endpoints: [{ host: '', port: 0 }], clock: fakeClock(), random: () => 0 },
      async open() {
        const link = await openLink(options)
        ending.abort()
        return link
      },
      use: async (_link, signal) => {
        isEnded = signal.aborted
      },
      onRefused: async () => undefined,
    },
    ending.signal,
  )
  t.ok(isEnded)
})

test('what was acknowledged is forgotten: a link that lasts for months does not grow with its publishes', async t => {
  setFlagsFromString('--expose-gc')
  const collect: () => void = runInNewContext('gc')
  const { options } = await scriptedBroker(t, packet => {
    welcome(packet)
    if (packet.type === PACKET.publish) packet.socket.write(puback(idOf(packet)))
  })
  await using link = await openLink(options)
  const publish = async (times: number) => {
    for (let done = 0; done < times; done += 10)
      await Promise.all(Array.from({ length: 10 }, () => link.publish(publication)))
    collect()
    return process.memoryUsage().heapUsed
  }
  const before = await publish(2000)
  const perPublish = ((await publish(10_000)) - before) / 10_000
  // One closure and one promise kept for each are some hundred bytes.
  t.ok(perPublish < 150, `${Math.round(perPublish)} bytes kept of each`)
})

for (const [announced, window] of [
  [3, 3],
  [1, 1],
  [undefined, MAX_WINDOW],
] as const)
  test(`a broker that announces ${announced ?? 'nothing'}: ${window} unacknowledged at most, whoever publishes`, async t => {
    const waiting = new Set<number>()
    let most = 0
    const { options } = await scriptedBroker(t, packet => {
      welcome(packet, announced)
      if (packet.type !== PACKET.publish) return
      const id = idOf(packet)
      waiting.add(id)
      most = Math.max(most, waiting.size)
      // Later, so that all that may come has come.
      setImmediate(() => {
        waiting.delete(id)
        packet.socket.write(puback(id))
      })
    })
    await using link = await openLink(options)
    t.equal(link.window, window)
    await Promise.all(Array.from({ length: 50 }, () => link.publish(publication)))
    t.ok(most <= window, `${most} at once`)
  })
