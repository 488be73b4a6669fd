/** What the courier asks of a broker, the same body over each: identity by certificate, both protocols, order, retained state, will. */
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { type Test, test } from 'tap'
import { CloudError } from '#cloud'
import { type Link, type LinkOptions, openLink } from '../../firmware/cloud/mqtt-link.ts'
import { type Authority, createAuthority, issueClient, issueServer } from '../../fleet/ca.ts'
import { hasNats, startNats } from '../fakes/broker-nats.ts'
import { hasRabbit, startRabbit } from '../fakes/broker-rabbit.ts'
import { until } from '../fakes/cloud-bench.ts'
import {
  type BrokerFiles,
  hasMosquitto,
  startAedes,
  startMosquitto,
  type TestBroker,
} from '../fakes/cloud-broker.ts'

interface Kind {
  readonly name: string
  readonly isInstalled: boolean
  readonly protocols: readonly (5 | 4)[]
  start(directory: string, files: BrokerFiles): Promise<TestBroker>
}

const NAMES = { fleet: 'fleet', devices: ['P-1', 'P-2'] }

const KINDS: readonly Kind[] = [
  { name: 'aedes', isInstalled: true, protocols: [4], start: (_, files) => startAedes(files) },
  { name: 'mosquitto', isInstalled: hasMosquitto, protocols: [5, 4], start: startMosquitto },
  {
    ...{ name: 'nats', isInstalled: hasNats, protocols: [4] },
    start: (directory, files) => startNats(directory, files, NAMES, 1),
  },
  {
    ...{ name: 'rabbitmq', isInstalled: hasRabbit, protocols: [4] },
    start: (directory, files) => startRabbit(directory, files, NAMES, 1),
  },
]

interface Heard {
  readonly topic: string
  readonly payload: string
}

interface Desk {
  readonly t: Test
  readonly broker: TestBroker
  /** Opens a link of that name and keeps what it hears. */
  open(name: string, more?: Partial<LinkOptions>): Promise<{ link: Link; heard: Heard[] }>
}

function desk(t: Test, broker: TestBroker, authority: Authority, protocol: 5 | 4): Desk {
  return {
    ...{ t, broker },
    async open(name, more = {}) {
      const { certPem: cert, keyPem: key } = issueClient(authority, name, Date.now())
      const heard: Heard[] = []
      const options: LinkOptions = {
        ...{ host: 'localhost', port: broker.port, ca: authority.certPem, protocol },
        ...{ identity: { cert, key }, clientId: name, sessionExpiryS: 0, subscriptions: [] },
        onMessage: async (topic, payload) => {
          heard.push({ topic, payload: Buffer.from(payload).toString('latin1') })
        },
        signal: AbortSignal.timeout(60_000),
        ...more,
      }
      // RabbitMQ listens before its nodes have agreed who tracks client ids, and closes what comes too early: a courier comes again.
      const link = await openLink(options).catch(async (error: unknown) => {
        if (!(error instanceof CloudError) || error.code !== 'CLOUD_UNANSWERED') throw error
        await wait(2000)
        return openLink(options)
      })
      return { link, heard }
    },
  }
}

const DEMANDS: Record<string, (on: Desk) => Promise<void>> = {
  async 'a certificate of another authority opens nothing'({ t, open }) {
    const stranger = issueClient(createAuthority('stranger', Date.now()), 'P-1', Date.now())
    const identity = { cert: stranger.certPem, key: stranger.keyPem }
    await t.rejects(open('P-1', { identity }), { code: /^CLOUD_(TLS_OWN_REFUSED|UNANSWERED)$/ })
  },
  async 'acknowledged messages arrive in order, from printer to fleet'({ t, open }) {
    const fleet = await open('fleet', { subscriptions: ['mpf/v1/+/evt'] })
    const printer = await open('P-1')
    const sent = Array.from({ length: 200 }, (_, i) => String(i))
    for (let i = 0; i < sent.length; i += 16)
      await Promise.all(
        sent
          .slice(i, i + 16)
          .map(payload => printer.link.publish({ topic: 'mpf/v1/P-1/evt', payload })),
      )
    await until(() => fleet.heard.length >= sent.length)
    t.same(
      fleet.heard.map(({ payload }) => payload),
      sent,
    )
    await printer.link[Symbol.asyncDispose]()
    await fleet.link[Symbol.asyncDispose]()
  },
  async 'blocks of 128 KiB arrive whole'({ t, open }) {
    const printer = await open('P-1', { subscriptions: ['mpf/v1/P-1/blk'] })
    const fleet = await open('fleet')
    const blocks = Array.from({ length: 16 }, (_, i) => Buffer.alloc(128 * 1024, i))
    for (const payload of blocks) await fleet.link.publish({ topic: 'mpf/v1/P-1/blk', payload })
    await until(() => printer.heard.length >= blocks.length)
    t.ok(blocks.every((block, i) => printer.heard[i]?.payload === block.toString('latin1')))
    await printer.link[Symbol.asyncDispose]()
    await fleet.link[Symbol.asyncDispose]()
  },
  async 'state is retained, and the will replaces it when the line is cut'({ t, open, broker }) {
    const topic = 'mpf/v1/P-1/state'
    await using line = await forwardTo(broker.port)
    const will = { topic, payload: 'dead', delayS: 0 }
    const printer = await open('P-1', { will, port: line.port })
    await printer.link.publish({ topic, payload: 'alive', isRetained: true })
    // Of that topic alone: RabbitMQ keeps nothing for a subscription with wildcards.
    const fleet = await open('fleet', { subscriptions: [topic] })
    await until(() => fleet.heard.length >= 1)
    line.cut()
    await until(() => fleet.heard.length >= 2)
    t.same(
      fleet.heard.map(({ payload }) => payload),
      ['alive', 'dead'],
    )
    await printer.link[Symbol.asyncDispose]()
    await fleet.link[Symbol.asyncDispose]()
  },
  async 'the second of a name takes over'({ t, open }) {
    const first = await open('P-1')
    const second = await open('P-1')
    t.match(await first.link.closed, { code: /^CLOUD_(TAKEN_OVER|LOST)$/ })
    await second.link.publish({ topic: 'mpf/v1/P-1/evt', payload: 'on' })
    await second.link[Symbol.asyncDispose]()
    await first.link[Symbol.asyncDispose]()
  },
  async 'a printer is not heard below the name of another'({ t, open }) {
    const fleet = await open('fleet', { subscriptions: ['mpf/v1/+/evt'] })
    const printer = await open('P-2')
    await printer.link
      .publish({ topic: 'mpf/v1/P-1/evt', payload: 'forged' })
      .catch(() => undefined)
    const again = await open('P-2')
    await again.link.publish({ topic: 'mpf/v1/P-2/evt', payload: 'own' })
    await until(() => fleet.heard.some(({ payload }) => payload === 'own'))
    t.same(fleet.heard, [{ topic: 'mpf/v1/P-2/evt', payload: 'own' }])
    await printer.link[Symbol.asyncDispose]()
    await again.link[Symbol.asyncDispose]()
    await fleet.link[Symbol.asyncDispose]()
  },
}

/** A line to the broker that can be cut. */
async function forwardTo(
  brokerPort: number,
): Promise<AsyncDisposable & { readonly port: number; cut(): void }> {
  const ends = new Set<Socket>()
  const server = createServer(socket => {
    const onward = connect(brokerPort, '127.0.0.1')
    for (const end of [socket, onward]) ends.add(end.on('error', () => undefined))
    socket.pipe(onward).pipe(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const cut = () => {
    for (const end of ends) end.destroy()
  }
  return {
    port: typeof address === 'object' && address ? address.port : 0,
    cut,
    async [Symbol.asyncDispose]() {
      cut()
      server.close()
    },
  }
}

for (const kind of KINDS)
  test(kind.name, async t => {
    if (!kind.isInstalled) {
      t.comment(`${kind.name} is not installed: nothing is shown about it here`)
      return
    }
    const directory = await mkdtemp(join(tmpdir(), 'broker-'))
    t.teardown(() => rm(directory, { recursive: true, force: true }))
    const authority = createAuthority('fleet CA', Date.now())
    const { certPem: cert, keyPem: key } = issueServer(
      authority,
      ['localhost', '127.0.0.1'],
      Date.now(),
    )
    await using broker = await kind.start(directory, { ca: authority.certPem, cert, key })
    for (const protocol of kind.protocols)
      for (const [title, demand] of Object.entries(DEMANDS))
        await t.test(`MQTT ${protocol === 5 ? '5' : '3.1.1'}: ${title}`, async s =>
          demand(desk(s, broker, authority, protocol)),
        )
  })
