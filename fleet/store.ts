/** What was received, once each: the fleet end's durable truth. Several workers may share the file. */

import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { z } from 'zod'
import type { Stream } from '#cloud'
import { FleetError } from './errors.ts'
import {
  alertRow,
  itemRow,
  type LogRow,
  logRow,
  numberRow,
  OLD_ALERTS,
  OVERVIEW,
  type OverviewRow,
  overviewRow,
  SCHEMA,
} from './store-schema.ts'

export type { LogRow, OverviewRow } from './store-schema.ts'

export interface Alert {
  readonly atMs: number
  readonly code: string
  readonly message: string
}

export interface StoredItem {
  readonly seq: number
  readonly receivedAtMs: number
  readonly value: unknown
}

export interface Batch {
  readonly device: string
  readonly stream: Stream
  readonly firstSeq: number
  readonly bodies: readonly string[]
  readonly lost: readonly [number, number] | undefined
  readonly atMs: number
}

export class FleetStore implements Disposable {
  readonly #database: DatabaseSync
  readonly #statements = new Map<string, StatementSync>()

  /** @throws FleetError FLEET_FILE */
  constructor(path: string) {
    try {
      this.#database = new DatabaseSync(path, { timeout: 10_000 })
      this.#database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL')
      this.#database.exec(SCHEMA)
    } catch (cause) {
      throw new FleetError('FLEET_FILE', 'the store cannot be opened', { cause })
    }
  }

  [Symbol.dispose](): void {
    this.#database.close()
  }

  /** Everything `body` writes, durably, or nothing; no other worker writes meanwhile. */
  transact<T>(body: () => T): T {
    this.#database.exec('BEGIN IMMEDIATE')
    try {
      const result = body()
      this.#database.exec('COMMIT')
      return result
    } catch (error) {
      // Some failures of the disk have rolled it back already.
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK')
      throw error
    }
  }

  /**
   * Stores what is new of a batch, and nothing a second time, even if it was let go of meanwhile; of events, what is not in the proven chain yet may be replaced, so that a forged
   * one never stands in the way of the real one. Returns the highest contiguous number. Call inside a transaction.
   */
  receive(batch: Batch): number {
    const { device, stream, firstSeq, bodies, lost, atMs } = batch
    const before = this.contiguous(device, stream)
    const isEvents = stream === 'evt'
    const settled = isEvents ? (this.log(device)?.size ?? 0) : before
    const insert = this.#prepare(
      `INSERT OR ${isEvents ? 'REPLACE' : 'IGNORE'} INTO items VALUES (?, ?, ?, ?, ?)`,
    )
    for (const [i, body] of bodies.entries())
      if (firstSeq + i > settled) insert.run(device, stream, firstSeq + i, atMs, body)
    if (lost)
      this.#prepare('INSERT OR IGNORE INTO losses VALUES (?, ?, ?, ?)').run(device, stream, ...lost)
    const contiguous = this.#advance(device, stream, before)
    this.#prepare(
      'INSERT INTO streams VALUES (?, ?, ?) ON CONFLICT (device, stream) DO UPDATE SET contiguous = excluded.contiguous',
    ).run(device, stream, contiguous)
    return contiguous
  }

  /** Everything up to this number arrived or was told as lost. */
  contiguous(device: string, stream: Stream): number {
    const row = this.#prepare(
      'SELECT contiguous AS n FROM streams WHERE device = ? AND stream = ?',
    ).get(device, stream)
    return numberRow.safeParse(row).data?.n ?? 0
  }

  items(device: string, stream: Stream, after: number, limit: number): readonly StoredItem[] {
    return this.#prepare(
      'SELECT seq, at_ms, body FROM items WHERE device = ? AND stream = ? AND seq > ? ORDER BY seq LIMIT ?',
    )
      .all(device, stream, after, limit)
      .map(row => {
        const { seq, at_ms, body } = itemRow.parse(row)
        return { seq, receivedAtMs: at_ms, value: JSON.parse(body) as unknown }
      })
  }

  count(device: string, stream: Stream): number {
    const row = this.#prepare(
      'SELECT count(*) AS n FROM items WHERE device = ? AND stream = ?',
    ).get(device, stream)
    return numberRow.parse(row).n
  }

  log(device: string): LogRow | undefined {
    return logRow.safeParse(this.#prepare('SELECT * FROM logs WHERE device = ?').get(device)).data
  }

  setLog(device: string, log: LogRow): void {
    this.#prepare(
      `INSERT INTO logs VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (device) DO UPDATE SET size = excluded.size,
         hash = excluded.hash, edge = excluded.edge, name = excluded.name, key = excluded.key, note = excluded.note,
         proven = excluded.proven`,
    ).run(device, log.size, log.hash, log.edge, log.name, log.key, log.note, log.proven)
  }

  setFact(device: string, name: string, atMs: number, value: unknown): void {
    this.#prepare(
      'INSERT INTO facts VALUES (?, ?, ?, ?) ON CONFLICT (device, name) DO UPDATE SET at_ms = excluded.at_ms, value = excluded.value',
    ).run(device, name, atMs, JSON.stringify(value))
  }

  fact(device: string, name: string): unknown {
    const text = this.factText(device, name)
    return text === undefined ? undefined : (JSON.parse(text) as unknown)
  }

  /** As it is stored: JSON. */
  factText(device: string, name: string): string | undefined {
    const row = this.#prepare('SELECT value FROM facts WHERE device = ? AND name = ?').get(
      device,
      name,
    )
    return z.object({ value: z.string() }).safeParse(row).data?.value
  }

  /** One row a printer that was heard of, in one query: what a list of thousands shows. */
  overview(): readonly OverviewRow[] {
    return this.#prepare(OVERVIEW)
      .all()
      .map(row => overviewRow.parse(row))
  }

  devices(): readonly string[] {
    const rows = this.#prepare('SELECT DISTINCT device FROM facts ORDER BY device').all()
    return rows.map(row => z.object({ device: z.string() }).parse(row).device)
  }

  /** Of each code the newest are kept: whoever floods with one hides no other. */
  alert(device: string, atMs: number, code: string, message: string): void {
    this.#prepare('INSERT INTO alerts (device, at_ms, code, message) VALUES (?, ?, ?, ?)').run(
      device,
      atMs,
      code,
      message,
    )
    this.#prepare(OLD_ALERTS).run(device, code)
  }

  alerts(device: string): readonly Alert[] {
    return this.#prepare('SELECT at_ms, code, message FROM alerts WHERE device = ? ORDER BY id')
      .all(device)
      .map(row => {
        const { at_ms, code, message } = alertRow.parse(row)
        return { atMs: at_ms, code, message }
      })
  }

  /** 0 at first, then one more each time, whoever asks. */
  next(counter: string): number {
    const row = this.#prepare(
      'INSERT INTO counters VALUES (?, 0) ON CONFLICT (name) DO UPDATE SET n = n + 1 RETURNING n',
    ).get(counter)
    return numberRow.parse(row).n
  }

  /** Compiled once: compiling it anew each time cost more than running it. */
  #prepare(sql: string): StatementSync {
    const known = this.#statements.get(sql) ?? this.#database.prepare(sql)
    this.#statements.set(sql, known)
    return known
  }

  #advance(device: string, stream: Stream, from: number): number {
    const nextItem = this.#prepare(
      'SELECT seq AS n FROM items WHERE device = ? AND stream = ? AND seq > ? ORDER BY seq',
    )
    const loss = this.#prepare(
      'SELECT last AS n FROM losses WHERE device = ? AND stream = ? AND first <= ? AND last >= ?',
    )
    let at = from
    for (;;) {
      const before = at
      for (const row of nextItem.iterate(device, stream, at)) {
        const { n } = numberRow.parse(row)
        if (n !== at + 1) break
        at = n
      }
      at = numberRow.safeParse(loss.get(device, stream, at + 1, at + 1)).data?.n ?? at
      if (at === before) return at
    }
  }
}
