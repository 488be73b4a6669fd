/** What an event's hash covers: the one canonical encoding of an entry, chained to the entry before. Pure; both ends recompute it. */

import { hash } from 'node:crypto'

/** One entry as stored. `detail` is the stored JSON text itself, so that verification parses nothing. */
export interface ChainedEntry {
  readonly sequence: number
  readonly atMs: number
  readonly clock: string
  readonly type: string
  readonly severity: string
  readonly job: string | null
  readonly code: string | null
  readonly message: string
  readonly detail: string
}

/** The hash before the first entry. */
export const CHAIN_START = new Uint8Array(32)

/**
 * The entry as a JSON array in fixed order: what is hashed, and the leaf of the log's Merkle tree. Detail stands as its
 * SHA-256, so that the entry can leave the printer while a name in its detail does not.
 */
export function canonicalEntry(entry: ChainedEntry): string {
  return JSON.stringify([
    entry.sequence,
    entry.atMs,
    entry.clock,
    entry.type,
    entry.severity,
    entry.job,
    entry.code,
    entry.message,
    detailDigest(entry.detail),
  ])
}

/** SHA-256 of the stored detail, hex. */
export function detailDigest(detail: string): string {
  return hash('sha256', detail, 'hex')
}

/** SHA-256 over the previous hash and the entry's canonical text. */
export function chainHash(previous: Uint8Array, entry: ChainedEntry): Uint8Array {
  return hash('sha256', Buffer.concat([previous, Buffer.from(canonicalEntry(entry))]), 'buffer')
}

/** Detail as stored: members in code-unit order, so that equal details are equal bytes. */
export function canonicalDetail(detail: Readonly<Record<string, unknown>>): string {
  const sorted = Object.keys(detail).sort((a, b) => (a < b ? -1 : 1))
  return JSON.stringify(Object.fromEntries(sorted.map(key => [key, detail[key]])))
}

/** The entry behind an event as it is shown on the control socket. */
export function entryOfView(view: {
  readonly sequence: number
  readonly atMs: number
  readonly clock?: string
  readonly type: string
  readonly severity: string
  readonly job: string | null
  readonly code: string | null
  readonly message: string
  readonly detail: Readonly<Record<string, unknown>>
}): ChainedEntry {
  return { ...view, clock: view.clock ?? '', detail: canonicalDetail(view.detail) }
}
