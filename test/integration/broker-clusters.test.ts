/** A cluster of three nodes loses one while a job and events cross it: the file arrives whole, every event once, nothing is missing. */
import { createHash, generateKeyPairSync } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'tap'
import { topicOf } from '#cloud'
import { makeOffer, sendBlocks } from '../../fleet/jobs.ts'
import { hasNats } from '../fakes/broker-nats.ts'
import { hasRabbit } from '../fakes/broker-rabbit.ts'
import { clusterFleet, printer, startCourier, startDeskCore, until } from '../fakes/cloud-bench.ts'
import { seeded } from '../fakes/cloud-random.ts'
import { type DeskPrinter, seal } from '../fakes/core-printer.ts'

const EVENTS = 200
/** The first asks for the front; the node goes over the one for what is behind it, which is not answered. */
const LAST_REQUEST = 2

/** Moves that do not compress to nothing. */
function scattered(moves: number): string {
  const random = seeded(1)
  const place = () => (10 + 100 * random()).toFixed(3)
  const lines = Array.from({ length: moves }, () => `G1 X${place()} Y${place()} F3000`)
  return ['G28', 'G90', ...lines, ''].join('\n')
}

for (const [kind, isInstalled] of [
  ['nats', hasNats],
  ['rabbitmq', hasRabbit],
] as const)
  test(`${kind}: one of three nodes is killed in the middle`, { timeout: 240_000 }, async t => {
    if (!isInstalled) {
      t.comment(`${kind} is not installed: no cluster of it is tried`)
      return
    }
    await using on = await clusterFleet(kind)
    const desk = await printer(on, 'P-1')
    await using core = await startDeskCore(desk)
    let requests = 0
    const link = Promise.withResolvers<Parameters<typeof sendBlocks>[3]>()
    await using _ingest = await on.startIngest({
      onLink: link.resolve,
      async onRequest(device, payload, now) {
        requests++
        // Both ends began with the first node.
        if (requests === LAST_REQUEST) await on.broker.killNode(0)
        else await sendBlocks(on.store, device, payload, now)
      },
    })
    const fleetLink = await link.promise
    await using _courier = startCourier(desk)
    await until(() => on.store.fact('P-1', 'birth') !== undefined)
    const { privateKey: recipient } = generateKeyPairSync('ec', { namedCurve: 'P-384' })
    const publisher = await on.tenant.key('publisher')
    const bytes = await seal({} as DeskPrinter, scattered(150_000), {
      ...{ signer: publisher, tenant: on.tenant.id, recipient },
    })
    const path = join(on.directory, 'part.mpf')
    await writeFile(path, bytes)
    const { offer, envelope } = await makeOffer(on.store, {
      ...{ path, device: 'P-1', tenant: on.tenant.id, publisher, atMs: Date.now() },
    })
    await fleetLink.publish({ topic: topicOf('P-1', 'job'), payload: envelope })
    for (let i = 0; i < EVENTS; i++)
      core.journal.record({ type: 'job.received', message: `event ${i}` })
    const dropped = join(desk.directory, 'drop', `${offer.offer}.mpf`)
    const arrived = await until(() => readFile(dropped).catch(() => undefined))
    t.equal(createHash('sha256').update(arrived).digest('hex'), offer.sha256, 'the file is whole')
    t.ok(requests > LAST_REQUEST, 'the node was killed in the middle of it')
    const last = core.journal.lastSequence()
    await until(() => (on.store.log('P-1')?.proven ?? 0) >= EVENTS)
    const seen = on.store.items('P-1', 'evt', 0, 10_000).map(({ seq }) => seq)
    t.ok(seen.length >= EVENTS && seen.length <= last + 50, `${seen.length} events`)
    t.same(
      seen,
      seen.map((_, i) => i + 1),
      'each once, in order, no gap',
    )
    t.same(on.store.alerts('P-1'), [])
  })
