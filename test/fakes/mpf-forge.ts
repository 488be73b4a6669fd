/** An independent writer of print files that can get any one thing wrong: what a thief, an insider with the keys or a broken publisher makes. */
import {
  createCipheriv,
  createHash,
  createHmac,
  diffieHellman,
  type KeyObject,
  sign,
} from 'node:crypto'
import { constants, zstdCompressSync } from 'node:zlib'
import { keyId } from '#mpf'
import { NO_LIMITS } from '../../mpf/gcode/limits.ts'
import { Machine } from '../../mpf/gcode/machine.ts'
import { encodeModal, type ModalState } from '../../mpf/gcode/modal.ts'
import {
  algorithmOf,
  EXPIRES_AT_S,
  FILE_ID,
  GRANT_ID,
  type KeyName,
  MADE_AT_S,
  POLICY,
  PRINTER_ID,
  privateKey,
  programText,
  publicKey,
  TENANT,
} from './mpf-world.ts'

/** A JSON object a test may spoil. */
export type Json = Record<string, unknown>

export interface Entry {
  bodyOffset: number
  compressedBytes: number
  textBytes: number
  firstLine: number
  layer: number
  zMicrometres: number
  digest: Uint8Array
  modal: Uint8Array
}

export interface SectionPlan {
  type: number
  bytes: Uint8Array
  /** Start at the next multiple of so many bytes. */
  align: number
}

/** What an insider holds: the keys and the means to make a segment that opens. */
export interface Insider {
  readonly segmentBytes: number
  readonly bodyKey: Uint8Array
  readonly metaKey: Uint8Array
  /** Byte offset of body segment 0 in ENC. */
  readonly bodyAt: number
  seal(plaintext: Uint8Array, position: number, isFinal: boolean, stream?: 'meta' | 'body'): Buffer
}

/** Where the forge goes wrong. Each hook gets the correct value and returns what is written instead. */
export interface Forgery {
  readonly blocks?: readonly string[]
  readonly segmentBytes?: 4096 | 65536
  readonly frame?: (frame: Buffer, block: number, text: Buffer) => Uint8Array
  readonly entries?: (entries: Entry[]) => readonly Entry[]
  readonly index?: (bytes: Buffer) => Uint8Array
  readonly info?: string
  readonly records?: (records: [number, Uint8Array][]) => readonly [number, Uint8Array][]
  readonly meta?: (bytes: Buffer) => Uint8Array
  readonly streamHeader?: (header: Buffer, stream: 'meta' | 'body') => Buffer
  readonly context?: (context: Buffer, stream: 'meta' | 'body') => Buffer
  readonly metaSegments?: (segments: Buffer[], insider: Insider) => readonly Uint8Array[]
  readonly metaPadding?: (padding: Buffer) => Uint8Array
  /** Before the tree: what a broken publisher signs. */
  readonly bodySegments?: (segments: Buffer[], insider: Insider) => readonly Uint8Array[]
  /** Each level of the tree before it is hashed: what a broken publisher signs. */
  readonly level?: (level: Buffer) => Buffer
  /** After the tree: what an insider writes on the stick. */
  readonly ciphertext?: (enc: Buffer, insider: Insider) => Uint8Array
  readonly tree?: (tree: Buffer) => Uint8Array
  readonly pub?: (pub: Json) => void
  readonly pubText?: (text: string) => string | Uint8Array
  /** After the manifest was made over it. */
  readonly pubAfter?: (bytes: Buffer) => Uint8Array
  readonly manifest?: (payload: Json) => void
  readonly manifestText?: (text: string) => string | Uint8Array
  readonly manifestHeader?: (header: string) => string
  readonly manifestJws?: (jws: string) => string
  readonly publisher?: KeyName
  readonly grant?: (payload: Json) => void
  readonly grantText?: (text: string) => string | Uint8Array
  readonly grantHeader?: (header: string) => string
  readonly grantJws?: (jws: string) => string
  readonly issuer?: KeyName
  readonly jweHeader?: (header: Json) => void
  readonly jweHeaderText?: (text: string) => string
  readonly jwe?: (jwe: string) => string
  readonly wrapped?: (keys: Buffer) => Uint8Array
  readonly jweRecipient?: KeyName
  readonly grants?: (section: Buffer) => Uint8Array
  readonly sections?: (sections: SectionPlan[]) => readonly SectionPlan[]
  /** The finished prelude and section table. */
  readonly prelude?: (prelude: Buffer) => Uint8Array
  readonly file?: (file: Buffer) => Uint8Array
}

const META_KEY = Buffer.alloc(32, 0x55)
const BODY_KEY = Buffer.alloc(32, 0x66)
const SALT = Buffer.alloc(32, 0x77)
const PRELUDE_BYTES = 24

/** Two blocks of layers that take several small segments each, and a short last one. */
export const BLOCKS: readonly string[] = [
  programText(700, 1),
  programText(1200, 2).split('\n').slice(5).join('\n'),
  'G1 X20 Y20 F3000\nM104 S0\n',
]

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

/** One entry of GRT. */
export function grantEntry(recipient: string, jws: Uint8Array): Buffer {
  const length = Buffer.alloc(2)
  length.writeUInt16BE(jws.length)
  return Buffer.concat([Buffer.from(recipient, 'base64url'), length, jws])
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

function packBody(forgery: Forgery) {
  const machine = new Machine(NO_LIMITS, () => undefined, { isWidening: true })
  const frames: Uint8Array[] = []
  const entries: Entry[] = []
  let [bodyOffset, line, layer] = [0, 1, 0]
  for (const [i, text] of (forgery.blocks ?? BLOCKS).entries()) {
    const bytes = Buffer.from(text, 'latin1')
    const modal: ModalState = machine.modal()
    machine.run(bytes)
    const made = zstdFrame(bytes)
    const frame = forgery.frame?.(made, i, bytes) ?? made
    frames.push(frame)
    entries.push({
      bodyOffset,
      compressedBytes: frame.length,
      textBytes: bytes.length,
      firstLine: line,
      layer,
      zMicrometres: Math.round(modal.zNm / 1000),
      digest: sha256(bytes).subarray(0, 16),
      modal: encodeModal(modal),
    })
    bodyOffset += frame.length
    line += text.split('\n').length - 1
    layer += text.match(/^;LAYER(?:_CHANGE|:)/gm)?.length ?? 0
  }
  const [textBytes, blocks] = [
    entries.reduce((sum, entry) => sum + entry.textBytes, 0),
    entries.length,
  ]
  const index = encodeEntries(forgery.entries?.(entries) ?? entries)
  const correct: [number, Uint8Array][] = [
    [1, Buffer.from(forgery.info ?? JSON.stringify({ title: 'forged', layers: 0 }))],
    [4, (forgery.index ?? same)(index)],
  ]
  const meta = Buffer.concat(
    (forgery.records?.(correct) ?? correct).map(([tag, bytes]) => record(tag, bytes)),
  )
  return { plaintext: Buffer.concat(frames), meta, textBytes, lines: line - 1, blocks }
}

/** One record of the meta stream. */
export function record(tag: number, bytes: Uint8Array, length = bytes.length): Buffer {
  const head = Buffer.alloc(6)
  head.writeUInt16BE(tag, 0)
  head.writeUInt32BE(length, 2)
  return Buffer.concat([head, bytes])
}

function encodeEntries(entries: readonly Entry[]): Buffer {
  return Buffer.concat(
    entries.map(entry => {
      const bytes = Buffer.alloc(104)
      bytes.writeBigUInt64BE(BigInt(entry.bodyOffset), 0)
      bytes.writeUInt32BE(entry.compressedBytes, 8)
      bytes.writeUInt32BE(entry.textBytes, 12)
      bytes.writeBigUInt64BE(BigInt(entry.firstLine), 16)
      bytes.writeUInt32BE(entry.layer, 24)
      bytes.writeInt32BE(entry.zMicrometres, 28)
      bytes.set(entry.digest, 32)
      bytes.set(entry.modal, 48)
      return bytes
    }),
  )
}

export function zstdFrame(text: Uint8Array, params: Readonly<Record<number, number>> = {}): Buffer {
  return zstdCompressSync(text, {
    pledgedSrcSize: text.length,
    params: {
      [constants.ZSTD_c_compressionLevel]: 1,
      [constants.ZSTD_c_windowLog]: 20,
      ...params,
    },
  })
}

/** A frame of raw blocks written by hand: `descriptor` and everything after it as given. */
export function rawFrame(header: readonly number[], text: Uint8Array): Buffer {
  const block = Buffer.alloc(3)
  block.writeUIntLE((text.length << 3) | 1, 0, 3)
  return Buffer.concat([Buffer.from([0x28, 0xb5, 0x2f, 0xfd, ...header]), block, text])
}

interface Stream {
  readonly header: Buffer
  seal(plaintext: Uint8Array, position: number, isFinal: boolean): Buffer
}

/** FLOE, written a second time from its specification. IVs are fixed: the same forgery is the same file. */
function createStream(
  stream: 'meta' | 'body',
  segmentBytes: number,
  publicDigest: Uint8Array,
  forgery: Forgery,
): Stream {
  const key = stream === 'meta' ? META_KEY : BODY_KEY
  const id = stream === 'meta' ? 1 : 2
  const context = (bytes: Buffer) => forgery.context?.(bytes, stream) ?? bytes
  const aad = context(Buffer.concat([Buffer.from('MPF1\0'), Buffer.of(id), FILE_ID, publicDigest]))
  const parameters = Buffer.alloc(10)
  parameters.writeUInt32BE(segmentBytes, 2)
  parameters.writeUInt32BE(32, 6)
  const info = Buffer.concat([parameters, Buffer.alloc(32, 0x80 + id)])
  const derive = (secret: Uint8Array, purpose: Uint8Array, bytes: number) =>
    createHmac('sha384', secret)
      .update(Buffer.concat([info, purpose, aad, Buffer.of(1)]))
      .digest()
      .subarray(0, bytes)
  const header = Buffer.concat([info, derive(key, Buffer.from('HEADER_TAG:'), 32)])
  const messageKey = derive(key, Buffer.from('MESSAGE_KEY:'), 48)
  const segmentKey = derive(messageKey, Buffer.from('DEK:\0\0\0\0\0\0\0\0'), 32)
  return {
    header: forgery.streamHeader?.(header, stream) ?? header,
    seal(plaintext, position, isFinal) {
      const head = Buffer.alloc(16)
      head.fill(id, 4)
      head.writeUInt32BE(isFinal ? plaintext.length + 32 : 0xffffffff, 0)
      head.writeUInt32BE(position, 12)
      const bound = Buffer.alloc(9)
      bound.writeUInt32BE(position, 4)
      bound[8] = isFinal ? 1 : 0
      const cipher = createCipheriv('aes-256-gcm', segmentKey, head.subarray(4))
      cipher.setAAD(bound)
      const text = Buffer.concat([cipher.update(plaintext), cipher.final()])
      return Buffer.concat([head, text, cipher.getAuthTag()])
    },
  }
}

function sealAll(plaintext: Uint8Array, stream: Stream, segmentBytes: number): Buffer[] {
  const room = segmentBytes - 32
  const count = Math.max(1, Math.ceil(plaintext.length / room))
  return Array.from({ length: count }, (_, i) =>
    stream.seal(plaintext.subarray(i * room, (i + 1) * room), i, i === count - 1),
  )
}

/** fs-verity, written a second time from the kernel's documentation. */
export function buildVerity(
  data: Buffer,
  blockBytes: number,
  salt: Uint8Array = SALT,
  spoil: (level: Buffer) => Buffer = same,
): { readonly tree: Buffer; readonly digest: Buffer } {
  const prefix =
    salt.length === 0 ? Buffer.alloc(0) : Buffer.concat([salt, Buffer.alloc(64 - salt.length)])
  const hashBlocks = (bytes: Buffer) => {
    const hashes: Buffer[] = []
    for (let at = 0; at < bytes.length; at += blockBytes) {
      const block = Buffer.alloc(blockBytes)
      bytes.copy(block, 0, at, at + blockBytes)
      hashes.push(sha256(prefix, block))
    }
    return Buffer.concat(hashes)
  }
  const levels: Buffer[] = []
  let hashes = hashBlocks(data)
  while (hashes.length > 32) {
    const padded = Buffer.alloc(roundUp(hashes.length, blockBytes))
    hashes.copy(padded)
    const level = spoil(padded)
    levels.unshift(level)
    hashes = hashBlocks(level)
  }
  const descriptor = Buffer.alloc(256)
  descriptor.set([1, 1, Math.log2(blockBytes), salt.length])
  descriptor.writeBigUInt64LE(BigInt(data.length), 8)
  descriptor.set(hashes.length === 0 ? Buffer.alloc(32) : hashes, 16)
  descriptor.set(salt, 80)
  return { tree: Buffer.concat(levels), digest: sha256(descriptor) }
}

function forgeGrant(manifestDigest: string, forgery: Forgery): string {
  const jti = b64(GRANT_ID)
  const both = Buffer.concat([META_KEY, BODY_KEY])
  const keys = forgery.wrapped?.(both) ?? both
  const payload: Json = {
    v: 1,
    jti,
    fid: b64(FILE_ID),
    mfd: manifestDigest,
    ten: TENANT,
    iss: 'test issuer',
    sub: PRINTER_ID,
    scope: 'print',
    nbf: MADE_AT_S,
    exp: EXPIRES_AT_S,
    max: 1,
    seq: 5,
    ka: 'JWE',
    k: (forgery.jwe ?? same)(forgeJwe(keys, jti, forgery)),
  }
  forgery.grant?.(payload)
  const jws = signJws(
    (forgery.grantText ?? same)(JSON.stringify(payload)),
    'mpf-grant+jws',
    forgery.issuer ?? 'issuer',
    forgery.grantHeader,
  )
  return (forgery.grantJws ?? same)(jws)
}

/** A compact JWS by hand: the header text may be anything, `alg` in it decides how it is signed. */
export function signJws(
  payload: string | Uint8Array,
  type: string,
  key: KeyName,
  spoil?: (header: string) => string,
): string {
  const header = JSON.stringify({ alg: algorithmOf(key), kid: keyId(publicKey(key)), typ: type })
  const input = `${b64(Buffer.from((spoil ?? same)(header)))}.${b64(Buffer.from(payload))}`
  return `${input}.${b64(signature(Buffer.from(input), key))}`
}

function signature(input: Uint8Array, name: KeyName): Buffer {
  const key: KeyObject = privateKey(name)
  switch (algorithmOf(name)) {
    case 'EdDSA':
      return sign(null, input, key)
    case 'ES384':
      return lowS(sign('sha384', input, { key, dsaEncoding: 'ieee-p1363' }), P384_ORDER)
    case 'ES256':
      return lowS(sign('sha256', input, { key, dsaEncoding: 'ieee-p1363' }), P256_ORDER)
    default:
      return sign('sha384', input, { key, padding: 6, saltLength: 48 })
  }
}

export const P384_ORDER =
  0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973n
export const P256_ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n

/** The other signature over the same bytes that anybody can make from one: (r, n - s). */
export function mirrorSignature(rs: Buffer, order: bigint): Buffer {
  const half = rs.length / 2
  const s = BigInt(`0x${rs.toString('hex', half)}`)
  const mirrored = (order - s).toString(16).padStart(2 * half, '0')
  return Buffer.concat([rs.subarray(0, half), Buffer.from(mirrored, 'hex')])
}

function lowS(rs: Buffer, order: bigint): Buffer {
  const s = BigInt(`0x${rs.toString('hex', rs.length / 2)}`)
  return s > order / 2n ? mirrorSignature(rs, order) : rs
}

/** A compact JWE by hand (RFC 7518 4.6 and 5.3). */
function forgeJwe(plaintext: Uint8Array, jti: string, forgery: Forgery): string {
  const recipient = publicKey(forgery.jweRecipient ?? 'printer')
  // Fixed, so that the same forgery is the same file.
  const { x, y } = publicKey('stranger384').export({ format: 'jwk' })
  const [apu, apv] = [Buffer.from(jti), Buffer.from(PRINTER_ID)]
  const header: Json = {
    alg: 'ECDH-ES+A256KW',
    enc: 'A256GCM',
    apu: b64(apu),
    apv: b64(apv),
    epk: { kty: 'EC', crv: 'P-384', x, y },
  }
  forgery.jweHeader?.(header)
  const secret = diffieHellman({
    privateKey: privateKey('stranger384'),
    publicKey: recipient,
  })
  const kek = concatKdf(
    secret,
    'ECDH-ES+A256KW',
    Buffer.from(String(header.apu), 'base64url'),
    Buffer.from(String(header.apv), 'base64url'),
  )
  const contentKey = Buffer.alloc(32, 0x99)
  const wrap = createCipheriv('id-aes256-wrap', kek, Buffer.alloc(8, 0xa6))
  const wrappedKey = Buffer.concat([wrap.update(contentKey), wrap.final()])
  const protectedHeader = b64(Buffer.from((forgery.jweHeaderText ?? same)(JSON.stringify(header))))
  const iv = Buffer.alloc(12, 0xaa)
  const cipher = createCipheriv('aes-256-gcm', contentKey, iv)
  cipher.setAAD(Buffer.from(protectedHeader))
  const text = Buffer.concat([cipher.update(plaintext), cipher.final()])
  return [protectedHeader, ...[wrappedKey, iv, text, cipher.getAuthTag()].map(b64)].join('.')
}

function concatKdf(
  secret: Uint8Array,
  algorithm: string,
  apu: Uint8Array,
  apv: Uint8Array,
): Buffer {
  const sized = (bytes: Uint8Array) => {
    const length = Buffer.alloc(4)
    length.writeUInt32BE(bytes.length)
    return Buffer.concat([length, bytes])
  }
  return sha256(
    Buffer.of(0, 0, 0, 1),
    secret,
    sized(Buffer.from(algorithm)),
    sized(apu),
    sized(apv),
    Buffer.of(0, 0, 1, 0),
  )
}

export function sha256(...parts: readonly Uint8Array[]): Buffer {
  return createHash('sha256').update(Buffer.concat(parts)).digest()
}

export function b64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64url')
}

function roundUp(value: number, multiple: number): number {
  return Math.ceil(value / multiple) * multiple
}

function same<T>(value: T): T {
  return value
}
