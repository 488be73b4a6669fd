/** Telemetry from the controller's own report to the fleet end's samples: what a heater says arrives under its name. */
import { test } from 'tap'
import { parseReply } from '../../drivers/marlin/replies.ts'
import { batchOf, dictionaryOf, sampleOf } from '../../firmware/cloud/metrics.ts'
import { samplesOf } from '../../fleet/telemetry.ts'

test('heaters of a Marlin report arrive by name', async t => {
  const reply = parseReply(
    'T:201.5 /210.0 B:60.1 /65.0 C:35.0 /0.0 T0:201.5 /210.0 T1:99.0 /0.0 @:0',
  )
  if (!reply || !('temperatures' in reply)) throw new Error('not a temperature report')
  const controller = { temperatures: reply.temperatures, connected: true }
  const from = { view: { controllers: [controller], queue: {}, spool: {}, events: {}, clock: {} } }
  const sources = { ...from, host: {}, outbox: { events: 0, bytes: 0 } } as unknown as Parameters<
    typeof sampleOf
  >[1]
  const values = sampleOf('full', sources)
  const samples = [1000, 2000, 3500].map(atMs => ({ atMs, values }))
  const read = samplesOf(JSON.parse(JSON.stringify(batchOf(samples))), dictionaryOf('full'))
  t.same(
    read.map(({ atMs }) => atMs),
    [1000, 2000, 3500],
  )
  const last = read.at(-1)?.values
  t.equal(last?.get('hw.temperature.hotend0'), 201.5)
  t.equal(last?.get('hw.temperature.hotend0.target'), 210)
  t.equal(last?.get('hw.temperature.hotend1'), 99)
  t.equal(last?.get('hw.temperature.bed'), 60.1)
  t.equal(last?.get('hw.temperature.chamber'), 35)
})

test('what is no batch has no samples, and a column that changes keeps its places', async t => {
  t.same(samplesOf({ t0: 'now' }, [['a', '']]), [])
  const read = samplesOf({ t0: 1, dt: [9], c: [[null, 5], 7] }, [
    ['a', ''],
    ['b', ''],
  ])
  t.same(
    read.map(({ values }) => [...values]),
    [
      [['b', 7]],
      [
        ['a', 5],
        ['b', 7],
      ],
    ],
  )
})
