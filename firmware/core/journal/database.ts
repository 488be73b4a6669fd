/** The journal's SQLite file: opened, checked, brought up to date, and written in durable transactions. */

import { chmodSync } from 'node:fs'
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { CoreError, coreFault } from '../errors.ts'

/** 'mpfJ': tells a journal from any other SQLite file. */
const APPLICATION_ID = 0x6d_70_66_4a
const BUSY_TIMEOUT_MS = 2000
const PRIVATE_MODE = 0o600
/** A frame of this size dirties 1.3 pages of 4 KiB in the mean, one of 4096 two; smaller ones cost an event a fifth more CPU time. */
export const PAGE_BYTES = 1024

/** Each brings the schema from version i to i + 1. Never edited once released: add another. */
const MIGRATIONS = [
  `CREATE TABLE jobs (
     id TEXT PRIMARY KEY,
     arrival INTEGER NOT NULL UNIQUE,
     name TEXT NOT NULL,
     state TEXT NOT NULL,
     origin TEXT NOT NULL,
     size_bytes INTEGER NOT NULL,
     sha256 TEXT NOT NULL,
     file_id TEXT,
     manifest_digest TEXT,
     title TEXT,
     grant_id TEXT,
     uses_granted INTEGER,
     lines INTEGER NOT NULL DEFAULT 0,
     layers INTEGER NOT NULL DEFAULT 0,
     received_at_ms INTEGER NOT NULL,
     started_at_ms INTEGER,
     ended_at_ms INTEGER,
     code TEXT,
     message TEXT
   ) STRICT;
   CREATE INDEX jobs_by_state ON jobs (state);
   CREATE TABLE uses (
     grant_id TEXT NOT NULL,
     use INTEGER NOT NULL,
     job TEXT NOT NULL UNIQUE REFERENCES jobs (id),
     at_ms INTEGER NOT NULL,
     PRIMARY KEY (grant_id, use)
   ) STRICT;
   CREATE TABLE events (
     sequence INTEGER PRIMARY KEY AUTOINCREMENT,
     at_ms INTEGER NOT NULL,
     clock TEXT NOT NULL,
     type TEXT NOT NULL,
     severity TEXT NOT NULL,
     job TEXT,
     code TEXT,
     message TEXT NOT NULL,
     detail TEXT NOT NULL,
     hash BLOB NOT NULL
   ) STRICT;
   CREATE TABLE floors (
     kind TEXT NOT NULL,
     key TEXT NOT NULL,
     value INTEGER NOT NULL,
     PRIMARY KEY (kind, key)
   ) STRICT;
   CREATE TABLE progress (
     job TEXT PRIMARY KEY REFERENCES jobs (id),
     acked_line INTEGER NOT NULL
   ) STRICT;
   CREATE TABLE sightings (
     key TEXT PRIMARY KEY,
     at_ms INTEGER NOT NULL
   ) STRICT;`,
  `ALTER TABLE progress ADD COLUMN boot TEXT;`,
  // A sealed title stays sealed: it is known from the open file, in memory.
  `UPDATE jobs SET title = NULL; ALTER TABLE jobs DROP COLUMN title;`,
] as const

/** Where a transaction stands; tests end the process at each of these to prove nothing is half done. */
export type JournalStep = 'begun' | 'written' | 'committed' | 'checkpointed'

export interface JournalObserver {
  step(step: JournalStep): void
}

/**
 * Opens (or makes) the journal at `path`.
 * @throws CoreError JOURNAL_IN_USE, JOURNAL_FOREIGN for another program's file or a newer schema, JOURNAL_CORRUPT when the check fails.
 */
export function openDatabase(path: string): DatabaseSync {
  let database: DatabaseSync | undefined
  try {
    database = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS })
    chmodSync(path, PRIVATE_MODE)
    // One core a journal: a second one would take the first one's running print for an interrupted one.
    database.exec('PRAGMA locking_mode = EXCLUSIVE')
    checkIdentity(database)
    // A commit writes a frame of the log for each page it changes: of a new file they are small, for the flash below.
    database.exec(`PRAGMA page_size = ${PAGE_BYTES}`)
    // WAL + FULL: a commit returns after the fsync of its record; a power cut loses nothing that was answered.
    database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON')
    checkIntegrity(database)
    migrate(database)
    return database
  } catch (error) {
    database?.close()
    if (error instanceof CoreError) throw error
    if (isBusy(error)) throw coreFault('JOURNAL_IN_USE', 'another core holds the journal', error)
    throw coreFault('JOURNAL_CORRUPT', 'the journal cannot be read', error)
  }
}

const prepared = new WeakMap<DatabaseSync, Map<string, StatementSync>>()

/** The statement, compiled once for a connection: compiling it anew each time cost more than running it. */
export function statement(database: DatabaseSync, sql: string): StatementSync {
  const statements = prepared.get(database) ?? new Map<string, StatementSync>()
  prepared.set(database, statements)
  const known = statements.get(sql) ?? database.prepare(sql)
  statements.set(sql, known)
  return known
}

/**
 * One durable transaction: everything `body` wrote, or nothing.
 * @throws what `body` throws of ours; CoreError JOURNAL_WRITE for anything else.
 */
export function transact<T>(
  database: DatabaseSync,
  observer: JournalObserver | undefined,
  body: () => T,
): T {
  try {
    statement(database, 'BEGIN IMMEDIATE').run()
    observer?.step('begun')
    const result = body()
    observer?.step('written')
    statement(database, 'COMMIT').run()
    observer?.step('committed')
    return result
  } catch (error) {
    if (database.isTransaction) database.exec('ROLLBACK')
    if (error instanceof Error && 'errcode' in error)
      throw coreFault('JOURNAL_WRITE', `the record was not made durable (${error.message})`, error)
    throw error
  }
}

/** As `transact`, but returns before it is durable: WriteAhead makes it so. Only between other transactions. */
export function transactAhead(database: DatabaseSync, body: () => void): void {
  database.exec('PRAGMA synchronous = NORMAL')
  try {
    transact(database, undefined, body)
  } finally {
    database.exec('PRAGMA synchronous = FULL')
  }
}

/** SQLITE_BUSY, alone or in the low byte of an extended code. */
function isBusy(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && (Number(error.errcode) & 0xff) === 5
}

/** The one value of a `PRAGMA name` or `SELECT` of one cell. */
function cell(database: DatabaseSync, sql: string): unknown {
  return Object.values(database.prepare(sql).get() ?? {})[0]
}

function checkIdentity(database: DatabaseSync): void {
  const application = cell(database, 'PRAGMA application_id')
  const version = Number(cell(database, 'PRAGMA user_version'))
  const isEmpty = cell(database, 'SELECT count(*) FROM sqlite_schema') === 0
  if (isEmpty && application === 0 && version === 0) return
  if (application !== APPLICATION_ID)
    throw new CoreError('JOURNAL_FOREIGN', 'the file is not a journal of this program')
  if (version > MIGRATIONS.length)
    throw new CoreError(
      'JOURNAL_FOREIGN',
      `the journal has version ${version}, this program knows ${MIGRATIONS.length}`,
    )
}

function checkIntegrity(database: DatabaseSync): void {
  const result = cell(database, 'PRAGMA quick_check(1)')
  if (result !== 'ok') throw new CoreError('JOURNAL_CORRUPT', 'the journal fails its own check')
}

function migrate(database: DatabaseSync): void {
  const version = Number(cell(database, 'PRAGMA user_version'))
  for (const [index, sql] of MIGRATIONS.entries()) {
    if (index < version) continue
    transact(database, undefined, () => {
      database.exec(sql)
      database.exec(`PRAGMA application_id = ${APPLICATION_ID}`)
      database.exec(`PRAGMA user_version = ${index + 1}`)
    })
  }
}
