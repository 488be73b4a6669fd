/** Many printers in one process, without a machine: the courier's own link, supervisor, batches and signatures over records of a real chain. */

import { join } from 'node:path'
import { z } from 'zod'
import {
  ackSchema,
  type BatchHeader,
  deviceTopics,
  type Endpoint,
  encodeBatch,
  type Link,
  noticeSchema,
  ocsfRecord,
  openLink,
  schemaHash,
  signBatch,
  streamTopic,
  superviseLink,
  topicOf,
} from '#cloud'
import { systemClock } from '#lib/clock.ts'
import { unverifiedStatement } from '#lib/dsse.ts'
import { CHAIN_START, chainHash, entryOfView } from '#lib/event-chain.ts'
import { IdentityStore, type SlotIdentity } from '../firmware/cloud/identity.ts'
import { batchOf, dictionaryOf } from '../firmware/cloud/metrics.ts'
import { certifyPrinter, pemOf } from '../fleet/ca.ts'
import { openTenant, type Tenant } from '../fleet/tenant.ts'

/** CLOUD 3.1: a sample each 10 s, a batch a minute. */
const SAMPLE_MS = 10_000
const BATCH_MS = 60_000
const RESEND_MS = 10_000
/** Each printer has a processor of its own; these share one, so that not all may shake hands at once. */
const OPENINGS = 32
const METRICS = dictionaryOf('full')

export interface PrintersReport {
  readonly connected: number
  readonly recorded: number
  readonly acknowledged: number
}

let openings = 0
const waiting: (() => void)[] = []

/** One of so many at a time. */
async function inTurn<T>(work: () => Promise<T>): Promise<T> {
  if (openings >= OPENINGS) await new Promise<void>(resolve => waiting.push(resolve))
  else openings += 1
  try {
    return await work()
  } finally {
    const next = waiting.shift()
    if (next) next()
    else openings -= 1
  }
}

class SimulatedPrinter {
  readonly #serial: string
  readonly #tenant: Tenant
  readonly #port: number
  readonly #identity: SlotIdentity
  #link: Link | undefined
  #hash: Uint8Array = CHAIN_START
  #events: Buffer[] = []
  #telemetry = 0
  recorded = 0
  acknowledged = 0

  constructor(serial: string, tenant: Tenant, port: number, identity: SlotIdentity) {
    this.#serial = serial
    this.#tenant = tenant
    this.#port = port
    this.#identity = identity
  }

  get isConnected(): boolean {
    return this.#link !== undefined
  }

  async run(signal: AbortSignal): Promise<void> {
    await superviseLink(
      {
        endpoints: [{ host: 'localhost', port: this.#port }],
        ...{ clock: systemClock, random: Math.random },
        open: (endpoint, protocol, opening) =>
          inTurn(() => this.#open(endpoint, protocol, opening)),
        use: (link, ended) => this.#use(link, ended),
        onRefused: async () => undefined,
      },
      signal,
    )
  }

  /** Into the chain and the queue, as core and courier do it. */
  record(count: number): void {
    for (let i = 0; i < count; i++) {
      this.recorded += 1
      const event = {
        ...{ sequence: this.recorded, atMs: Date.now(), clock: 'rtc', type: 'job.received' },
        ...{ severity: 'info' as const, job: null, code: null, message: 'bench', detail: {} },
      }
      this.#hash = chainHash(this.#hash, entryOfView(event))
      const hash = Buffer.from(this.#hash).toString('hex')
      const device = { serial: this.#serial, tenant: this.#tenant.id, model: 'T', version: '0.1.0' }
      this.#events.push(Buffer.from(JSON.stringify(ocsfRecord({ ...event, hash }, device))))
    }
    this.#sendEvents()
  }

  #open(endpoint: Endpoint, protocol: 5 | 4, signal: AbortSignal): Promise<Link> {
    return openLink({
      ...{ ...endpoint, protocol, signal, clientId: this.#serial },
      ...{ ca: this.#tenant.authority.certPem, identity: this.#identity },
      sessionExpiryS: 86_400,
      will: {
        topic: topicOf(this.#serial, 'state'),
        payload: JSON.stringify({ online: false, session: 1 }),
        delayS: 30,
      },
      subscriptions: deviceTopics(this.#serial),
      onMessage: async (topic, payload) => this.#take(topic, payload),
    })
  }

  async #use(link: Link, ended: AbortSignal): Promise<void> {
    this.#link = link
    this.#birth()
    this.#publish('state', JSON.stringify({ online: true, session: 1, state: 'idle' }), true)
    await Promise.all([this.#sendAgain(ended), this.#measure(ended)])
    this.#link = undefined
  }

  #birth(): void {
    const { cert, serialNumber, notAfterMs } = this.#identity
    const certificate = { serial: serialNumber, notAfterMs, pem: cert }
    const names = { dev: this.#serial, serial: this.#serial, tenant: this.#tenant.id, model: 'T' }
    this.#publish(
      'birth',
      JSON.stringify({ v: 1, ...names, session: 1, dictionary: METRICS, certificate }),
    )
  }

  async #sendAgain(ended: AbortSignal): Promise<void> {
    while (!ended.aborted) {
      this.#sendEvents()
      await systemClock.sleep(RESEND_MS, ended).catch(() => undefined)
    }
  }

  /** Each printer at its own moment of the minute. */
  async #measure(ended: AbortSignal): Promise<void> {
    await systemClock.sleep(Math.random() * BATCH_MS, ended).catch(() => undefined)
    while (!ended.aborted) {
      const samples = Array.from({ length: BATCH_MS / SAMPLE_MS }, (_, i) => ({
        atMs: Date.now() - BATCH_MS + i * SAMPLE_MS,
        values: METRICS.map((_metric, column) => Math.round(column * 1e4 + Math.random() * 1e3)),
      }))
      this.#telemetry += 1
      const item = Buffer.from(JSON.stringify(batchOf(samples)))
      const batch = encodeBatch(this.#header('tele', this.#telemetry, 1), [item])
      this.#publishTo(streamTopic(this.#serial, 'tele'), signBatch(batch, this.#identity))
      await systemClock.sleep(BATCH_MS, ended).catch(() => undefined)
    }
  }

  #sendEvents(): void {
    if (this.#events.length === 0) return
    const header = this.#header('evt', this.acknowledged + 1, this.#events.length)
    this.#publishTo(streamTopic(this.#serial, 'evt'), encodeBatch(header, this.#events))
  }

  #header(str: 'evt' | 'tele', seq0: number, n: number): BatchHeader {
    const names = { dev: this.#serial, ten: this.#tenant.id, boot: 'bench', ses: 1 }
    return {
      ...{ v: 1, ...names, str, seq0, n, ts: Date.now(), clk: 'rtc' },
      ...{ sch: schemaHash(METRICS), enc: 'json+deflate' },
    }
  }

  #take(topic: string, payload: Uint8Array): void {
    const statement = unverifiedStatement(payload)
    if (topic === topicOf(this.#serial, 'notice')) {
      if (noticeSchema.parse(statement).kind === 'rebirth') this.#birth()
    } else if (topic === topicOf(this.#serial, 'ack')) {
      const upTo = ackSchema.parse(statement).acks.evt ?? 0
      if (upTo <= this.acknowledged) return
      this.#events = this.#events.slice(upTo - this.acknowledged)
      this.acknowledged = upTo
    }
  }

  #publish(name: 'birth' | 'state', payload: string, isRetained = false): void {
    this.#publishTo(topicOf(this.#serial, name), payload, isRetained)
  }

  /** What the broker did not take goes again with the next acknowledgement that does not come. */
  #publishTo(topic: string, payload: string | Uint8Array, isRetained = false): void {
    void this.#link?.publish({ topic, payload, isRetained }).catch(() => undefined)
  }
}

async function enrolled(tenant: Tenant, serial: string): Promise<SlotIdentity> {
  const store = new IdentityStore(join(tenant.directory, 'simulated', serial))
  const csr = await store.request('a', { commonName: serial })
  const cert = certifyPrinter(tenant.authority, csr, { serial, tenant: tenant.id }, Date.now())
  return store.install('a', pemOf(cert))
}

const [directory = '', port, first, count] = process.argv.slice(2)
const tenant = await openTenant(directory)
const printers: SimulatedPrinter[] = []
for (let i = 0; i < Number(count); i++) {
  const serial = `S-${Number(first) + i}`
  printers.push(new SimulatedPrinter(serial, tenant, Number(port), await enrolled(tenant, serial)))
}
const commandSchema = z.strictObject({ record: z.int().min(0) })
process.on('message', message => {
  const { record } = commandSchema.parse(message)
  for (const printer of printers) printer.record(record)
})
process.on('disconnect', () => process.exit(0))
setInterval(() => {
  const sum = (of: (printer: SimulatedPrinter) => number) =>
    printers.reduce((total, printer) => total + of(printer), 0)
  const report: PrintersReport = {
    connected: sum(({ isConnected }) => Number(isConnected)),
    recorded: sum(({ recorded }) => recorded),
    acknowledged: sum(({ acknowledged }) => acknowledged),
  }
  process.send?.(report)
}, 200)
await Promise.all(printers.map(printer => printer.run(new AbortController().signal)))
