/** MAN (SPEC 4.2): what the publisher signed. Steps 3 to 8 of the order of checks. */

import { createHash } from 'node:crypto'
import { z } from 'zod'
import { decodeBase64url, encodeBase64url } from './base64url.ts'
import { type Container, readSection, roundUp, type Section } from './container.ts'
import { MpfError } from './errors.ts'
import { FLOE_HEADER_BYTES, SEGMENT_OVERHEAD_BYTES } from './floe.ts'
import { MAX_SALT_BYTES, type TreeParameters, treeBytes } from './fsverity.ts'
import { MANIFEST_TYPE, verifyPayload } from './jose.ts'
import {
  MAX_BLOCKS,
  MAX_COMMAND_BYTES,
  MAX_META_BYTES,
  MAX_SEGMENTS,
  MAX_TEXT_BYTES,
  SEGMENT_BYTES,
  SMALL_ENC_BYTES,
  SMALL_SEGMENT_BYTES,
} from './limits.ts'
import { parsePublicHeader } from './public-header.ts'
import { base64urlBytes, count, parseSigned, timestamp } from './schema.ts'
import { NOT_BEFORE_TOLERANCE_MS, type TrustBundle, type TrustedKey } from './trust.ts'

const int32 = z.int32()
const micrometres = z.tuple([int32, int32, int32])
const deciC = z.int().min(0).max(0xffff)
const streamSchema = { hdr: base64urlBytes(FLOE_HEADER_BYTES), clen: count, plen: count }

/** SPEC 4.2: the range of an axis that is never commanded. No position lies in it, so that the program check refuses each. */
export const NEVER_MIN_UM = 1
export const NEVER_MAX_UM = 0

/** What the program does at most; the reader proves the program inside it, line by line. Integers only. */
export const policySchema = z
  .strictObject({
    /** Printer models it was made for; empty = any whose limits contain the rest. */
    model: z.array(z.string().min(1).max(64)).max(32),
    nozzleUm: count.max(100_000),
    words: z.array(z.string().regex(/^[GMT](0|[1-9][0-9]{0,2})$/)).max(256),
    hotendDeciC: z.array(deciC).max(4),
    bedDeciC: deciC,
    chamberDeciC: deciC,
    feedUmPerMin: count.max(0xffffffff),
    extrusionUmPerMm: count.max(0xffffffff),
    minUm: micrometres,
    maxUm: micrometres,
    line: z.int().min(1).max(MAX_COMMAND_BYTES),
  })
  // The empty range has one spelling; any other upside-down one is a mistake.
  .refine(({ minUm, maxUm }) =>
    minUm.every((min, axis) => {
      const max = maxUm[axis] ?? min
      return min <= max || (min === NEVER_MIN_UM && max === NEVER_MAX_UM)
    }),
  )
export type SignedPolicy = z.infer<typeof policySchema>

const manifestSchema = z.strictObject({
  v: z.literal(1),
  fid: base64urlBytes(16),
  pub: base64urlBytes(32),
  ten: base64urlBytes(16),
  iss: z.string().min(1).max(128),
  iat: timestamp,
  /** Revision of this part (fid); a printer refuses one older than it has seen. */
  seq: count,
  tree: z.strictObject({
    alg: z.literal('fsverity-sha256'),
    bs: z.union([z.literal(SEGMENT_BYTES), z.literal(SMALL_SEGMENT_BYTES)]),
    salt: z.string().refine(text => {
      const salt = decodeBase64url(text)
      return salt !== undefined && salt.length <= MAX_SALT_BYTES
    }),
    len: count,
    dig: base64urlBytes(32),
  }),
  enc: z.strictObject({
    alg: z.literal('FLOE-A256GCM-HS384'),
    seg: count,
    meta: z.strictObject({ ...streamSchema, plen: count.max(MAX_META_BYTES) }),
    body: z.strictObject({
      ...streamSchema,
      text: z.int().min(1).max(MAX_TEXT_BYTES),
      lines: z.int().min(1),
      blocks: z.int().min(1).max(MAX_BLOCKS),
    }),
  }),
  cmp: z.literal('zstd'),
  pol: policySchema,
  /** Names of `ext` members a reader must know; 1.0 knows none. */
  crit: z.array(z.string()).max(16),
  ext: z.record(z.string(), z.json()),
})
export type ManifestPayload = z.infer<typeof manifestSchema>
export type SegmentBytes = ManifestPayload['tree']['bs']

/** A manifest that has passed steps 3 to 8. */
export interface Manifest {
  readonly payload: ManifestPayload
  /** SHA-256 of the signed payload, base64url: what a grant binds to and a revocation names. */
  readonly digest: string
  /** SHA-256 of the PUB section: part of the FLOE context. */
  readonly publicDigest: Uint8Array
  readonly signer: TrustedKey
  readonly segmentBytes: number
  readonly tree: TreeParameters
  readonly meta: EncryptedStream
  readonly body: EncryptedStream
}

/** Where one FLOE message lies within ENC. */
export interface EncryptedStream {
  readonly id: 1 | 2
  /** From the start of ENC. */
  readonly offset: number
  readonly cipherBytes: number
  readonly plainBytes: number
  readonly header: Uint8Array
  readonly segments: number
}

export interface ManifestChecks {
  readonly trust: TrustBundle
  /** The tenant this reader works for, base64url. */
  readonly tenant: string
  /** Trusted time. */
  readonly atMs: number
  /** The newest revision of this part seen so far (0 when none). */
  seqFloor(fileId: string): number
}

/**
 * Steps 3 to 8: whose it is, whether we may believe it, whether it describes this file.
 * @throws MpfError MPF_HEADER, MPF_SIGNER, MPF_ALG, MPF_SIGNATURE, MPF_MANIFEST, MPF_CRIT, MPF_BINDING, MPF_TENANT, MPF_REVOKED, MPF_ROLLBACK, MPF_LAYOUT
 */
export async function verifyManifest(
  container: Container,
  checks: ManifestChecks,
): Promise<Manifest> {
  const man = await readSection(container, 'MAN')
  const pub = await readSection(container, 'PUB')
  const {
    key,
    secondKey,
    isHybrid,
    payload: bytes,
  } = await verifyPayload(man, MANIFEST_TYPE, kid => checks.trust.keyFor('publish', kid), {
    header: 'MPF_HEADER',
    signer: 'MPF_SIGNER',
    algorithm: 'MPF_ALG',
    signature: 'MPF_SIGNATURE',
  })
  if (checks.trust.requiresPostQuantum && !isHybrid)
    throw new MpfError('MPF_PQ', 'no post-quantum signature')
  const payload = parseSigned(manifestSchema, bytes, 'MPF_MANIFEST', 'manifest')
  if (payload.crit.length > 0)
    throw new MpfError('MPF_CRIT', `${payload.crit.length} unknown critical extensions`)
  const publicDigest = createHash('sha256').update(pub).digest()
  expectBinding(payload, pub, publicDigest, checks)
  // Not of MAN: anybody can make another valid ECDSA signature from one, or drop the second of two.
  const digest = encodeBase64url(createHash('sha256').update(bytes).digest())
  for (const signer of secondKey ? [key, secondKey] : [key])
    expectCurrent(payload, signer, digest, checks)
  return { payload, digest, publicDigest, signer: key, ...layOut(payload, container.sections) }
}

/** Step 6. */
function expectBinding(
  payload: ManifestPayload,
  pub: Uint8Array,
  publicDigest: Uint8Array,
  checks: ManifestChecks,
): void {
  if (encodeBase64url(publicDigest) !== payload.pub)
    throw new MpfError('MPF_BINDING', 'public header is not the one that was signed')
  const header = parsePublicHeader(pub)
  if (header.fid !== payload.fid || header.ten !== payload.ten)
    throw new MpfError('MPF_BINDING', 'public header and manifest name different files or tenants')
  if (payload.ten !== checks.trust.tenant || payload.ten !== checks.tenant)
    throw new MpfError('MPF_TENANT', 'made for another tenant')
}

/** Step 7. */
function expectCurrent(
  payload: ManifestPayload,
  key: TrustedKey,
  digest: string,
  checks: ManifestChecks,
): void {
  const isValid =
    checks.atMs + NOT_BEFORE_TOLERANCE_MS >= key.notBeforeMs && checks.atMs <= key.notAfterMs
  if (!isValid) throw new MpfError('MPF_REVOKED', "outside the signer's validity")
  if (checks.trust.isManifestRevoked(digest))
    throw new MpfError('MPF_REVOKED', 'this file was revoked')
  const floor = checks.seqFloor(payload.fid)
  if (payload.seq < floor)
    throw new MpfError('MPF_ROLLBACK', `revision ${payload.seq}, seen ${floor}`)
}

/** Step 8: every size the manifest states follows from, or leads to, the sizes of the sections. */
function layOut(
  payload: ManifestPayload,
  sections: Readonly<Record<'TRE' | 'ENC', Section>>,
): Pick<Manifest, 'segmentBytes' | 'tree' | 'meta' | 'body'> {
  const { tree, enc } = payload
  const segmentBytes = tree.bs
  const meta = stream(1, 0, enc.meta, segmentBytes)
  const body = stream(2, roundUp(meta.cipherBytes, segmentBytes), enc.body, segmentBytes)
  const parameters: TreeParameters = {
    blockBytes: segmentBytes,
    salt: decodeBase64url(tree.salt) ?? new Uint8Array(),
    lengthBytes: tree.len,
  }
  const encBytes = sections.ENC.length
  const isConsistent =
    enc.seg === segmentBytes &&
    tree.len === encBytes &&
    body.offset + body.cipherBytes === encBytes &&
    sections.TRE.length === treeBytes(parameters) &&
    sections.ENC.offset === roundUp(sections.ENC.previousEnd, segmentBytes) &&
    (segmentBytes === SEGMENT_BYTES || encBytes < SMALL_ENC_BYTES) &&
    enc.body.lines <= enc.body.text &&
    enc.body.blocks <= enc.body.lines
  if (!isConsistent) throw new MpfError('MPF_LAYOUT', 'manifest sizes contradict the sections')
  return { segmentBytes, tree: parameters, meta, body }
}

function stream(
  id: 1 | 2,
  offset: number,
  sizes: { readonly hdr: string; readonly clen: number; readonly plen: number },
  segmentBytes: number,
): EncryptedStream {
  const segments = segmentCount(sizes.plen, segmentBytes)
  const isConsistent =
    segments <= MAX_SEGMENTS && sizes.clen === sizes.plen + segments * SEGMENT_OVERHEAD_BYTES
  if (!isConsistent)
    throw new MpfError('MPF_LAYOUT', `stream ${id}: ${sizes.clen} bytes cannot hold ${sizes.plen}`)
  const header = decodeBase64url(sizes.hdr) ?? new Uint8Array()
  return { id, offset, cipherBytes: sizes.clen, plainBytes: sizes.plen, header, segments }
}

/** Segments for so much plaintext; an empty stream still has its final one. */
export function segmentCount(plainBytes: number, segmentBytes: number): number {
  return Math.max(1, Math.ceil(plainBytes / (segmentBytes - SEGMENT_OVERHEAD_BYTES)))
}
