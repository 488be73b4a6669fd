/** Values that only ever rise: guards against old revisions, old grants and old clocks. */

import type { DatabaseSync } from 'node:sqlite'
import { z } from 'zod'
import { statement } from './database.ts'

const valueRow = z.object({ value: z.int() })

export type FloorKind = 'manifest-sequence' | 'grant-epoch' | 'trusted-time' | 'trust-epoch'

export interface Floor {
  readonly kind: FloorKind
  readonly key: string
  readonly value: number
}

/** The stored floor, 0 when none was raised. */
export function readFloor(database: DatabaseSync, kind: FloorKind, key: string): number {
  const row = statement(database, 'SELECT value FROM floors WHERE kind = ? AND key = ?').get(
    kind,
    key,
  )
  return valueRow.safeParse(row).data?.value ?? 0
}

/** Raises a floor; a lower value changes nothing. Call inside a transaction. */
export function raiseFloor(database: DatabaseSync, floor: Floor): void {
  statement(
    database,
    `INSERT INTO floors (kind, key, value) VALUES (?, ?, ?)
       ON CONFLICT (kind, key) DO UPDATE SET value = max(value, excluded.value)`,
  ).run(floor.kind, floor.key, floor.value)
}
