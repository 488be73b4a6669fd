/** What the fleet end's store keeps and lets go of: telemetry by age, alerts by number, events never. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { Retention } from '../../fleet/retention.ts'
import { type Batch, FleetStore } from '../../fleet/store.ts'

const DAY_MS = 86_400_000
const NOW_MS = 100 * DAY_MS
const BATCHES = 2500

async function desk(t: Test) {
  const directory = await mkdtemp(join(tmpdir(), 'fleet-retention-'))
  const path = join(directory, 'fleet.sqlite')
  const store = new FleetStore(path)
  t.teardown(async () => {
    store[Symbol.dispose]()
    await rm(directory, { recursive: true })
  })
  return { path, store }
}

const batch = (more: Partial<Batch>): Batch => ({
  ...{ device: 'P-1', stream: 'tele', firstSeq: 1, bodies: ['{}'], lost: undefined, atMs: 0 },
  ...more,
})

test('old telemetry goes, in steps; events stay, and nothing comes back', async t => {
  const { path, store } = await desk(t)
  const bodies = Array.from({ length: BATCHES }, () => '{}')
  store.transact(() => {
    store.receive(batch({ bodies }))
    store.receive(batch({ firstSeq: BATCHES + 1, atMs: NOW_MS - DAY_MS }))
    for (const stream of ['evt', 'resp', 'alm'] as const) store.receive(batch({ stream, bodies }))
    store.receive(batch({ device: 'P-2', bodies }))
  })
  store.setFact('P-1', 'offer:old', NOW_MS - 9 * DAY_MS, {})
  store.setFact('P-1', 'offer:new', NOW_MS - 7 * DAY_MS, {})
  store.setFact('P-1', 'birth', 0, {})
  using retention = new Retention(path, 30)
  const { signal } = new AbortController()
  await retention.sweep(NOW_MS, signal)
  await retention.sweep(NOW_MS, signal)
  t.equal(store.count('P-1', 'tele'), 1)
  t.equal(store.count('P-2', 'tele'), 0)
  for (const stream of ['evt', 'resp', 'alm'] as const)
    t.equal(store.count('P-1', stream), BATCHES, stream)
  t.same(store.fact('P-1', 'offer:old'), undefined)
  for (const name of ['offer:new', 'birth']) t.same(store.fact('P-1', name), {}, name)

  t.equal(store.contiguous('P-1', 'tele'), BATCHES + 1, 'what is acknowledged stays so')
  const again = store.transact(() => store.receive(batch({ bodies, atMs: NOW_MS })))
  t.equal(again, BATCHES + 1)
  t.equal(store.count('P-1', 'tele'), 1, 'a repeated batch is not stored again')
  store.transact(() => store.receive(batch({ firstSeq: BATCHES + 2, atMs: NOW_MS })))
  t.equal(store.count('P-1', 'tele'), 2)
})

test('a flood of one alert is bounded, and hides no other', async t => {
  const { store } = await desk(t)
  store.alert('P-1', 0, 'FLEET_CHECKPOINT', 'the one that matters')
  store.alert('P-2', 0, 'CLOUD_MALFORMED', 'of another printer')
  store.transact(() => {
    for (let i = 0; i < 1000; i++) store.alert('P-1', i, 'CLOUD_MALFORMED', `flood ${i}`)
  })
  const alerts = store.alerts('P-1')
  t.equal(alerts.length, 201)
  t.equal(alerts[0]?.code, 'FLEET_CHECKPOINT')
  t.equal(alerts.at(-1)?.message, 'flood 999')
  t.equal(store.alerts('P-2').length, 1)
})
