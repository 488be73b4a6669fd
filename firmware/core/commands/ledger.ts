/** What commands leave behind for good: counters, results, latches and policies, in a file of their own beside the journal. */

import { chmodSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { z } from 'zod'
import { type CommandStatement, commandSchema } from '#lib/command-statement.ts'
import { coreFault } from '../errors.ts'

/** What is set until it is cleared, across restarts. */
export type Latch =
  | 'locked'
  | 'security-locked'
  | 'retired'
  | 'wiped'
  | 'wiping'
  | 'intake-held'
  | 'held'

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS counters (issuer TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS results (id TEXT PRIMARY KEY, digest TEXT NOT NULL, envelope BLOB) STRICT;
  CREATE TABLE IF NOT EXISTS handed_over (id TEXT PRIMARY KEY, args TEXT NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS latches (name TEXT PRIMARY KEY) STRICT;
  CREATE TABLE IF NOT EXISTS policies (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;`

/** Results kept for a command that comes again: more than any issuer sends within a command's life. */
const RESULTS_KEPT = 10_000

export interface KnownCommand {
  /** SHA-256 of the statement it was first seen with, hex. */
  readonly digest: string
  /** The signed result; null when the core ended between the counter and the result. */
  readonly result: Uint8Array | null
  /** The arguments it was handed over to the courier with; undefined when the core did all of it. */
  readonly handedOver: CommandStatement['args'] | undefined
}

const argsSchema = commandSchema.shape.args
const resultRow = z.object({
  digest: z.string(),
  envelope: z.instanceof(Uint8Array).nullable(),
  args: z.string().nullable(),
})

export class CommandLedger implements Disposable {
  readonly #database: DatabaseSync

  /** @throws CoreError JOURNAL_CORRUPT */
  constructor(path: string) {
    try {
      this.#database = new DatabaseSync(path, { timeout: 2000 })
      chmodSync(path, 0o600)
      this.#database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL')
      this.#database.exec(SCHEMA)
    } catch (error) {
      throw coreFault('JOURNAL_CORRUPT', 'the command ledger cannot be read', error)
    }
  }

  [Symbol.dispose](): void {
    this.#database.close()
  }

  /** The highest counter this issuer has used, 0 before the first. */
  counterOf(issuer: string): number {
    const row = this.#database.prepare('SELECT value FROM counters WHERE issuer = ?').get(issuer)
    return z.object({ value: z.int() }).safeParse(row).data?.value ?? 0
  }

  known(id: string): KnownCommand | undefined {
    const { data } = resultRow.safeParse(
      this.#database
        .prepare(
          'SELECT digest, envelope, args FROM results LEFT JOIN handed_over USING (id) WHERE id = ?',
        )
        .get(id),
    )
    if (!data) return undefined
    const handedOver = data.args === null ? undefined : argsSchema.parse(JSON.parse(data.args))
    return { digest: data.digest, result: data.envelope, handedOver }
  }

  /** Durable before anything is carried out: the counter is used up and the command is known. */
  begin(command: {
    readonly id: string
    readonly issuer: string
    readonly counter: number
    readonly digest: string
  }): void {
    this.#write(() => {
      this.#database
        .prepare(
          'INSERT INTO counters VALUES (?, ?) ON CONFLICT (issuer) DO UPDATE SET value = max(value, excluded.value)',
        )
        .run(command.issuer, command.counter)
      this.#database
        .prepare('INSERT INTO results (id, digest) VALUES (?, ?)')
        .run(command.id, command.digest)
      this.#database
        .prepare(
          'DELETE FROM results WHERE rowid NOT IN (SELECT rowid FROM results ORDER BY rowid DESC LIMIT ?)',
        )
        .run(RESULTS_KEPT)
      this.#database
        .prepare('DELETE FROM handed_over WHERE id NOT IN (SELECT id FROM results)')
        .run()
    })
  }

  /** Durable before it is answered; `handedOver`: the arguments of what the courier has to do. */
  finish(id: string, result: Uint8Array, handedOver?: CommandStatement['args']): void {
    this.#write(() => {
      this.#database.prepare('UPDATE results SET envelope = ? WHERE id = ?').run(result, id)
      if (handedOver)
        this.#database
          .prepare('INSERT OR REPLACE INTO handed_over VALUES (?, ?)')
          .run(id, JSON.stringify(handedOver))
    })
  }

  isSet(latch: Latch): boolean {
    return this.#database.prepare('SELECT 1 FROM latches WHERE name = ?').get(latch) !== undefined
  }

  set(latch: Latch, isSet: boolean): void {
    const sql = isSet
      ? 'INSERT OR IGNORE INTO latches VALUES (?)'
      : 'DELETE FROM latches WHERE name = ?'
    this.#write(() => {
      this.#database.prepare(sql).run(latch)
    })
  }

  policy(name: string): string | undefined {
    const row = this.#database.prepare('SELECT value FROM policies WHERE name = ?').get(name)
    return z.object({ value: z.string() }).safeParse(row).data?.value
  }

  setPolicy(name: string, value: string): void {
    this.#write(() => {
      this.#database
        .prepare(
          'INSERT INTO policies VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value',
        )
        .run(name, value)
    })
  }

  #write(body: () => void): void {
    try {
      this.#database.exec('BEGIN IMMEDIATE')
      body()
      this.#database.exec('COMMIT')
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK')
      throw coreFault('JOURNAL_WRITE', 'the command ledger was not written', error)
    }
  }
}
