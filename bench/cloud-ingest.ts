/** Row C6: what the fleet end pays for one item, without a broker: CPU of the worker and bytes of its store. */

import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { type BatchHeader, encodeBatch, ocsfRecord, schemaHash, signBatch, topicOf } from '#cloud'
import { systemClock } from '#lib/clock.ts'
import { CHAIN_START, chainHash, entryOfView } from '#lib/event-chain.ts'
import { IdentityStore, type SlotIdentity } from '../firmware/cloud/identity.ts'
import { batchOf, dictionaryOf } from '../firmware/cloud/metrics.ts'
import { certifyPrinter, pemOf } from '../fleet/ca.ts'
import { Ingest } from '../fleet/ingest.ts'
import { FleetStore } from '../fleet/store.ts'
import { createTenant, type Tenant } from '../fleet/tenant.ts'
import { type BenchContext, cpuSeconds, median, type Row } from './row.ts'

const SERIAL = 'P-1'
const EVENTS = 4000
const EVENT_BATCH = 200
const BATCHES = 300
const SAMPLES = 6
const METRICS = dictionaryOf('full')

interface UnitCost {
  readonly cpuMs: number
  readonly bytes: number
}

export async function* ingestRows({ directory, runs }: BenchContext): AsyncGenerator<Row> {
  const tenant = await createTenant(join(directory, 'ingest'), 'bench', Date.now())
  const identity = await enrolled(tenant, directory)
  const costs = { events: [] as UnitCost[], batches: [] as UnitCost[] }
  for (let run = 0; run < runs; run++) {
    const place = (name: string) => join(directory, `${name}-${run}.sqlite`)
    costs.events.push(
      await measure(tenant, identity, place('events'), eventMessages(tenant), EVENTS),
    )
    const telemetry = telemetryMessages(tenant, identity)
    costs.batches.push(await measure(tenant, identity, place('tele'), telemetry, BATCHES))
  }
  const of = (all: readonly UnitCost[], what: keyof UnitCost) => median(all.map(one => one[what]))
  const event = { cpuMs: of(costs.events, 'cpuMs'), bytes: of(costs.events, 'bytes') }
  const batch = { cpuMs: of(costs.batches, 'cpuMs'), bytes: of(costs.batches, 'bytes') }
  yield {
    id: 'C6',
    what: 'fleet end, one worker: cost of an item taken, proven and stored',
    peer: 'none',
    ratio: undefined,
    figure: `event ${event.cpuMs.toFixed(3)} ms CPU (${Math.round(1000 / event.cpuMs)} a second and core), ${event.bytes.toFixed(0)} bytes stored; signed batch of ${SAMPLES} samples ${batch.cpuMs.toFixed(2)} ms CPU, ${batch.bytes.toFixed(0)} bytes`,
    owed: 'reported',
    isMet: undefined,
    note: `${EVENTS} events in messages of ${EVENT_BATCH}, ${BATCHES} batches; ${runs} runs; the broker's part is in row C5`,
  }
}

async function enrolled(tenant: Tenant, directory: string): Promise<SlotIdentity> {
  const identities = new IdentityStore(join(directory, 'ingest-printer'))
  const csr = await identities.request('a', { commonName: SERIAL })
  const printer = { serial: SERIAL, tenant: tenant.id }
  return identities.install('a', pemOf(certifyPrinter(tenant.authority, csr, printer, Date.now())))
}

interface Message {
  readonly stream: 'evt' | 'tele'
  readonly payload: Buffer
}

async function measure(
  tenant: Tenant,
  identity: SlotIdentity,
  path: string,
  messages: readonly Message[],
  items: number,
): Promise<UnitCost> {
  const cpuS = await take(tenant, identity, path, messages, items)
  return { cpuMs: (cpuS * 1000) / items, bytes: (await stat(path)).size / items }
}

/** CPU seconds. The store is closed after it, so that its file is all there is. */
async function take(
  tenant: Tenant,
  { cert, serialNumber }: SlotIdentity,
  path: string,
  messages: readonly Message[],
  items: number,
): Promise<number> {
  using store = new FleetStore(path)
  const ingest = new Ingest({
    ...{ tenant, store, clock: systemClock, random: Math.random, worker: 'bench', endpoints: [] },
    ...{ ca: tenant.authority.certPem, witness: await tenant.key('witness') },
  })
  const birth = { dictionary: METRICS, certificate: { serial: serialNumber, pem: cert } }
  await ingest.take(topicOf(SERIAL, 'birth'), Buffer.from(JSON.stringify(birth)))
  const cpuS = await cpuSeconds(async () => {
    for (const { stream, payload } of messages) await ingest.take(topicOf(SERIAL, stream), payload)
    // Nothing is received: it only ends what is on its way, the last acknowledgement.
    await ingest.run(AbortSignal.abort())
  })
  const [message] = messages
  const taken = message ? store.contiguous(SERIAL, message.stream) : 0
  if (taken !== items) throw new Error(`${taken} of ${items} items taken`)
  return cpuS
}

function eventMessages(tenant: Tenant): readonly Message[] {
  const device = { serial: SERIAL, tenant: tenant.id, model: 'T', version: '0.1.0' }
  let hash: Uint8Array = CHAIN_START
  const records = Array.from({ length: EVENTS }, (_, i) => {
    const event = {
      ...{ sequence: i + 1, atMs: Date.now(), clock: 'rtc', type: 'job.received' },
      ...{ severity: 'info' as const, job: null, code: null, message: 'bench', detail: {} },
    }
    hash = chainHash(hash, entryOfView(event))
    const shown = { ...event, hash: Buffer.from(hash).toString('hex') }
    return Buffer.from(JSON.stringify(ocsfRecord(shown, device)))
  })
  return Array.from({ length: EVENTS / EVENT_BATCH }, (_, i) => {
    const from = i * EVENT_BATCH
    const header = headerOf(tenant, 'evt', from + 1, EVENT_BATCH)
    return {
      stream: 'evt',
      payload: encodeBatch(header, records.slice(from, from + EVENT_BATCH)),
    }
  })
}

function telemetryMessages(tenant: Tenant, identity: SlotIdentity): readonly Message[] {
  return Array.from({ length: BATCHES }, (_, i) => {
    const samples = Array.from({ length: SAMPLES }, (_sample, at) => ({
      atMs: i * 60_000 + at * 10_000,
      values: METRICS.map((_metric, column) => Math.round(column * 1e4 + Math.random() * 1e3)),
    }))
    const item = Buffer.from(JSON.stringify(batchOf(samples)))
    const batch = encodeBatch(headerOf(tenant, 'tele', i + 1, 1), [item])
    return { stream: 'tele', payload: signBatch(batch, identity) }
  })
}

function headerOf(tenant: Tenant, str: Message['stream'], seq0: number, n: number): BatchHeader {
  return {
    ...{ v: 1, dev: SERIAL, ten: tenant.id, boot: 'bench', ses: 1, str, seq0, n },
    ...{ ts: Date.now(), clk: 'rtc', sch: schemaHash(METRICS), enc: 'json+deflate' },
  }
}
