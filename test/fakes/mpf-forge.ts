/** An independent writer of print files that can get any one thing wrong: what a thief, an insider with the keys or a broken publisher makes. */
import { b64, roundUp, same, sha256 } from './mpf-bytes.ts'
import { BODY_KEY, buildVerity, createStream, META_KEY, SALT, sealAll } from './mpf-forge-cipher.ts'
import { packBody } from './mpf-forge-program.ts'
import { forgeGrant, grantEntry, signJws } from './mpf-forge-signed.ts'
import type { Forgery, Insider, Json, SectionPlan } from './mpf-forgery.ts'
import { FILE_ID, MADE_AT_S, POLICY, PRINTER_ID, TENANT } from './mpf-world.ts'

const PRELUDE_BYTES = 24

/** The whole file. */
export function forge(forgery: Forgery = {}): Buffer {
  const segmentBytes = forgery.segmentBytes ?? 4096
  const body = packBody(forgery)
  const pub = forgePub(forgery)
  const publicDigest = sha256(pub)
  const sealStream = (stream: 'meta' | 'body') =>
    createStream(stream, segmentBytes, publicDigest, forgery)
  const [metaStream, bodyStream] = [sealStream('meta'), sealStream('body')]
  const meta = (forgery.meta ?? same)(Buffer.from(body.meta))
  const insiderOf = (bodyAt: number): Insider => ({
    segmentBytes,
    bodyAt,
    bodyKey: BODY_KEY,
    metaKey: META_KEY,
    seal: (plaintext, position, isFinal, stream = 'body') =>
      (stream === 'body' ? bodyStream : metaStream).seal(plaintext, position, isFinal),
  })
  const metaSealed = sealAll(meta, metaStream, segmentBytes)
  const metaBytes = Buffer.concat(forgery.metaSegments?.(metaSealed, insiderOf(0)) ?? metaSealed)
  const metaPadding = Buffer.alloc(roundUp(metaBytes.length, segmentBytes) - metaBytes.length)
  const paddedMeta = Buffer.concat([metaBytes, (forgery.metaPadding ?? same)(metaPadding)])
  const insider = insiderOf(paddedMeta.length)
  const bodySealed = sealAll(body.plaintext, bodyStream, segmentBytes)
  const bodyBytes = Buffer.concat(forgery.bodySegments?.(bodySealed, insider) ?? bodySealed)
  const signedEnc = Buffer.concat([paddedMeta, bodyBytes])
  const { tree, digest } = buildVerity(signedEnc, segmentBytes, SALT, forgery.level)
  const manifest: Json = {
    v: 1,
    fid: b64(FILE_ID),
    pub: b64(publicDigest),
    ten: TENANT,
    iss: 'test publisher',
    iat: MADE_AT_S,
    seq: 3,
    tree: {
      alg: 'fsverity-sha256',
      bs: segmentBytes,
      salt: b64(SALT),
      len: signedEnc.length,
      dig: b64(digest),
    },
    enc: {
      alg: 'FLOE-A256GCM-HS384',
      seg: segmentBytes,
      meta: { hdr: b64(metaStream.header), clen: metaBytes.length, plen: meta.length },
      body: {
        hdr: b64(bodyStream.header),
        clen: bodyBytes.length,
        plen: body.plaintext.length,
        text: body.textBytes,
        lines: body.lines,
        blocks: body.blocks,
      },
    },
    cmp: 'zstd',
    pol: structuredClone(POLICY),
    crit: [],
    ext: {},
  }
  forgery.manifest?.(manifest)
  const signed = (forgery.manifestText ?? same)(JSON.stringify(manifest))
  const man = signJws(
    signed,
    'mpf-manifest+jws',
    forgery.publisher ?? 'publisher',
    forgery.manifestHeader,
  )
  const manBytes = Buffer.from((forgery.manifestJws ?? same)(man), 'latin1')
  const grant = forgeGrant(b64(sha256(Buffer.from(signed))), forgery)
  const entry = grantEntry(PRINTER_ID, Buffer.from(grant, 'latin1'))
  const grants = forgery.grants?.(entry) ?? entry
  return layOutFile(
    [
      { type: 0x8001, bytes: forgery.pubAfter?.(pub) ?? pub, align: 1 },
      { type: 0x8002, bytes: manBytes, align: 1 },
      { type: 0x0003, bytes: grants, align: 1 },
      { type: 0x8004, bytes: forgery.tree?.(tree) ?? tree, align: 1 },
      {
        type: 0x8005,
        bytes: forgery.ciphertext?.(signedEnc, insider) ?? signedEnc,
        align: segmentBytes,
      },
    ],
    forgery,
  )
}

function layOutFile(correct: SectionPlan[], forgery: Forgery): Buffer {
  const sections = forgery.sections?.(correct) ?? correct
  const preludeBytes = PRELUDE_BYTES * (1 + sections.length)
  const prelude = Buffer.alloc(preludeBytes)
  prelude.set([0x89, 0x4d, 0x50, 0x46, 0x0d, 0x0a, 0x1a, 0x0a, 1])
  prelude.writeUInt32BE(preludeBytes, 12)
  prelude.writeUInt16BE(sections.length, 16)
  const parts: Uint8Array[] = []
  let end = preludeBytes
  for (const [i, { type, bytes, align }] of sections.entries()) {
    const offset = roundUp(end, align)
    const at = PRELUDE_BYTES * (1 + i)
    prelude.writeUInt16BE(type, at)
    prelude.writeBigUInt64BE(BigInt(offset), at + 8)
    prelude.writeBigUInt64BE(BigInt(bytes.length), at + 16)
    parts.push(Buffer.alloc(offset - end), bytes)
    end = offset + bytes.length
  }
  const file = Buffer.concat([(forgery.prelude ?? same)(prelude), ...parts])
  return Buffer.from((forgery.file ?? same)(file))
}

function forgePub(forgery: Forgery): Buffer {
  const pub: Json = {
    fmt: 'mpf',
    v: 1,
    fid: b64(FILE_ID),
    ten: TENANT,
    made: MADE_AT_S,
    app: 'forge',
  }
  forgery.pub?.(pub)
  return Buffer.from((forgery.pubText ?? same)(JSON.stringify(pub)))
}
