/** Which files of which sticks were dealt with: remembered over a restart, so that none is taken twice. */

import type { DatabaseSync } from 'node:sqlite'
import { statement } from './database.ts'

/** More files than any stick holds, so that the table stays small. */
const KEPT = 10_000

export function wasSighted(database: DatabaseSync, sighting: string): boolean {
  return statement(database, 'SELECT 1 FROM sightings WHERE key = ?').get(sighting) !== undefined
}

/** Call inside a transaction. */
export function keepSighting(database: DatabaseSync, sighting: string, atMs: number): void {
  statement(database, 'INSERT OR IGNORE INTO sightings (key, at_ms) VALUES (?, ?)').run(
    sighting,
    atMs,
  )
  statement(
    database,
    'DELETE FROM sightings WHERE rowid NOT IN (SELECT rowid FROM sightings ORDER BY rowid DESC LIMIT ?)',
  ).run(KEPT)
}

/** Call inside a transaction. */
export function dropSighting(database: DatabaseSync, sighting: string): void {
  statement(database, 'DELETE FROM sightings WHERE key = ?').run(sighting)
}
