/** One worker without a broker: nothing a stranger can put into a message ends it, and nothing forged outlasts the stranger. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { type BatchHeader, encodeBatch, ocsfRecord, requestSchema, topicOf } from '#cloud'
import { CHAIN_START, chainHash, entryOfView } from '#lib/event-chain.ts'
import { Ingest } from '../../fleet/ingest.ts'
import { sendBlocks } from '../../fleet/jobs.ts'
import { FleetStore } from '../../fleet/store.ts'
import { createTenant } from '../../fleet/tenant.ts'
import { fakeClock } from '../fakes/core-clock.ts'

async function worker(t: Test) {
  const directory = await mkdtemp(join(tmpdir(), 'fleet-ingest-'))
  const clock = fakeClock(Date.now())
  const tenant = await createTenant(join(directory, 'tenant'), 'test', clock.wallMs())
  const store = new FleetStore(join(directory, 'fleet.sqlite'))
  t.teardown(async () => {
    store[Symbol.dispose]()
    await rm(directory, { recursive: true })
  })
  const ingest = new Ingest({
    ...{ tenant, store, clock, random: Math.random, worker: 'test', endpoints: [] },
    ...{ ca: tenant.authority.certPem, witness: await tenant.key('witness') },
  })
  const tell = (name: Parameters<typeof topicOf>[1], payload: string | Uint8Array) =>
    ingest.take(topicOf('P-1', name), Buffer.from(payload))
  const codes = () => store.alerts('P-1').map(({ code }) => code)
  return { store, tell, codes }
}

/** A printer's first `count` events as its courier tells them. */
function records(count: number): readonly Buffer[] {
  const device = { serial: 'P-1', tenant: 'test', model: 'T', version: '0.1.0' }
  let hash: Uint8Array = CHAIN_START
  return Array.from({ length: count }, (_, i) => {
    const event = {
      ...{ sequence: i + 1, atMs: 1, clock: 'rtc', type: 'job.received', job: null, code: null },
      ...{ severity: 'info' as const, message: `event ${i + 1}`, detail: {} },
    }
    hash = chainHash(hash, entryOfView(event))
    const shown = { ...event, hash: Buffer.from(hash).toString('hex') }
    return Buffer.from(JSON.stringify(ocsfRecord(shown, device)))
  })
}

const header = (more: Partial<BatchHeader>): BatchHeader => ({
  ...{ v: 1, dev: 'P-1', ten: 'test', boot: 'b', ses: 1, str: 'evt', seq0: 1, n: 1 },
  ...{ ts: 1, clk: 'rtc', enc: 'json+deflate' },
  ...more,
})
const events = (from: number, items: readonly Buffer[]) =>
  encodeBatch(header({ seq0: from, n: items.length }), items)

test('a head under something that is no key is an alert', async t => {
  const { tell, codes } = await worker(t)
  const head = { size: 1, note: 'n', name: 'n', publicKey: 'no key' }
  await tell('audit/cp', JSON.stringify(head))
  t.same(codes(), ['CLOUD_MALFORMED'])
})

test('forged events ahead of the log do not stand in the way of the real ones', async t => {
  const { tell, store } = await worker(t)
  const real = records(9)
  const lies = Array.from({ length: 3 }, () => Buffer.from('"a lie"'))
  await tell('evt', events(4, lies))
  await tell('evt', events(1, real.slice(0, 3)))
  t.equal(store.log('P-1')?.size, 3, 'what came is taken as far as it goes')
  await tell('evt', events(4, real.slice(3, 6)))
  t.equal(store.log('P-1')?.size, 6)
  await tell('evt', events(8, real.slice(7)))
  await tell('evt', events(7, real.slice(6, 7)))
  t.equal(store.log('P-1')?.size, 9, 'what came early counts at once')
})

test('an offered file that is gone is an error with a code, not the end of the worker', async t => {
  const { store } = await worker(t)
  store.setFact('P-1', 'offer:gone-gone', 1, { path: '/nowhere/part.mpf', sizeBytes: 10 })
  const ask = requestSchema.parse({ v: 1, offer: 'gone-gone', ranges: [[0, 10]] })
  const link = { publish: async () => undefined, window: 16 }
  const asking = sendBlocks(store, 'P-1', Buffer.from(JSON.stringify(ask)), link)
  await t.rejects(asking, { code: 'FLEET_FILE' })
})
