/** A stretch of the event log that proves itself: its entries, the chain hashes before and after, signed by the log's key. Pure. */

import { hash } from 'node:crypto'
import { deflateRawSync, inflateRawSync } from 'node:zlib'
import { z } from 'zod'
import type { EventView } from './control-protocol.ts'
import { type DsseSigner, type DsseVerifier, signStatement, verifyStatement } from './dsse.ts'
import { CHAIN_START, canonicalEntry, entryOfView } from './event-chain.ts'

const SEGMENT_TYPE = 'application/vnd.mpf.log-segment+json'
/** Entries of one segment: its envelope stays below what an envelope may have. */
export const SEGMENT_ENTRIES = 64
const MAX_INFLATED_BYTES = 1024 * 1024

const hexHash = z.string().regex(/^[0-9a-f]{64}$/)
const statementSchema = z.strictObject({
  v: z.literal(1),
  /** The log's name: one printer's. */
  log: z.string().max(128),
  from: z.int().min(1),
  to: z.int().min(1),
  /** Chain hash of the entry before `from`, and of `to`. */
  before: hexHash,
  after: hexHash,
  /** Canonical entries, a line each, deflated, base64. */
  entries: z.base64(),
})

export interface LogSegment {
  readonly log: string
  readonly from: number
  readonly to: number
  readonly before: string
  readonly after: string
  /** Canonical texts, as they are hashed. */
  readonly entries: readonly string[]
}

/** `previous`: the event right before the first, none for the log's first. `events`: consecutive, at least one. */
export function signSegment(
  log: string,
  previous: EventView | undefined,
  events: readonly [EventView, ...EventView[]],
  signer: DsseSigner,
): Uint8Array {
  const last = events.at(-1) ?? events[0]
  const text = events.map(event => canonicalEntry(entryOfView(event))).join('\n')
  const statement: z.infer<typeof statementSchema> = {
    ...{ v: 1, log, from: events[0].sequence, to: last.sequence },
    before: previous?.hash ?? Buffer.from(CHAIN_START).toString('hex'),
    after: last.hash,
    entries: deflateRawSync(text).toString('base64'),
  }
  return signStatement(SEGMENT_TYPE, statement, [signer])
}

/** Signature, form and chain; undefined when any of them is not right. */
export function openSegment(envelope: Uint8Array, key: DsseVerifier): LogSegment | undefined {
  const verdict = verifyStatement(envelope, SEGMENT_TYPE, () => key)
  if (verdict.kind === 'refused') return undefined
  const { data } = statementSchema.safeParse(verdict.statement)
  const text = data && inflate(data.entries)
  if (!data || text === undefined) return undefined
  const entries = text.split('\n')
  let chained: Buffer = Buffer.from(data.before, 'hex')
  for (const [index, entry] of entries.entries()) {
    if (!entry.startsWith(`[${data.from + index},`)) return undefined
    chained = hash('sha256', Buffer.concat([chained, Buffer.from(entry)]), 'buffer')
  }
  const isWhole = entries.length === data.to - data.from + 1
  return isWhole && chained.toString('hex') === data.after ? { ...data, entries } : undefined
}

function inflate(text: string): string | undefined {
  try {
    const options = { maxOutputLength: MAX_INFLATED_BYTES }
    return inflateRawSync(Buffer.from(text, 'base64'), options).toString('utf8')
  } catch {
    return undefined
  }
}
