/** The writer (SPEC 9): G-code and a description in, one sealed file out. Streams; holds one block and at most 1 MiB of ciphertext in memory. */

import { createHash, randomBytes } from 'node:crypto'
import { encodeBase64url } from './base64url.ts'
import { encodeIndex, type IndexEntry } from './block-index.ts'
import { BodyWriter, type SegmentStore } from './body-writer.ts'
import { encodeFront, roundUp } from './container.ts'
import { MpfError } from './errors.ts'
import { FLOE_KEY_BYTES, SEGMENT_OVERHEAD_BYTES, startEncryption } from './floe.ts'
import { buildTree, createBlockHash } from './fsverity.ts'
import { type ContentKeys, contentKeys } from './grant.ts'
import { encodeGrants } from './grant-section.ts'
import { MANIFEST_TYPE, type SigningKey, signPayload } from './jose.ts'
import { MAX_BLOCKS, MAX_META_BYTES } from './limits.ts'
import { type ManifestPayload, type SignedPolicy, segmentCount } from './manifest.ts'
import { encodeMetadata, type PartMetadata } from './metadata.ts'
import { encodeJson } from './schema.ts'
import { streamContext } from './streams.ts'

/** One compressed block, ready to be sealed. */
export interface SealedBlock {
  readonly frame: Uint8Array
  readonly entry: Omit<IndexEntry, 'modalBytes' | 'bodyOffset' | 'compressedBytes'>
  readonly lines: number
}

export interface SealRequest {
  readonly fileId: Uint8Array
  readonly tenant: string
  readonly issuer: string
  readonly app: string
  readonly madeAtS: number
  /** Revision of this part. */
  readonly seq: number
  readonly signingKey: SigningKey
  /** A second, ML-DSA signature. */
  readonly postQuantumKey?: SigningKey
  readonly blocks: AsyncIterable<SealedBlock>
  /** Called once every block has been taken: what the program turned out to be. */
  describe(): { readonly metadata: PartMetadata; readonly policy: SignedPolicy }
  readonly store: SegmentStore
}

export interface SealedPrint {
  readonly manifest: ManifestPayload
  /** SHA-256 of the manifest's payload, base64url: what grants bind to. */
  readonly manifestDigest: string
  /** The content keys, to be granted; the caller disposes them. */
  readonly keys: ContentKeys
  /** The file's bytes, with these grants inside (recipient id to compact JWS). May be called once. */
  file(grants: ReadonlyMap<string, Uint8Array>): AsyncIterable<Uint8Array>
}

/**
 * Seals a program. Keys and nonces are made here and nowhere else: fresh ones for every file.
 * @throws MpfError MPF_SIZE for an empty program or one over the limits; whatever `blocks` throws
 */
export async function sealPrint(request: SealRequest): Promise<SealedPrint> {
  const pub = publicHeader(request)
  const publicDigest = createHash('sha256').update(pub).digest()
  const keys = contentKeys(randomBytes(FLOE_KEY_BYTES), randomBytes(FLOE_KEY_BYTES))
  const body = new BodyWriter(
    keys.body ?? new Uint8Array(),
    streamContext(2, request.fileId, publicDigest),
    request.store,
  )
  const { entries, lines, textBytes } = await writeBlocks(request.blocks, body)
  const { metadata, policy } = request.describe()
  const metaBytes = encodeMetadata(metadata, encodeIndex(entries))
  if (metaBytes.length > MAX_META_BYTES)
    throw new MpfError('MPF_SIZE', `${metaBytes.length} bytes of metadata`)
  const sealedBody = await body.end(metaBytes.length)
  const { segmentBytes } = sealedBody
  const meta = sealMeta(
    metaBytes,
    keys.meta,
    streamContext(1, request.fileId, publicDigest),
    segmentBytes,
  )
  const salt = randomBytes(32)
  const encBytes = meta.padded.length + sealedBody.cipherBytes
  const { tree, digest } = await hashTree(request.store, meta.padded, {
    blockBytes: segmentBytes,
    salt,
    lengthBytes: encBytes,
  })
  const manifest = describeFile(request, policy, publicDigest, {
    tree: {
      alg: 'fsverity-sha256',
      bs: segmentBytes,
      salt: encodeBase64url(salt),
      len: encBytes,
      dig: encodeBase64url(digest),
    },
    meta: { hdr: encodeBase64url(meta.header), clen: meta.cipherBytes, plen: metaBytes.length },
    body: {
      hdr: encodeBase64url(sealedBody.header),
      clen: sealedBody.cipherBytes,
      plen: sealedBody.plainBytes,
      text: textBytes,
      lines,
      blocks: entries.length,
    },
  })
  const signed = encodeJson(manifest)
  const man = await signPayload(signed, MANIFEST_TYPE, request.signingKey, request.postQuantumKey)
  return {
    manifest,
    manifestDigest: encodeBase64url(createHash('sha256').update(signed).digest()),
    keys,
    async *file(grants) {
      yield encodeFront(
        { PUB: pub, MAN: man, GRT: encodeGrants(grants), TRE: tree },
        { length: encBytes, segmentBytes },
      )
      yield meta.padded
      yield* request.store.read()
    },
  }
}

function publicHeader(request: SealRequest): Uint8Array {
  return encodeJson({
    fmt: 'mpf',
    v: 1,
    fid: encodeBase64url(request.fileId),
    ten: request.tenant,
    made: request.madeAtS,
    app: request.app,
  })
}

function describeFile(
  request: SealRequest,
  policy: SignedPolicy,
  publicDigest: Uint8Array,
  sizes: Pick<ManifestPayload, 'tree'> & Pick<ManifestPayload['enc'], 'meta' | 'body'>,
): ManifestPayload {
  return {
    v: 1,
    fid: encodeBase64url(request.fileId),
    pub: encodeBase64url(publicDigest),
    ten: request.tenant,
    iss: request.issuer,
    iat: request.madeAtS,
    seq: request.seq,
    tree: sizes.tree,
    enc: { alg: 'FLOE-A256GCM-HS384', seg: sizes.tree.bs, meta: sizes.meta, body: sizes.body },
    cmp: 'zstd',
    pol: policy,
    crit: [],
    ext: {},
  }
}

async function writeBlocks(
  blocks: AsyncIterable<SealedBlock>,
  body: BodyWriter,
): Promise<{
  readonly entries: Omit<IndexEntry, 'modalBytes'>[]
  readonly lines: number
  readonly textBytes: number
}> {
  const entries: Omit<IndexEntry, 'modalBytes'>[] = []
  let [lines, textBytes] = [0, 0]
  for await (const { frame, entry, lines: blockLines } of blocks) {
    if (entries.length === MAX_BLOCKS)
      throw new MpfError('MPF_SIZE', `more than ${MAX_BLOCKS} blocks`)
    entries.push({ ...entry, bodyOffset: body.plainBytes, compressedBytes: frame.length })
    await body.write(frame)
    lines += blockLines
    textBytes += entry.textBytes
  }
  if (entries.length === 0) throw new MpfError('MPF_SIZE', 'an empty program')
  return { entries, lines, textBytes }
}

function sealMeta(
  plaintext: Uint8Array,
  key: Uint8Array,
  context: Uint8Array,
  segmentBytes: number,
) {
  using floe = startEncryption(key, context, segmentBytes)
  const room = segmentBytes - SEGMENT_OVERHEAD_BYTES
  const segments = segmentCount(plaintext.length, segmentBytes)
  const sealed = Array.from({ length: segments }, (_, position) =>
    floe.seal(
      plaintext.subarray(position * room, (position + 1) * room),
      position,
      position === segments - 1,
    ),
  )
  const cipherBytes = plaintext.length + segments * SEGMENT_OVERHEAD_BYTES
  const padded = new Uint8Array(roundUp(cipherBytes, segmentBytes))
  padded.set(Buffer.concat(sealed))
  return { header: floe.header, cipherBytes, padded }
}

async function hashTree(
  store: SegmentStore,
  meta: Uint8Array,
  parameters: {
    readonly blockBytes: number
    readonly salt: Uint8Array
    readonly lengthBytes: number
  },
) {
  const hashBlock = createBlockHash(parameters)
  const leaves: Uint8Array[] = []
  for (let at = 0; at < meta.length; at += parameters.blockBytes)
    leaves.push(hashBlock(meta.subarray(at, at + parameters.blockBytes)))
  for await (const segment of store.read()) leaves.push(hashBlock(segment))
  return buildTree(parameters, leaves)
}
