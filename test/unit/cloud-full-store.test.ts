/** A store that takes nothing for a while, part by part: who waits, who does without, and that nothing is counted that is not there. */
import { generateKeyPairSync } from 'node:crypto'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { type Test, test } from 'tap'
import type { EventView } from '#lib/control-protocol.ts'
import type { CoreClient } from '../../firmware/cloud/core-client.ts'
import { CloudError } from '../../firmware/cloud/errors.ts'
import { EventsPump } from '../../firmware/cloud/events-pump.ts'
import type { Host } from '../../firmware/cloud/host.ts'
import { Outbox } from '../../firmware/cloud/outbox.ts'
import type { Report } from '../../firmware/cloud/reports.ts'
import { Sender } from '../../firmware/cloud/sender.ts'
import { Telemetry } from '../../firmware/cloud/telemetry.ts'
import { fakeClock } from '../fakes/core-clock.ts'

const EVENT: EventView = {
  ...{ sequence: 0, atMs: 0, type: 'job.done', severity: 'notice', job: null, code: null },
  ...{ message: 'done', detail: {}, hash: 'ab'.repeat(32), clock: 'rtc' },
}
const LIMITS = { eventBytes: 1 << 20, telemetryBytes: 1 << 20 }

/** An outbox whose disk is full when a test says so. */
class FullOutbox extends Outbox {
  isFull = false
  override append(...args: Parameters<Outbox['append']>): number {
    this.#expectRoom()
    return super.append(...args)
  }
  override appendEvents(...args: Parameters<Outbox['appendEvents']>): void {
    this.#expectRoom()
    super.appendEvents(...args)
  }
  #expectRoom(): void {
    if (this.isFull) throw new CloudError('CLOUD_STORE', 'disk is full')
  }
}

function fullOutbox(t: Test): FullOutbox {
  const outbox = new FullOutbox(join(t.testdir(), 'outbox.sqlite'), LIMITS)
  t.teardown(() => outbox[Symbol.dispose]())
  return outbox
}

const turns = async () => {
  for (let turn = 0; turn < 10; turn += 1) await new Promise(resolve => setImmediate(resolve))
}

test('a write that fails changes nothing, says why, and is told once; so is the first that succeeds', async t => {
  const path = join(t.testdir(), 'outbox.sqlite')
  const told: (string | undefined)[] = []
  using outbox = new Outbox(path, LIMITS, fault => told.push(fault?.reason))
  outbox.append('resp', [Buffer.from('1')])
  const bytes = outbox.bytesOf('resp')
  {
    using other = new DatabaseSync(path)
    other.exec('BEGIN IMMEDIATE')
    t.throws(() => outbox.append('resp', [Buffer.from('2')]), { code: 'CLOUD_STORE' })
    t.equal(outbox.fault?.code, 'CLOUD_STORE')
    t.throws(() => outbox.setFact('a', 'b'), { code: 'CLOUD_STORE' })
  }
  t.same([outbox.lastOf('resp'), outbox.bytesOf('resp')], [1, bytes])
  outbox.append('resp', [Buffer.from('2')])
  t.equal(outbox.fault, undefined)
  t.same(told, ['database is locked', undefined])
})

test('of several writes that belong together none stays when the last fails', async t => {
  const outbox = fullOutbox(t)
  outbox.append('seg', [Buffer.from('a')])
  const bytes = outbox.bytesOf('seg')
  t.throws(() =>
    outbox.atomically(() => {
      outbox.setFact('progress', '1')
      outbox.append('seg', [Buffer.from('b')])
      outbox.isFull = true
      outbox.append('resp', [Buffer.from('c')])
    }),
  )
  t.same([outbox.fact('progress'), outbox.lastOf('seg')], [undefined, 1])
  t.equal(outbox.bytesOf('seg'), bytes, 'room is counted as it is')
})

test('events that cannot be written are asked of the core again, none is left out, none is told before it is there', async t => {
  const outbox = fullOutbox(t)
  outbox.isFull = true
  const log = [1, 2, 3].map(sequence => ({ ...EVENT, sequence }))
  const told: number[] = []
  const request = async (method: string, params: unknown) =>
    method === 'events.list'
      ? { events: log.filter(({ sequence }) => sequence > (params as { after: number }).after) }
      : {}
  const clock = fakeClock()
  const pump = new EventsPump({
    ...{ outbox, clock, core: { request: request as CoreClient['request'] } },
    device: { serial: 'P-1', tenant: 't', model: 'm', version: '1' },
    onAdded: events => told.push(...events.map(({ sequence }) => sequence)),
  })
  const ending = new AbortController()
  const running = pump.run(ending.signal)
  for (let second = 0; second < 200; second += 1) await clock.advance(1000)
  t.same([outbox.lastOf('evt'), told], [0, []])
  outbox.isFull = false
  for (let second = 0; second < 60; second += 1) await clock.advance(1000)
  t.same([outbox.lastOf('evt'), told], [3, [1, 2, 3]])
  ending.abort()
  await running
})

test('telemetry is dropped and counted, an alarm waits', async t => {
  const outbox = fullOutbox(t)
  outbox.isFull = true
  const clock = fakeClock()
  const reported: Report[] = []
  const reading = { diskFreeBytes: 0 } as Awaited<ReturnType<Host['read']>>
  const telemetry = new Telemetry(
    {
      ...{ outbox, view: undefined, nowMs: clock.wallMs, ports: { clock } },
      cloud: { tier: 'full', sampleIntervalMs: 1000, batchSamples: 2 },
      sender: { added: () => undefined },
      reports: { add: report => reported.push(report) },
    },
    { read: async () => reading },
  )
  const ending = new AbortController()
  const running = telemetry.run(ending.signal)
  await turns()
  for (let second = 0; second < 5; second += 1) await clock.advance(1000)
  t.same([outbox.lastOf('tele'), outbox.lastOf('alm')], [0, 0])
  outbox.isFull = false
  for (let second = 0; second < 2; second += 1) await clock.advance(1000)
  t.same([outbox.lastOf('tele'), outbox.lastOf('alm')], [1, 1])
  t.match(
    reported.filter(({ type }) => type === 'cloud.telemetry_lost'),
    [{ detail: { count: 6 } }],
  )
  ending.abort()
  await running
})

test('what cannot be shown to its owner does not leave; it does once it can', async t => {
  const outbox = fullOutbox(t)
  const clock = fakeClock()
  const published: string[] = []
  let isShown = false
  const sender = new Sender({
    ...{ device: 'P-1', outbox, clock, onRefused: () => undefined },
    mayLeave: topic => isShown || !topic.endsWith('/tele'),
    header: () => ({ dev: 'P-1', ten: 't', boot: 'b', ses: 1, ts: 0, clk: 'rtc' }),
  })
  outbox.append('tele', [Buffer.from('{}')])
  outbox.appendEvents([{ seq: 1, body: Buffer.from('{}') }])
  const ended = Promise.withResolvers<undefined>()
  const link = {
    ...{ endpoint: '', protocol: 5 as const, tls: '', window: 16, closed: ended.promise },
    publish: async ({ topic }: { readonly topic: string }) => void published.push(topic),
    [Symbol.asyncDispose]: async () => undefined,
  }
  const ending = new AbortController()
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const key = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  const running = sender.run(link, { serialNumber: '01', key }, ending.signal)
  await turns()
  t.same(published, ['mpf/v1/P-1/evt'])
  isShown = true
  await clock.advance(1500)
  t.ok(published.includes('mpf/v1/P-1/tele'))
  ending.abort()
  await running
})
