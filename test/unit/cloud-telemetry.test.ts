/** Metrics, batches and thresholds: pure parts with the real kernel once. */
import { test } from 'tap'
import { Host } from '../../firmware/cloud/host.ts'
import {
  batchOf,
  dictionaryOf,
  METRICS,
  metricsOf,
  sampleOf,
} from '../../firmware/cloud/metrics.ts'
import { delayMs, parseEndpoint } from '../../firmware/cloud/supervisor.ts'
import { createAlarmEngine } from '../../firmware/cloud/thresholds.ts'

const limit = { metric: 'm', kind: 'above', raiseAt: 80, clearAt: 70, isSecurity: false } as const
const at = (value: number | null) => new Map([['m', value]])

test('has about forty metrics with names of their own, and fewer in the essential tier', async t => {
  t.ok(METRICS.length >= 40)
  t.equal(new Set(METRICS.map(({ name }) => name)).size, METRICS.length)
  t.ok(metricsOf('essential').length < METRICS.length / 2)
  t.same(dictionaryOf('off'), [])
})

test('an alarm is raised once, kept between the limits, and cleared once', async t => {
  const engine = createAlarmEngine([limit])
  const states = [50, 81, 79, 82, null, 75, 69, 75].map(value =>
    engine.look(at(value)).map(a => a.state),
  )
  t.same(states, [[], ['raised'], [], [], [], [], ['cleared'], []])
})

test('a sample of this machine has a value for each metric that every Linux has', async t => {
  const host = new Host('/', '/')
  await host.read()
  const reading = await host.read()
  const values = sampleOf('full', {
    view: undefined,
    host: reading,
    outbox: { events: 1, bytes: 2 },
  })
  t.equal(values.length, METRICS.length)
  for (const name of [
    'system.memory.total',
    'system.uptime',
    'process.memory.rss',
    'system.filesystem.free',
  ])
    t.ok((values[METRICS.findIndex(metric => metric.name === name)] ?? 0) > 0, name)
})

test('a column that does not change is one value', async t => {
  const batch = batchOf([
    { atMs: 1000, values: [1, 5, null] },
    { atMs: 2001, values: [2, 5, null] },
  ])
  t.same(batch, { t0: 1000, dt: [1001], c: [[1, 2], 5, null] })
})

test('waits grow to their cap and are spread over the whole of it', async t => {
  t.equal(
    delayMs(0, () => 0.5),
    500,
  )
  t.equal(
    delayMs(3, () => 0.5),
    4000,
  )
  t.equal(
    delayMs(50, () => 1),
    120_000,
  )
  t.equal(
    delayMs(50, () => 0),
    0,
  )
})

test('there is no endpoint without TLS', async t => {
  t.same(parseEndpoint('mqtts://b.example'), { host: 'b.example', port: 8883 })
  t.throws(() => parseEndpoint('mqtt://b.example'), { code: 'CLOUD_MALFORMED' })
})
