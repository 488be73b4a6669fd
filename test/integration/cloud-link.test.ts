/** A printer and its cloud over a broker nobody trusts: the same tests over the embedded broker, Mosquitto with the shipped configuration, NATS and RabbitMQ. */
import { createHash, generateKeyPairSync } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { topicOf } from '#cloud'
import { makeOffer, sendBlocks } from '../../fleet/jobs.ts'
import { hasNats } from '../fakes/broker-nats.ts'
import { hasRabbit } from '../fakes/broker-rabbit.ts'
import {
  type Fleet,
  fleet,
  printer,
  startCourier,
  startDeskCore,
  until,
} from '../fakes/cloud-bench.ts'
import { hasMosquitto } from '../fakes/cloud-broker.ts'
import { type DeskPrinter, program, seal } from '../fakes/core-printer.ts'

const BROKERS = [
  ['aedes', true],
  ['mosquitto', hasMosquitto],
  ['nats', hasNats],
  ['rabbitmq', hasRabbit],
] as const

function eachBroker(title: string, body: (t: Test, on: Fleet) => Promise<void>): void {
  for (const [kind, isInstalled] of BROKERS) {
    if (!isInstalled) {
      process.stderr.write(`${kind} is not installed: "${title}" is not tried with it\n`)
      continue
    }
    test(`${kind}: ${title}`, async t => {
      await using on = await fleet(kind)
      await body(t, on)
    })
  }
}

eachBroker(
  'events arrive once, proven and cosigned, and leave the outbox when acknowledged',
  async (t, on) => {
    const desk = await printer(on, 'P-1')
    await using core = await startDeskCore(desk)
    for (let i = 0; i < 120; i++)
      core.journal.record({ type: 'job.received', message: `event ${i}` })
    await using _ingest = await on.startIngest()
    await using _courier = startCourier(desk)
    const log = await until(() => {
      const found = on.store.log('P-1')
      return found && found.proven >= 121 && found
    })
    t.match(log.note, /^mpfd\/log\/P-1\n/)
    t.match(on.store.items('P-1', 'evt', 0, 1), [
      { seq: 1, value: { class_uid: 1001, unmapped: { e: 'E16' } } },
    ])
    await until(
      () => (on.store.fact('P-1', 'birth') as { session?: number } | undefined)?.session === 1,
    )
    t.match(on.store.fact('P-1', 'state'), { online: true })
    t.same(on.store.alerts('P-1'), [])
  },
)

/** A sealed file of the tenant, `moves` moves long. */
async function sealedFile(on: Fleet, moves: number): Promise<string> {
  const { privateKey: recipient } = generateKeyPairSync('ec', { namedCurve: 'P-384' })
  const signer = await on.tenant.key('publisher')
  const tenant = on.tenant.id
  const bytes = await seal({} as DeskPrinter, program(moves), { signer, tenant, recipient })
  const path = join(on.directory, `part-${moves}.mpf`)
  await writeFile(path, bytes)
  return path
}

eachBroker(
  'an offered job arrives byte for byte in the drop directory, and its file goes when the core has it',
  async (t, on) => {
    const desk = await printer(on, 'P-1')
    await using core = await startDeskCore(desk)
    await using _courier = startCourier(desk)
    const { promise: opened, resolve } = Promise.withResolvers<Parameters<typeof sendBlocks>[3]>()
    await using _ingest = await on.startIngest({
      onLink: resolve,
      onRequest: (device, payload, link) => sendBlocks(on.store, device, payload, link),
    })
    const path = await sealedFile(on, 60_000)
    const publisher = await on.tenant.key('publisher')
    const made = await makeOffer(on.store, {
      path,
      device: 'P-1',
      tenant: on.tenant.id,
      publisher,
      atMs: Date.now(),
    })
    const link = await opened
    await until(() => on.store.fact('P-1', 'birth') !== undefined)
    await link.publish({ topic: topicOf('P-1', 'job'), payload: made.envelope })
    const dropped = join(desk.directory, 'drop', `${made.offer.offer}.mpf`)
    const bytes = await until(() => readFile(dropped).catch(() => undefined))
    t.equal(createHash('sha256').update(bytes).digest('hex'), made.offer.sha256)
    t.ok(made.offer.sizeBytes > made.offer.frontBytes)
    core.journal.record({
      type: 'job.received',
      message: 'copied',
      detail: { sha256: made.offer.sha256 },
    })
    await until(() =>
      readFile(dropped).then(
        () => false,
        () => true,
      ),
    )
    await until(() =>
      core.journal.events(0, 100).some(({ type }) => type === 'cloud.transfer_finished'),
    )
  },
)
