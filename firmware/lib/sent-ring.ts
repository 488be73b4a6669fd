/** The exact bytes of the last hour's telemetry: whoever owns the printer can read what left it. */

import { chmodSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { z } from 'zod'

export interface SentMessage {
  readonly atMs: number
  readonly topic: string
  readonly payload: Uint8Array
}

const KEPT_MS = 3_600_000
const KEPT_MESSAGES = 5000
const SCHEMA =
  'CREATE TABLE IF NOT EXISTS sent (at_ms INTEGER NOT NULL, topic TEXT NOT NULL, payload BLOB NOT NULL) STRICT'

export class SentRing implements Disposable {
  readonly #database: DatabaseSync

  constructor(path: string) {
    this.#database = new DatabaseSync(path, { timeout: 2000 })
    chmodSync(path, 0o600)
    this.#database.exec(
      'PRAGMA page_size = 1024; PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF',
    )
    this.#database.exec(SCHEMA)
  }

  [Symbol.dispose](): void {
    this.#database.close()
  }

  add(message: SentMessage): void {
    const { atMs, topic, payload } = message
    this.#database
      .prepare('INSERT INTO sent VALUES (?, ?, ?)')
      .run(Math.trunc(atMs), topic, payload)
    this.#database
      .prepare('DELETE FROM sent WHERE at_ms < ? OR rowid <= (SELECT max(rowid) FROM sent) - ?')
      .run(Math.trunc(atMs) - KEPT_MS, KEPT_MESSAGES)
  }
}

const rowSchema = z.object({ at_ms: z.int(), topic: z.string(), payload: z.instanceof(Uint8Array) })

/** Oldest first, while the courier may be writing. Throws what SQLite says. */
export function readSent(path: string): readonly SentMessage[] {
  const database = new DatabaseSync(path, { readOnly: true, timeout: 2000 })
  try {
    const rows = database.prepare('SELECT * FROM sent ORDER BY rowid').all()
    return rows.map(row => {
      const { at_ms, topic, payload } = rowSchema.parse(row)
      return { atMs: at_ms, topic, payload }
    })
  } finally {
    database.close()
  }
}
