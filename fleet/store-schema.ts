/** The tables of the store, the longer questions asked of them, and what a row is. */

import { z } from 'zod'

export const SCHEMA = `
  CREATE TABLE IF NOT EXISTS items (
    device TEXT NOT NULL, stream TEXT NOT NULL, seq INTEGER NOT NULL, at_ms INTEGER NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (device, stream, seq)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS streams (
    device TEXT NOT NULL, stream TEXT NOT NULL, contiguous INTEGER NOT NULL, PRIMARY KEY (device, stream)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS losses (
    device TEXT NOT NULL, stream TEXT NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
    PRIMARY KEY (device, stream, first)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS logs (
    device TEXT PRIMARY KEY, size INTEGER NOT NULL, hash BLOB NOT NULL, edge BLOB NOT NULL,
    name TEXT, key TEXT, note TEXT, proven INTEGER NOT NULL DEFAULT 0
  ) STRICT;
  CREATE TABLE IF NOT EXISTS facts (
    device TEXT NOT NULL, name TEXT NOT NULL, at_ms INTEGER NOT NULL, value TEXT NOT NULL, PRIMARY KEY (device, name)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS alerts (
    id INTEGER PRIMARY KEY, device TEXT NOT NULL, at_ms INTEGER NOT NULL, code TEXT NOT NULL, message TEXT NOT NULL
  ) STRICT;
  CREATE INDEX IF NOT EXISTS alerts_by_code ON alerts (device, code);
  CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, n INTEGER NOT NULL) STRICT, WITHOUT ROWID;`

export const numberRow = z.object({ n: z.int() })
export const itemRow = z.object({ seq: z.int(), at_ms: z.int(), body: z.string() })
export const alertRow = z.object({ at_ms: z.int(), code: z.string(), message: z.string() })
export const logRow = z.object({
  size: z.int(),
  hash: z.instanceof(Uint8Array),
  edge: z.instanceof(Uint8Array),
  name: z.string().nullable(),
  key: z.string().nullable(),
  note: z.string().nullable(),
  proven: z.int(),
})
/** Chain up to `size`; tree and signed head up to `proven`. */
export type LogRow = Readonly<Omit<z.infer<typeof logRow>, 'hash' | 'edge'>> & {
  readonly hash: Uint8Array
  readonly edge: Uint8Array
}

export const OVERVIEW = `
  SELECT f.device AS device, f.value AS state, coalesce(s.contiguous, 0) AS events, coalesce(l.proven, 0) AS proven,
    coalesce((SELECT contiguous FROM streams t WHERE t.device = f.device AND t.stream = 'tele'), 0) AS batches,
    (SELECT count(*) FROM alerts a WHERE a.device = f.device) AS alerts
  FROM facts f LEFT JOIN streams s ON s.device = f.device AND s.stream = 'evt' LEFT JOIN logs l ON l.device = f.device
  WHERE f.name = 'state' ORDER BY f.device`
export const overviewRow = z.object({
  device: z.string(),
  /** JSON of the retained state. */
  state: z.string(),
  events: z.int(),
  proven: z.int(),
  /** Of telemetry, by number. */
  batches: z.int(),
  alerts: z.int(),
})
export type OverviewRow = Readonly<z.infer<typeof overviewRow>>

const ALERTS_KEPT = 200
export const OLD_ALERTS = `
  DELETE FROM alerts WHERE device = ?1 AND code = ?2 AND id <=
    (SELECT id FROM alerts WHERE device = ?1 AND code = ?2 ORDER BY id DESC LIMIT 1 OFFSET ${ALERTS_KEPT})`
