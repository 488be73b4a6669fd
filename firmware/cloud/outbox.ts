/** What was measured and recorded and not yet acknowledged by the fleet end: numbered, bounded, on disk. */

import { chmodSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { z } from 'zod'
import { CloudError } from './errors.ts'
import { STREAMS, type Stream } from './wire.ts'

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS items (
    stream TEXT NOT NULL, seq INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (stream, seq)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS streams (
    name TEXT PRIMARY KEY, last INTEGER NOT NULL, acked INTEGER NOT NULL, thinned INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;`

export interface OutboxLimits {
  readonly eventBytes: number
  readonly telemetryBytes: number
}

export interface OutboxItem {
  readonly seq: number
  readonly body: Uint8Array
}

/** Consecutive items, and the numbers right before them that were dropped and will never come. */
export interface OutboxSlice {
  readonly items: readonly OutboxItem[]
  readonly lost: readonly [number, number] | undefined
}

/** Telemetry thinned at a time when there is no room: one item in six stays. */
const THIN_ITEMS = 600
const THIN_TO_ONE_IN = 6
/** Rows of WITHOUT ROWID tables carry their key: what an item takes besides its body. */
const ROW_BYTES = 24
/** Of the streams that are not bounded by their bytes the oldest go; the gap is told as lost. */
const KEPT_ITEMS = { alm: 10_000, resp: 10_000, seg: 4000 } as const

const streamRow = z.object({ last: z.int(), acked: z.int(), thinned: z.int() })
const itemRow = z.object({ seq: z.int(), body: z.instanceof(Uint8Array) })
const count = (row: unknown) => z.object({ n: z.int().nullable() }).parse(row).n ?? 0

export class Outbox implements Disposable {
  readonly #database: DatabaseSync
  readonly #limits: OutboxLimits
  readonly #onFault: (fault: CloudError | undefined) => void
  readonly #bytes = new Map<Stream, number>()
  #synchronous = 'FULL'
  #fault: CloudError | undefined

  /** `onFault` is told when a write fails, and when one succeeds again. @throws CloudError CLOUD_STORE */
  constructor(
    path: string,
    limits: OutboxLimits,
    onFault: (fault: CloudError | undefined) => void = () => undefined,
  ) {
    this.#limits = limits
    this.#onFault = onFault
    try {
      this.#database = new DatabaseSync(path, { timeout: 2000 })
      chmodSync(path, 0o600)
      // Pages of a new file are small: each that changes is written whole, to flash.
      this.#database.exec(
        'PRAGMA page_size = 1024; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL',
      )
      this.#database.exec(SCHEMA)
      for (const stream of STREAMS) this.#openStream(stream)
    } catch (cause) {
      throw new CloudError('CLOUD_STORE', 'the outbox cannot be read', { cause })
    }
  }

  [Symbol.dispose](): void {
    this.#database.close()
  }

  /** Adds items with the next numbers, durably; telemetry may be lost in a power cut. Returns the last number. */
  append(stream: Exclude<Stream, 'evt'>, bodies: readonly Uint8Array[]): number {
    const { last } = this.#stream(stream)
    const end = last + bodies.length
    const items = bodies.map((body, i) => ({ seq: last + 1 + i, body }))
    // Telemetry may be lost in a power cut, never half written; everything else is on disk before it counts.
    this.#write(stream === 'tele' ? 'NORMAL' : 'FULL', () => {
      this.#insert(stream, items)
      if (stream !== 'tele') this.#delete(stream, 'seq <= ?', end - KEPT_ITEMS[stream])
    })
    if (stream === 'tele') this.#makeRoom()
    return end
  }

  /** Adds events under the core's own numbers, which go on where the last ended. @throws CloudError CLOUD_CORE for a gap, CLOUD_STORE */
  appendEvents(items: readonly OutboxItem[]): void {
    const { last } = this.#stream('evt')
    for (const [i, item] of items.entries())
      if (item.seq !== last + 1 + i)
        throw new CloudError('CLOUD_CORE', `event ${item.seq} does not follow ${last + i}`)
    this.#write('FULL', () => this.#insert('evt', items))
  }

  /** All that `body` writes, or none of it, durably. @throws CloudError CLOUD_STORE; what `body` throws */
  atomically(body: () => void): void {
    this.#write('FULL', body)
  }

  /** Why the last write failed; undefined while writes succeed. */
  get fault(): CloudError | undefined {
    return this.#fault
  }

  /** True while there is no room for events: no more may be taken from the core. */
  get isEventStoreFull(): boolean {
    return this.bytesOf('evt') >= this.#limits.eventBytes
  }

  bytesOf(stream: Stream): number {
    return this.#bytes.get(stream) ?? 0
  }

  lastOf(stream: Stream): number {
    return this.#stream(stream).last
  }

  ackedOf(stream: Stream): number {
    return this.#stream(stream).acked
  }

  /** Items waiting after `after`, as far as they are consecutive, at most `maxItems` and about `maxBytes`. */
  read(stream: Stream, after: number, maxItems: number, maxBytes: number): OutboxSlice {
    const rows = this.#database
      .prepare('SELECT seq, body FROM items WHERE stream = ? AND seq > ? ORDER BY seq LIMIT ?')
      .iterate(stream, after, maxItems)
    const items: OutboxItem[] = []
    let bytes = 0
    for (const row of rows) {
      const item = itemRow.parse(row)
      const previous = items.at(-1)
      const isNext = previous === undefined || item.seq === previous.seq + 1
      if (!isNext || (previous && bytes + item.body.length > maxBytes)) break
      items.push(item)
      bytes += item.body.length
    }
    const first = items[0]?.seq
    const lost =
      first !== undefined && first > after + 1 ? ([after + 1, first - 1] as const) : undefined
    return { items, lost }
  }

  /** The fleet end has everything up to `seq`. Returns false for a number that was never given. */
  ack(stream: Stream, seq: number): boolean {
    const { last, acked } = this.#stream(stream)
    if (seq > last) return false
    if (seq <= acked) return true
    // One that is lost in a power cut comes again.
    this.#write('NORMAL', () => {
      this.#delete(stream, 'seq <= ?', seq)
      this.#database.prepare('UPDATE streams SET acked = ? WHERE name = ?').run(seq, stream)
    })
    return true
  }

  fact(name: string): string | undefined {
    const row = this.#database.prepare('SELECT value FROM facts WHERE name = ?').get(name)
    return z.object({ value: z.string() }).safeParse(row).data?.value
  }

  setFact(name: string, value: string): void {
    this.#write('FULL', () => {
      this.#database
        .prepare(
          'INSERT INTO facts VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value',
        )
        .run(name, value)
    })
  }

  #openStream(stream: Stream): void {
    this.#database.prepare('INSERT OR IGNORE INTO streams VALUES (?, 0, 0, 0)').run(stream)
    const row = this.#database
      .prepare('SELECT sum(length(body) + ?) AS n FROM items WHERE stream = ?')
      .get(ROW_BYTES, stream)
    this.#bytes.set(stream, count(row))
  }

  #stream(stream: Stream): z.infer<typeof streamRow> {
    return streamRow.parse(
      this.#database.prepare('SELECT last, acked, thinned FROM streams WHERE name = ?').get(stream),
    )
  }

  #insert(stream: Stream, items: readonly OutboxItem[]): void {
    const last = items.at(-1)
    if (!last) return
    const insert = this.#database.prepare('INSERT INTO items VALUES (?, ?, ?)')
    for (const { seq, body } of items) insert.run(stream, seq, body)
    this.#database.prepare('UPDATE streams SET last = ? WHERE name = ?').run(last.seq, stream)
    const added = items.reduce((sum, { body }) => sum + body.length + ROW_BYTES, 0)
    this.#bytes.set(stream, this.bytesOf(stream) + added)
  }

  /** CLOUD 3.5: thin the oldest telemetry first, then drop the oldest. */
  #makeRoom(): void {
    while (this.bytesOf('tele') > this.#limits.telemetryBytes) {
      const { last, thinned, acked } = this.#stream('tele')
      const from = Math.max(thinned, acked)
      const to = Math.min(from + THIN_ITEMS, last - 1)
      this.#write('NORMAL', () => {
        if (to > from)
          this.#delete('tele', `seq > ? AND seq <= ? AND seq % ${THIN_TO_ONE_IN} <> 0`, from, to)
        else
          this.#delete(
            'tele',
            `seq IN (SELECT seq FROM items WHERE stream = 'tele' AND seq < ? ORDER BY seq LIMIT 100)`,
            last,
          )
        this.#database
          .prepare(`UPDATE streams SET thinned = ? WHERE name = 'tele'`)
          .run(Math.max(from, to))
      })
      if (to <= from && count(this.#count('tele')) <= 1) return
    }
  }

  #count(stream: Stream): unknown {
    return this.#database.prepare('SELECT count(*) AS n FROM items WHERE stream = ?').get(stream)
  }

  #delete(stream: Stream, where: string, ...parameters: readonly number[]): void {
    const removed = count(
      this.#database
        .prepare(
          `SELECT sum(length(body) + ${ROW_BYTES}) AS n FROM items WHERE stream = ? AND ${where}`,
        )
        .get(stream, ...parameters),
    )
    this.#database
      .prepare(`DELETE FROM items WHERE stream = ? AND ${where}`)
      .run(stream, ...parameters)
    this.#bytes.set(stream, this.bytesOf(stream) - removed)
  }

  /** Part of the transaction around it, where there is one. */
  #write(synchronous: 'FULL' | 'NORMAL', body: () => void): void {
    if (this.#database.isTransaction) return body()
    const bytes = [...this.#bytes]
    try {
      if (synchronous !== this.#synchronous)
        this.#database.exec(`PRAGMA synchronous = ${synchronous}`)
      this.#synchronous = synchronous
      this.#database.exec('BEGIN IMMEDIATE')
      body()
      this.#database.exec('COMMIT')
    } catch (cause) {
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK')
      for (const [stream, before] of bytes) this.#bytes.set(stream, before)
      throw this.#failed(cause)
    }
    if (!this.#fault) return
    this.#fault = undefined
    this.#onFault(undefined)
  }

  #failed(cause: unknown): unknown {
    if (!(cause instanceof Error && 'errcode' in cause)) return cause
    const reason = cause.message
    const fault = new CloudError('CLOUD_STORE', `not written: ${reason}`, { reason, cause })
    const isNews = this.#fault === undefined
    this.#fault = fault
    if (isNews) this.#onFault(fault)
    return fault
  }
}
