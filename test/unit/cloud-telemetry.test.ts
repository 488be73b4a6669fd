/** Metrics, batches and thresholds: pure parts with the real kernel once. */
import { join } from 'node:path'
import { type Test, test } from 'tap'
import type { PrinterView } from '#lib/control-protocol.ts'
import { Host } from '../../firmware/cloud/host.ts'
import {
  batchOf,
  dictionaryOf,
  METRICS,
  metricsOf,
  sampleOf,
  type Tier,
} from '../../firmware/cloud/metrics.ts'
import { Outbox } from '../../firmware/cloud/outbox.ts'
import type { Report } from '../../firmware/cloud/reports.ts'
import { delayMs, parseEndpoint } from '../../firmware/cloud/supervisor.ts'
import { Telemetry } from '../../firmware/cloud/telemetry.ts'
import { createAlarmEngine } from '../../firmware/cloud/thresholds.ts'
import { fakeClock } from '../fakes/core-clock.ts'

const VIEW: PrinterView = {
  ...{ printer: 'T', serial: 'P-1', version: '1', state: 'printing' },
  job: {
    ...{ id: 'j', name: 'n', state: 'printing', origin: 'cloud', sizeBytes: 1, fileId: null },
    ...{ title: null, receivedAtMs: 0, startedAtMs: 0, endedAtMs: null, code: null, message: null },
    ...{ use: 1, usesGranted: 1 },
    progress: {
      ...{ line: 420, lines: 1000, layer: 3, layers: 7, percent: 42, timeLeftS: 90 },
      ...{ phase: 'printing', feedMmPerMin: 1800, fanPercent: 75 },
    },
  },
  controllers: [
    {
      ...{ name: 'motion', role: 'motion', connected: true, firmware: 'Marlin', linesSent: 9 },
      ...{ resends: 2, inFlightLines: 4, windowLines: 8 },
      temperatures: {
        hotend: { currentC: 199.5, targetC: 200 },
        bed: { currentC: 59, targetC: 60 },
      },
      link: {
        okToNextMs: { p50: 0.1, p99: 0.9, p999: 2.5 },
        ...{ wireUtilisation: 0.4, plannerFree: 3, plannerBlocks: 15, stalls: 1 },
        ...{ reattachments: 4, bytesSent: 1000, bytesReceived: 300, savedBytes: 50 },
      },
    },
  ],
  ...{ queue: { ready: 0, received: 0 }, spool: { usedBytes: 0, capBytes: 1 } },
  ...{ events: { lastSequence: 1 }, clock: { nowMs: 0, quality: 'rtc' } },
}

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

/** A machine whose file system fills up as the test says. */
const EMPTY = { cpuBusy: null, load1m: null, memoryAvailableBytes: null, memoryTotalBytes: null }
const host = { diskFreeBytes: 2 ** 40 }
const reading = async () => ({
  ...{ ...EMPTY, psiCpu: null, psiMemory: null, psiIo: null, ...host, diskWrittenBytes: null },
  ...{ emmcWearPercent: null, cpuTempC: null, networkReceivedBytes: null, networkSentBytes: null },
  ...{ networkErrors: null, ownRssBytes: null, ownCpuS: null, uptimeS: 1 },
})

/** Telemetry of a printer that is connected to nothing. */
function offline(t: Test, tier: Tier) {
  const limits = { eventBytes: 1 << 20, telemetryBytes: 1 << 20 }
  const outbox = new Outbox(join(t.testdir(), 'outbox.sqlite'), limits)
  const clock = fakeClock()
  const reported: Report[] = []
  const telemetry = new Telemetry(
    {
      ...{ outbox, view: VIEW, nowMs: clock.wallMs, ports: { clock } },
      cloud: { tier, sampleIntervalMs: 10_000, batchSamples: 6 },
      sender: { added: () => undefined },
      reports: { add: report => reported.push(report) },
    },
    { read: reading },
  )
  const ending = new AbortController()
  const running = telemetry.run(ending.signal)
  t.teardown(async () => {
    ending.abort()
    await running
    outbox[Symbol.dispose]()
  })
  const sent = (stream: 'tele' | 'alm') =>
    outbox
      .read(stream, 0, 1000, 1 << 20)
      .items.map(({ body }) => JSON.parse(Buffer.from(body).toString()))
  const pass = async (seconds: number) => {
    for (let i = 0; i < seconds; i++) await clock.advance(1000)
  }
  return { telemetry, sent, pass, reported }
}

test('a sample every ten seconds, every second while somebody watches, and then ten again', async t => {
  const { telemetry, sent, pass } = offline(t, 'full')
  await pass(60)
  telemetry.watchFor(30)
  await pass(29)
  const steps = () => sent('tele').flatMap(({ dt }: { dt: number[] }) => dt)
  t.same(steps().slice(0, 5), [10_000, 10_000, 10_000, 10_000, 10_000])
  t.same(new Set(steps().slice(5)), new Set([1000]))
  t.ok(sent('tele').length >= 5, 'what is seen is at most five seconds old')
  const watched = steps().length
  await pass(131)
  t.same(new Set(steps().slice(watched + 8)), new Set([10_000]))
})

test('alarms are raised and cleared past the limits while nothing is connected', async t => {
  const { sent, pass, reported } = offline(t, 'essential')
  for (const free of [600, 500, 600, 760, 500, 800, 600]) {
    host.diskFreeBytes = free * 2 ** 20
    await pass(10)
  }
  const metric = 'system.filesystem.free'
  t.match(sent('alm'), [
    { metric, state: 'raised', value: 500 * 2 ** 20 },
    { metric, state: 'cleared', value: 800 * 2 ** 20 },
  ])
  t.match(reported, [{ type: 'cloud.alarm' }, { type: 'cloud.alarm' }])
})

test('where telemetry is off nothing measured is kept, and a full disk is still an event', async t => {
  const { sent, pass, reported } = offline(t, 'off')
  host.diskFreeBytes = 0
  await pass(120)
  t.same([sent('tele'), sent('alm')], [[], []])
  t.match(reported, [{ type: 'cloud.alarm', message: 'system.filesystem.free raised' }])
})

test('the essential tier sends its own metrics and no other', async t => {
  const { sent, pass } = offline(t, 'essential')
  await pass(60)
  t.equal(sent('tele')[0]?.c.length, dictionaryOf('essential').length)
})

test('everything the watch of mpfctl shows of a print and its link is in telemetry', async t => {
  const values = sampleOf('full', {
    ...{ view: VIEW, host: await reading(), outbox: { events: 0, bytes: 0 } },
  })
  const found = Object.fromEntries(dictionaryOf('full').map(([name], i) => [name, values[i]]))
  t.match(found, {
    ...{ 'mpf.state': 2, 'mpf.job.percent': 42, 'mpf.job.layer': 3, 'mpf.job.layers': 7 },
    ...{ 'mpf.job.line': 420, 'mpf.job.time_left': 90, 'mpf.job.feed': 1800 },
    ...{ 'hw.fan.speed_ratio': 0.75, 'hw.temperature.hotend0': 199.5 },
    ...{ 'hw.temperature.hotend0.target': 200, 'hw.temperature.bed.target': 60 },
    ...{ 'mpf.wire.resends': 2, 'mpf.wire.stalls': 1, 'mpf.wire.reattachments': 4 },
    ...{ 'mpf.wire.ok_to_next.p50': 0.1, 'mpf.wire.ok_to_next.p99': 0.9 },
    ...{ 'mpf.wire.ok_to_next.p999': 2.5, 'mpf.wire.utilization': 0.4 },
    ...{ 'mpf.planner.free': 3, 'mpf.planner.blocks': 15, 'mpf.wire.in_flight': 4 },
    ...{ 'mpf.wire.sent': 1000, 'mpf.wire.received': 300, 'mpf.wire.saved': 50 },
  })
})
