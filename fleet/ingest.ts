/** The worker that receives: each batch stored once, proven, and only then acknowledged with a signature. Any number may share a store and a broker. */

import { z } from 'zod'
import {
  type AckStatement,
  type BatchHeader,
  CloudError,
  decodeBatch,
  type Endpoint,
  ingestTopics,
  type Link,
  type NoticeStatement,
  openLink,
  parseTopic,
  STATEMENT,
  type Stream,
  streamOf,
  superviseLink,
  topicOf,
} from '#cloud'
import type { Clock } from '#lib/clock.ts'
import { signStatement } from '#lib/dsse.ts'
import type { SigningKey } from '#mpf'
import { BatchProof } from './batch-proof.ts'
import { isStaleDeath } from './deaths.ts'
import { FleetError } from './errors.ts'
import { entryOf, extendLog, type Head, logOf, openHead, proveHead } from './prove.ts'
import { RequestQueues } from './request-queues.ts'
import { expectSegments } from './segments.ts'
import type { FleetStore, LogRow } from './store.ts'
import type { Tenant } from './tenant.ts'

export interface IngestOptions {
  readonly tenant: Tenant
  readonly store: FleetStore
  readonly endpoints: readonly Endpoint[]
  readonly ca: string
  readonly clock: Clock
  readonly random: () => number
  /** Names this worker at the broker; each worker its own. */
  readonly worker: string
  readonly witness: SigningKey
  /** Blocks of files the printers ask for. */
  readonly onRequest?: (device: string, payload: Uint8Array, link: Link) => Promise<void>
  readonly onLink?: (link: Link) => void
}

const GROUP = 'ingest'
const PAGE = 500
/** Acknowledgements of one printer are gathered for this long. */
const ACK_MS = 20
const REBIRTH_MS = 10_000

const headSchema = z.looseObject({
  size: z.int().min(0),
  note: z.string().max(4096),
  name: z.string().max(128),
  publicKey: z.string().max(1024),
})

/** A notice without what the worker adds to it. */
type NoticeBody = NoticeStatement extends infer Each
  ? Each extends NoticeStatement
    ? Omit<Each, 'v' | 'dev' | 'at'>
    : never
  : never

export class Ingest {
  readonly #options: IngestOptions
  #link: Link | undefined
  readonly #due = new Map<string, Promise<void>>()
  readonly #requests = new RequestQueues((device, error) => this.#alert(device, error))
  readonly #rebirths = new Map<string, number>()
  readonly #proof: BatchProof

  constructor(options: IngestOptions) {
    this.#options = options
    this.#proof = new BatchProof(options.tenant.authority.certPem)
  }

  /** Receives until the signal aborts; the link is opened again whatever ends it. */
  async run(signal: AbortSignal): Promise<void> {
    const { endpoints, clock, random, ca, tenant, worker, onLink } = this.#options
    await superviseLink(
      {
        ...{ endpoints, clock, random },
        open: (endpoint, protocol, opening) =>
          openLink({
            ...endpoint,
            ...{ ca, protocol, signal: opening, identity: tenant.identity, clientId: worker },
            sessionExpiryS: 3600,
            // MQTT 3.1.1 has no shared subscriptions: then every worker sees all, and the store keeps one of each.
            subscriptions: ingestTopics(protocol === 5 ? GROUP : undefined),
            onMessage: (topic, payload) => this.take(topic, payload),
          }),
        use: async (link, ended) => {
          this.#link = link
          onLink?.(link)
          await new Promise<void>(resolve => {
            if (ended.aborted) resolve()
            ended.addEventListener('abort', () => resolve(), { once: true })
          })
          this.#link = undefined
        },
        onRefused: async () => undefined,
      },
      signal,
    )
    await Promise.all([...this.#due.values(), this.#requests.drained()])
  }

  /** Takes one message; what is wrong with it is an alert, never a crash. */
  async take(topic: string, payload: Uint8Array): Promise<void> {
    const parsed = parseTopic(topic)
    if (!parsed) return
    const { device, name } = parsed
    try {
      const stream = streamOf(name)
      if (stream !== undefined) this.#batch(device, stream, payload)
      else if (name === 'req') this.#request(device, payload)
      else if (name === 'audit/cp') this.#head(device, payload)
      else this.#tell(device, name, JSON.parse(Buffer.from(payload).toString()))
    } catch (error) {
      this.#alert(device, error)
    }
  }

  /** Sends a signed notice: rebirth, watch, cancel. */
  async notice(device: string, body: NoticeBody): Promise<void> {
    const at = Math.floor(this.#options.clock.wallMs() / 1000)
    await this.#send(device, 'notice', STATEMENT.notice, { v: 1, dev: device, ...body, at })
  }

  #batch(device: string, stream: Stream, payload: Uint8Array): void {
    const { store, clock } = this.#options
    const { header, items } = decodeBatch(payload)
    if (header.dev !== device || header.str !== stream)
      throw new CloudError('CLOUD_MALFORMED', 'a batch under another topic than its own')
    if (stream === 'evt' && header.lost)
      throw new FleetError('FLEET_CHAIN_BROKEN', 'events told as lost')
    if (stream !== 'evt' && !this.#isProven(payload, header)) return
    if (stream === 'seg') expectSegments(store, device, items)
    store.transact(() => {
      store.receive({
        ...{ device, stream, firstSeq: header.seq0, lost: header.lost, atMs: clock.wallMs() },
        bodies: items.map(item => JSON.stringify(item)),
      })
      store.setFact(device, 'clock', clock.wallMs(), { clk: header.clk, ts: header.ts })
      if (stream === 'evt') this.#extend(device, header.seq0 + header.n - 1)
    })
    if (store.factText(device, 'birth') === undefined) this.#askBirth(device)
    this.#acknowledgeSoon(device)
  }

  #tell(device: string, name: string, value: unknown): void {
    const { store, clock } = this.#options
    const atMs = clock.wallMs()
    if (name === 'state' && isStaleDeath(value, store.fact(device, 'state'))) return
    if (name === 'birth') this.#proof.expectBirth(value, device, atMs)
    store.setFact(device, name, atMs, value)
  }

  #isProven(payload: Uint8Array, header: BatchHeader): boolean {
    const { store, clock } = this.#options
    const birth = store.factText(header.dev, 'birth')
    const isProven = this.#proof.isProven(payload, header, { birth, atMs: clock.wallMs() })
    if (!isProven) this.#askBirth(header.dev)
    return isProven
  }

  /**
   * Chain and signed head over what is contiguous now. The batch that ends with `last` must follow; what came before its turn
   * only counts if it does: a lie among it is written over when the truth comes.
   */
  #extend(device: string, last: number): void {
    const { store } = this.#options
    const end = store.contiguous(device, 'evt')
    let log = this.#extended(device, logOf(store, device), Math.min(last, end))
    try {
      log = this.#extended(device, log, end)
    } catch (error) {
      if (!(error instanceof FleetError)) throw error
    }
    store.setLog(device, log)
    this.#proveWaiting(device)
  }

  /** @throws FleetError FLEET_CHAIN_BROKEN, FLEET_RECORD_DIFFERS */
  #extended(device: string, log: LogRow, end: number): LogRow {
    let extended = log
    while (extended.size < end) {
      const limit = Math.min(PAGE, end - extended.size)
      const items = this.#options.store.items(device, 'evt', extended.size, limit)
      const records = items.map(({ value }) => value)
      extended = extendLog(extended, device, records)
    }
    return extended
  }

  /** Beside the messages: sending waits for acknowledgements, which come behind them. One request of a printer at a time. */
  #request(device: string, payload: Uint8Array): void {
    const { onRequest } = this.#options
    const link = this.#link
    if (onRequest && link) this.#requests.add(device, () => onRequest(device, payload, link))
  }

  #head(device: string, payload: Uint8Array): void {
    const { store, clock } = this.#options
    const head = headSchema.parse(JSON.parse(Buffer.from(payload).toString('utf8')))
    store.transact(() => {
      openHead(logOf(store, device), head)
      store.setFact(device, 'head', clock.wallMs(), head)
      this.#proveWaiting(device)
    })
    this.#acknowledgeSoon(device)
  }

  #proveWaiting(device: string): void {
    const { store, clock, witness } = this.#options
    const head = headSchema.safeParse(store.fact(device, 'head')).data as Head | undefined
    const log = logOf(store, device)
    if (!head || head.size > log.size || head.size <= log.proven) return
    const atMs = clock.wallMs()
    const key = { name: witnessName(this.#options.tenant), key: witness.privateKey, atMs }
    const verdict = proveHead(log, head, this.#entries(device, log.proven), key)
    if (verdict.kind !== 'proven') return
    store.setLog(device, verdict.log)
    store.setFact(device, 'cosig', atMs, { size: head.size, line: verdict.line })
  }

  *#entries(device: string, after: number): Generator<string> {
    for (let at = after; ; ) {
      const items = this.#options.store.items(device, 'evt', at, PAGE)
      for (const { seq, value } of items) {
        yield entryOf(value)
        at = seq
      }
      if (items.length < PAGE) return
    }
  }

  /** Gathers what came meanwhile into one signature. */
  #acknowledgeSoon(device: string): void {
    if (this.#due.has(device)) return
    const sending = this.#options.clock
      .sleep(ACK_MS)
      .then(() => {
        this.#due.delete(device)
        return this.#acknowledge(device)
      })
      .catch((error: unknown) => this.#alert(device, error))
    this.#due.set(device, sending)
  }

  async #acknowledge(device: string): Promise<void> {
    const { store } = this.#options
    const acks: { -readonly [S in Stream]?: number } = {}
    for (const stream of ['alm', 'resp', 'tele', 'seg'] as const) {
      const seq = store.contiguous(device, stream)
      if (seq > 0) acks[stream] = seq
    }
    // Events count once they are proven to follow, not when they arrive.
    const { size } = logOf(store, device)
    if (size > 0) acks.evt = size
    const cosig = z
      .strictObject({ size: z.int(), line: z.string() })
      .safeParse(store.fact(device, 'cosig')).data
    const ack: AckStatement = { v: 1, dev: device, acks, ...(cosig && { cosig }) }
    await this.#send(device, 'ack', STATEMENT.ack, ack)
  }

  #askBirth(device: string): void {
    const { clock } = this.#options
    const last = this.#rebirths.get(device) ?? Number.NEGATIVE_INFINITY
    if (clock.nowMs() - last < REBIRTH_MS) return
    this.#rebirths.set(device, clock.nowMs())
    void this.notice(device, { kind: 'rebirth' })
  }

  async #send(device: string, name: 'ack' | 'notice', type: string, body: unknown): Promise<void> {
    const payload = signStatement(type, body, [this.#options.witness])
    await this.#link?.publish({ topic: topicOf(device, name), payload }).catch((error: unknown) => {
      if (!(error instanceof CloudError)) throw error
    })
  }

  /** A store that fails is the worker's end; whatever else a message brings about is the message's fault. */
  #alert(device: string, error: unknown): void {
    if (!(error instanceof Error) || 'errcode' in error) throw error
    const { store, clock } = this.#options
    const isOurs = error instanceof FleetError || error instanceof CloudError
    store.alert(device, clock.wallMs(), isOurs ? error.code : 'CLOUD_MALFORMED', error.message)
  }
}

/** The name the fleet end cosigns under. */
export function witnessName(tenant: Tenant): string {
  return `mpfd/witness/${tenant.id}`
}
