/** The proof that a printer's log is whole: every record says what its event says, follows from the one before, and is under the signed head. */

import { createHash, createPublicKey, type KeyObject } from 'node:crypto'
import { z } from 'zod'
import { type OcsfRecord, ocsfRecord } from '#cloud'
import { type Checkpoint, cosign, openCheckpoint } from '#lib/checkpoint.ts'
import { CHAIN_START } from '#lib/event-chain.ts'
import { CompactTree, leafHash } from '#lib/merkle.ts'
import { FleetError } from './errors.ts'
import type { FleetStore, LogRow } from './store.ts'

const recordSchema = z.looseObject({
  metadata: z.looseObject({
    sequence: z.int(),
    tenant_uid: z.string(),
    product: z.looseObject({ version: z.string() }),
  }),
  device: z.looseObject({ uid: z.string(), model: z.string() }),
  unmapped: z.looseObject({
    entry: z.string(),
    hash: z.string().regex(/^[0-9a-f]{64}$/),
    detail: z.record(z.string(), z.unknown()),
  }),
})

const entrySchema = z.tuple([
  z.int().min(1),
  z.int(),
  z.string(),
  z.string(),
  z.enum(['info', 'notice', 'warning', 'error', 'critical']),
  z.string().nullable(),
  z.string().nullable(),
  z.string(),
  z.string(),
])

const NEW_LOG: LogRow = {
  size: 0,
  hash: CHAIN_START,
  edge: new Uint8Array(),
  name: null,
  key: null,
  note: null,
  proven: 0,
}

/** The state of a printer's log at the fleet end, before anything came: empty. */
export function logOf(store: FleetStore, device: string): LogRow {
  return store.log(device) ?? NEW_LOG
}

/**
 * Takes the contiguous records after the log's size into the chain. Call inside a transaction.
 * @throws FleetError FLEET_CHAIN_BROKEN, FLEET_RECORD_DIFFERS: nothing after the break is taken
 */
export function extendLog(log: LogRow, device: string, records: readonly unknown[]): LogRow {
  let { hash, size } = log
  for (const value of records) {
    const record = expectRecord(value, device, size + 1)
    const { entry } = record.unmapped
    hash = createHash('sha256').update(hash).update(entry, 'utf8').digest()
    size += 1
    if (Buffer.from(hash).toString('hex') !== record.unmapped.hash)
      throw new FleetError('FLEET_CHAIN_BROKEN', `event ${size} does not follow`)
  }
  return { ...log, size, hash }
}

/** The record is exactly what the mapping makes of its entry: the courier cannot tell another story than the core. @throws FleetError FLEET_RECORD_DIFFERS */
export function expectRecord(value: unknown, device: string, sequence: number): OcsfRecord {
  const differs = (what: string) =>
    new FleetError('FLEET_RECORD_DIFFERS', `record ${sequence}: ${what}`)
  const record = recordSchema.safeParse(value).data
  if (!record) throw differs('not a record')
  const entry = entrySchema.safeParse(parseJson(record.unmapped.entry)).data
  if (!entry) throw differs('not an entry')
  const [number, atMs, clock, type, severity, job, code, message] = entry
  if (number !== sequence || record.device.uid !== device)
    throw differs('another number or printer')
  const { hash, detail } = record.unmapped
  const made = ocsfRecord(
    { sequence, atMs, clock, type, severity, job, code, message, detail, hash },
    {
      serial: device,
      tenant: record.metadata.tenant_uid,
      model: record.device.model,
      version: record.metadata.product.version,
    },
  )
  // A name stays at the printer, so that the detail of these is not what the entry's digest covers.
  const hasName = type.startsWith('intake.') || type === 'grant.refused'
  if (!hasName && made.unmapped.entry !== record.unmapped.entry) throw differs('another detail')
  const text = JSON.stringify({
    ...made,
    unmapped: { ...made.unmapped, entry: record.unmapped.entry },
  })
  if (text !== JSON.stringify(value)) throw differs('not what its entry says')
  return record as unknown as OcsfRecord
}

export interface Head {
  readonly size: number
  readonly note: string
  readonly name: string
  readonly publicKey: string
}

/** What the fleet end found about a signed head; 'waiting' when its events have not all come. */
export type HeadVerdict =
  | { readonly kind: 'proven'; readonly log: LogRow; readonly line: string }
  | { readonly kind: 'waiting' }
  | { readonly kind: 'known' }

/** The signer's key is pinned by its first head; every later one must verify under it. @throws FleetError FLEET_CHECKPOINT */
export function openHead(log: LogRow, head: Head): Checkpoint {
  if (log.key !== null && (head.publicKey !== log.key || head.name !== log.name))
    throw new FleetError('FLEET_CHECKPOINT', 'signed by another key than before')
  const key = createPublicKey(head.publicKey)
  const checkpoint = openCheckpoint(head.note, { name: head.name, key })
  if (!checkpoint || checkpoint.origin !== head.name || checkpoint.size !== head.size)
    throw new FleetError('FLEET_CHECKPOINT', 'the head does not verify')
  return checkpoint
}

/**
 * Compares a signed head with the tree over the records received: equal roots prove that nothing is missing, changed or
 * put in between, and that it only grew since the last proven head. Cosigns as witness (C2SP tlog-cosignature).
 * @param entries the entry texts after `log.proven`, in order
 * @throws FleetError FLEET_CHECKPOINT
 */
export function proveHead(
  log: LogRow,
  head: Head,
  entries: Iterable<string>,
  witness: { readonly name: string; readonly key: KeyObject; readonly atMs: number },
): HeadVerdict {
  const checkpoint = openHead(log, head)
  if (checkpoint.size > log.size) return { kind: 'waiting' }
  if (checkpoint.size < log.proven) return { kind: 'known' }
  const tree = CompactTree.restore(log.proven, log.edge)
  for (const entry of entries) {
    if (tree.size >= checkpoint.size) break
    tree.append(leafHash(Buffer.from(entry)))
  }
  if (tree.size !== checkpoint.size || !Buffer.from(tree.root()).equals(checkpoint.root))
    throw new FleetError('FLEET_CHECKPOINT', `another root at size ${checkpoint.size}`)
  const line = cosign(head.note, witness, Math.floor(witness.atMs / 1000))
  const { name, publicKey } = head
  const proven = { proven: checkpoint.size, edge: tree.state(), note: head.note + line }
  return { kind: 'proven', log: { ...log, name, key: publicKey, ...proven }, line }
}

/** The entry text of a stored record. */
export function entryOf(value: unknown): string {
  return recordSchema.parse(value).unmapped.entry
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
