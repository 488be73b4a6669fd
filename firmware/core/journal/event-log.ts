/** The event log inside the journal: appended within the caller's transaction, numbered, chained, verifiable. */

import type { DatabaseSync } from 'node:sqlite'
import { setImmediate as yieldToOthers } from 'node:timers/promises'
import { z } from 'zod'
import type { EventView } from '#lib/control-protocol.ts'
import { statement } from './database.ts'
import { EVENTS, type EventEntry } from './events.ts'
import { CHAIN_START, type ChainedEntry, canonicalDetail, chainHash } from './hash-chain.ts'

const headSchema = z.object({ seq: z.int().nullable(), hash: z.instanceof(Uint8Array).nullable() })

/** Wall time of a record and how far it can be believed. */
export interface TimeStamp {
  readonly atMs: number
  readonly quality: 'rtc' | 'floor' | 'unconfirmed'
  /** What the floor of trusted time may be raised to; left out: `atMs`. */
  readonly floorMs?: number
}

/** What `verify` found. `brokenAt` is the first sequence number that does not follow from the one before. */
export interface ChainVerdict {
  readonly entries: number
  readonly isIntact: boolean
  readonly brokenAt: number | null
}

/** Entries verified before other work gets its turn: a long log must not stall a running print. */
const VERIFY_SLICE = 64
const COLUMNS = 'sequence, at_ms, clock, type, severity, job, code, message, detail, hash'

const SELECTED = COLUMNS.replace('at_ms', 'at_ms AS atMs')

const rowSchema = z.object({
  sequence: z.int(),
  atMs: z.int(),
  clock: z.string(),
  type: z.string(),
  severity: z.enum(['info', 'notice', 'warning', 'error', 'critical']),
  job: z.string().nullable(),
  code: z.string().nullable(),
  message: z.string(),
  detail: z.string(),
  hash: z.instanceof(Uint8Array),
})
const rowsSchema = z.array(rowSchema)
const detailSchema = z.record(z.string(), z.unknown())

type EventRow = ChainedEntry & Pick<EventView, 'severity'> & { readonly hash: Uint8Array }

export class EventLog {
  readonly #database: DatabaseSync

  constructor(database: DatabaseSync) {
    this.#database = database
  }

  /** Writes one entry. Call inside a transaction: the number and the hash depend on the entry before. */
  append(entry: EventEntry, stamp: TimeStamp): EventView {
    const head = this.#head()
    const chained: Omit<EventRow, 'hash'> = {
      sequence: head.highestEver + 1,
      atMs: Math.trunc(stamp.atMs),
      clock: stamp.quality,
      type: entry.type,
      severity: EVENTS[entry.type].severity,
      job: entry.job ?? null,
      code: entry.code ?? null,
      // A lone surrogate would not come back from the database as it went in, and break the chain.
      message: entry.message.toWellFormed(),
      detail: canonicalDetail(entry.detail ?? {}),
    }
    const row = { ...chained, hash: chainHash(head.hash, chained) }
    statement(
      this.#database,
      `INSERT INTO events (${COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    ).run(
      row.sequence,
      row.atMs,
      row.clock,
      row.type,
      row.severity,
      row.job,
      row.code,
      row.message,
      row.detail,
      row.hash,
    )
    return viewOf(row)
  }

  /** At most `limit` entries after sequence number `after`, oldest first. */
  list(after: number, limit: number): readonly EventView[] {
    return this.#rows('WHERE sequence > ? ORDER BY sequence LIMIT ?', after, limit).map(viewOf)
  }

  /** The number of the newest entry, 0 when there is none. */
  lastSequence(): number {
    return this.#rows('ORDER BY sequence DESC LIMIT 1')[0]?.sequence ?? 0
  }

  /** Recomputes the whole chain a slice at a time; stops at the first break. Rejects with `signal.reason`. */
  async verify(signal: AbortSignal): Promise<ChainVerdict> {
    const { highestEver } = this.#head()
    let hash: Uint8Array = CHAIN_START
    let entries = 0
    for (let after = 0; ; ) {
      signal.throwIfAborted()
      const rows = this.#rows('WHERE sequence > ? ORDER BY sequence LIMIT ?', after, VERIFY_SLICE)
      for (const row of rows) {
        const isNext = row.sequence === entries + 1
        if (!isNext || !Buffer.from(chainHash(hash, row)).equals(row.hash))
          return { entries, isIntact: false, brokenAt: entries + 1 }
        hash = row.hash
        entries += 1
        after = row.sequence
      }
      if (rows.length < VERIFY_SLICE) break
      await yieldToOthers()
    }
    // A cut-off tail leaves a good chain; the counter SQLite keeps beside it tells.
    if (entries < highestEver) return { entries, isIntact: false, brokenAt: entries + 1 }
    return { entries, isIntact: true, brokenAt: null }
  }

  /** The newest hash, and AUTOINCREMENT's own memory, not the last row: a number is never given twice, even after tampering. */
  #head(): { readonly highestEver: number; readonly hash: Uint8Array } {
    const row = statement(
      this.#database,
      `SELECT (SELECT seq FROM sqlite_sequence WHERE name = 'events') AS seq,
         (SELECT hash FROM events ORDER BY sequence DESC LIMIT 1) AS hash`,
    ).get()
    const { seq, hash } = headSchema.parse(row)
    return { highestEver: seq ?? 0, hash: hash ?? CHAIN_START }
  }

  #rows(tail: string, ...parameters: readonly number[]): readonly EventRow[] {
    const rows = statement(this.#database, `SELECT ${SELECTED} FROM events ${tail}`).all(
      ...parameters,
    )
    return rowsSchema.parse(rows)
  }
}

function viewOf(row: EventRow): EventView {
  return {
    sequence: row.sequence,
    atMs: row.atMs,
    type: row.type,
    severity: row.severity,
    job: row.job,
    code: row.code,
    message: row.message,
    detail: detailSchema.parse(JSON.parse(row.detail)),
    hash: Buffer.from(row.hash).toString('hex'),
    clock: row.clock,
  }
}
