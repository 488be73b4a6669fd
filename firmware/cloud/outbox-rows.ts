/** The outbox's SQLite file: rows by stream, transactions, and how many bytes wait. Telemetry has its rows in memory until they have to be kept. */

import { chmodSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { z } from 'zod'
import { STREAMS, type Stream } from './wire.ts'

export interface OutboxItem {
  readonly seq: number
  readonly body: Uint8Array
}

/** Consecutive items, and the numbers right before them that were dropped and will never come. */
export interface OutboxSlice {
  readonly items: readonly OutboxItem[]
  readonly lost: readonly [number, number] | undefined
}

type Place = 'main' | 'memory'

const tablesIn = (place: Place) => `
  CREATE TABLE IF NOT EXISTS ${place}.items (
    stream TEXT NOT NULL, seq INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (stream, seq)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS ${place}.streams (
    name TEXT PRIMARY KEY, last INTEGER NOT NULL, acked INTEGER NOT NULL, thinned INTEGER NOT NULL
  ) STRICT;`
const SCHEMA = `${tablesIn('main')}
  CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
  ATTACH ':memory:' AS memory;
  ${tablesIn('memory')}`
/** Rows of WITHOUT ROWID tables carry their key: what an item takes besides its body. */
const ROW_BYTES = 24
const BUSY_TIMEOUT_MS = 2000

/** Where new items of a stream and its numbers are. */
const placeOf = (stream: Stream): Place => (stream === 'tele' ? 'memory' : 'main')
/** Where it has items; older ones first. */
const placesOf = (stream: Stream): readonly Place[] =>
  stream === 'tele' ? ['main', 'memory'] : ['main']

const streamRow = z.object({ last: z.int(), acked: z.int(), thinned: z.int() })
const itemRow = z.object({ seq: z.int(), body: z.instanceof(Uint8Array) })
const numberRow = z.object({ n: z.int().nullable() })

/** Throws what SQLite says. */
export class OutboxRows implements Disposable {
  readonly #database: DatabaseSync
  readonly #bytes = new Map<Stream, number>()
  #synchronous = 'FULL'

  constructor(path: string) {
    this.#database = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS })
    chmodSync(path, 0o600)
    // Pages of a new file are small: each that changes is written whole, to flash.
    this.#database.exec(
      'PRAGMA page_size = 1024; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL',
    )
    this.#database.exec(SCHEMA)
    for (const stream of STREAMS) this.#openStream(stream)
  }

  [Symbol.dispose](): void {
    this.#database.close()
  }

  /** All that `body` writes, or none of it; with NORMAL a power cut may lose it. Part of the transaction around it, where there is one. */
  transact(synchronous: 'FULL' | 'NORMAL', body: () => void): void {
    if (this.#database.isTransaction) return body()
    const bytes = [...this.#bytes]
    try {
      if (synchronous !== this.#synchronous)
        this.#database.exec(`PRAGMA synchronous = ${synchronous}`)
      this.#synchronous = synchronous
      this.#database.exec('BEGIN IMMEDIATE')
      body()
      this.#database.exec('COMMIT')
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK')
      for (const [stream, before] of bytes) this.#bytes.set(stream, before)
      throw error
    }
  }

  get isTransaction(): boolean {
    return this.#database.isTransaction
  }

  bytesOf(stream: Stream): number {
    return this.#bytes.get(stream) ?? 0
  }

  /** Of telemetry. */
  get bytesInMemory(): number {
    return this.#sum('memory', 'tele', 'true')
  }

  stream(stream: Stream): z.infer<typeof streamRow> {
    return streamRow.parse(
      this.#database
        .prepare(`SELECT last, acked, thinned FROM ${placeOf(stream)}.streams WHERE name = ?`)
        .get(stream),
    )
  }

  set(stream: Stream, column: 'last' | 'acked' | 'thinned', value: number): void {
    this.#database
      .prepare(`UPDATE ${placeOf(stream)}.streams SET ${column} = ? WHERE name = ?`)
      .run(value, stream)
  }

  insert(stream: Stream, items: readonly OutboxItem[]): void {
    const last = items.at(-1)
    if (!last) return
    const insert = this.#database.prepare(`INSERT INTO ${placeOf(stream)}.items VALUES (?, ?, ?)`)
    for (const { seq, body } of items) insert.run(stream, seq, body)
    this.set(stream, 'last', last.seq)
    const added = items.reduce((sum, { body }) => sum + body.length + ROW_BYTES, 0)
    this.#bytes.set(stream, this.bytesOf(stream) + added)
  }

  /** `where`: an SQL condition on `seq`. */
  delete(stream: Stream, where: string, ...parameters: readonly number[]): void {
    for (const place of placesOf(stream)) {
      const removed = this.#sum(place, stream, where, ...parameters)
      this.#database
        .prepare(`DELETE FROM ${place}.items WHERE stream = ? AND ${where}`)
        .run(stream, ...parameters)
      this.#bytes.set(stream, this.bytesOf(stream) - removed)
    }
  }

  /** See `Outbox.read`. */
  read(stream: Stream, after: number, maxItems: number, maxBytes: number): OutboxSlice {
    const items: OutboxItem[] = []
    let bytes = 0
    for (const row of this.#rows(stream, after, maxItems)) {
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

  /** Telemetry and its numbers go to disk; after a restart they go on after `last`. */
  keepTelemetry(last: number): void {
    this.#database.exec(
      'INSERT INTO main.items SELECT * FROM memory.items; DELETE FROM memory.items',
    )
    this.keepNumbers(last)
  }

  /** As {@link keepTelemetry}, without the items. */
  keepNumbers(last: number): void {
    this.#database
      .prepare(
        `UPDATE main.streams SET (last, acked, thinned) = (SELECT ?, acked, thinned FROM memory.streams)
         WHERE name = 'tele'`,
      )
      .run(last)
  }

  fact(name: string): string | undefined {
    const row = this.#database.prepare('SELECT value FROM facts WHERE name = ?').get(name)
    return z.object({ value: z.string() }).safeParse(row).data?.value
  }

  setFact(name: string, value: string): void {
    this.#database
      .prepare(
        'INSERT INTO facts VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value',
      )
      .run(name, value)
  }

  #openStream(stream: Stream): void {
    this.#database.prepare('INSERT OR IGNORE INTO main.streams VALUES (?, 0, 0, 0)').run(stream)
    if (placeOf(stream) === 'memory')
      this.#database
        .prepare('INSERT INTO memory.streams SELECT * FROM main.streams WHERE name = ?')
        .run(stream)
    this.#bytes.set(stream, this.#sum('main', stream, 'true'))
  }

  #rows(stream: Stream, after: number, maxItems: number): Iterable<unknown> {
    const all = placesOf(stream).map(place => `SELECT * FROM ${place}.items`)
    return this.#database
      .prepare(
        `SELECT seq, body FROM (${all.join(' UNION ALL ')}) WHERE stream = ? AND seq > ? ORDER BY seq LIMIT ?`,
      )
      .iterate(stream, after, maxItems)
  }

  #sum(place: Place, stream: Stream, where: string, ...parameters: readonly number[]): number {
    const row = this.#database
      .prepare(
        `SELECT sum(length(body) + ${ROW_BYTES}) AS n FROM ${place}.items WHERE stream = ? AND ${where}`,
      )
      .get(stream, ...parameters)
    return numberRow.parse(row).n ?? 0
  }
}
