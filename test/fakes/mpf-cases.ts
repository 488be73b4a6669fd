/** The adversarial kit: one failure each, named by the code it must give. A second reader of the format can be tested with it. */
import { createHmac, sign } from 'node:crypto'
import { constants } from 'node:zlib'
import { keyId, type MpfErrorCode } from '#mpf'
import {
  BLOCKS,
  b64,
  type Entry,
  type Forgery,
  forge,
  grantEntry,
  type Json,
  rawFrame,
  record,
  type SectionPlan,
  sha256,
  zstdFrame,
} from './mpf-forge.ts'
import {
  type EntryPoint,
  EXPIRES_AT_S,
  GRANT_ID,
  MADE_AT_S,
  OTHER_TENANT,
  PROFILE,
  pngHead,
  privateKey,
  publicKey,
  qoiHead,
  type Reader,
  trustBundle,
} from './mpf-world.ts'

export interface Case {
  /** Error code, slash, what is wrong. */
  readonly name: `${MpfErrorCode}/${string}`
  readonly code: MpfErrorCode
  readonly file: () => Buffer
  readonly reader: Partial<Reader>
  /** The ways in that do not meet the flaw, and must therefore succeed. */
  readonly passes: readonly EntryPoint[]
}

interface CaseOptions {
  readonly reader?: Partial<Reader>
  readonly passes?: readonly EntryPoint[]
}

const NEEDS_KEYS: readonly EntryPoint[] = ['inspect', 'keyless']
/** Where the flaw of a code is first met; a code absent here is met by every way in. */
const PASSES: Partial<Record<MpfErrorCode, readonly EntryPoint[]>> = {
  MPF_NO_GRANT: NEEDS_KEYS,
  MPF_GRANT: NEEDS_KEYS,
  MPF_GRANT_SIG: NEEDS_KEYS,
  MPF_GRANT_BINDING: NEEDS_KEYS,
  MPF_GRANT_SCOPE: NEEDS_KEYS,
  MPF_GRANT_REVOKED: NEEDS_KEYS,
  MPF_NOT_YET: NEEDS_KEYS,
  MPF_EXPIRED: NEEDS_KEYS,
  MPF_USES: NEEDS_KEYS,
  MPF_UNWRAP: NEEDS_KEYS,
  MPF_PARAMS: NEEDS_KEYS,
  MPF_KEY_COMMIT: NEEDS_KEYS,
  MPF_TREE: ['inspect'],
  MPF_SEG_HASH: ['inspect'],
  MPF_SEG_LEN: NEEDS_KEYS,
  MPF_SEG_AUTH: NEEDS_KEYS,
  MPF_NO_FINAL: NEEDS_KEYS,
  MPF_META: NEEDS_KEYS,
  MPF_INDEX: NEEDS_KEYS,
  MPF_POLICY: NEEDS_KEYS,
  MPF_DECOMPRESS: NEEDS_KEYS,
  MPF_BLOCK: NEEDS_KEYS,
  MPF_GCODE: ['seek', ...NEEDS_KEYS],
  MPF_ENVELOPE: ['seek', ...NEEDS_KEYS],
  MPF_MODAL: ['seek', ...NEEDS_KEYS],
}

function fault(name: Case['name'], forgery: Forgery, options: CaseOptions = {}): Case {
  const code = name.slice(0, name.indexOf('/')) as MpfErrorCode
  return {
    name,
    code,
    file: () => forge(forgery),
    reader: options.reader ?? {},
    passes: options.passes ?? PASSES[code] ?? [],
  }
}

/** Sets `value` at a dotted path, or removes the member when it is undefined. */
function put(path: string, value: unknown): (payload: Json) => void {
  return payload => {
    const names = path.split('.')
    const last = names.pop() ?? ''
    const place = names.reduce((at, name) => at[name] as Json, payload)
    if (value === undefined) delete place[last]
    else place[last] = value
  }
}

/** Adds `delta` to the number at a dotted path. */
function add(path: string, delta: number): (payload: Json) => void {
  return payload => {
    const value = path.split('.').reduce((at: unknown, name) => (at as Json)[name], payload)
    put(path, Number(value) + delta)(payload)
  }
}

/** Replaces the first `from`; a test whose text does not hold it would test nothing. */
function swap(from: string, to: string): (text: string) => string {
  return text => {
    if (!text.includes(from)) throw new Error(`nothing to replace: ${from}`)
    return text.replace(from, () => to)
  }
}

/** Edits one byte. */
function poke(at: number, change: (byte: number) => number): (bytes: Buffer) => Buffer {
  return bytes => {
    const place = at < 0 ? bytes.length + at : at
    bytes[place] = change(bytes[place] ?? 0)
    return bytes
  }
}

const flip = (at: number) => poke(at, byte => byte ^ 1)
const set = (at: number, value: number) => poke(at, () => value)

/** Offsets in the section table: entry `i`, its field. */
const entryAt = (i: number, field: 'type' | 'zero' | 'zeros' | 'offset' | 'length') =>
  24 + 24 * i + { type: 0, zero: 2, zeros: 4, offset: 8, length: 16 }[field]

function addU64(at: number, delta: number): (bytes: Buffer) => Buffer {
  return bytes => {
    bytes.writeBigUInt64BE(bytes.readBigUInt64BE(at) + BigInt(delta), at)
    return bytes
  }
}

const setU64 = (at: number, value: bigint) => (bytes: Buffer) => {
  bytes.writeBigUInt64BE(value, at)
  return bytes
}

function offsetOf(file: Buffer, section: number): number {
  return Number(file.readBigUInt64BE(entryAt(section, 'offset')))
}

const cutInside = (section: number, bytes: number) => (file: Buffer) =>
  file.subarray(0, offsetOf(file, section) + bytes)

const extra = (type: number, bytes: Uint8Array): SectionPlan => ({ type, bytes, align: 1 })

function insertAt(i: number, section: SectionPlan) {
  return (sections: SectionPlan[]) => sections.toSpliced(i, 0, section)
}

const CONTAINER: readonly Case[] = [
  fault('MPF_SIZE/empty-file', { file: () => Buffer.alloc(0) }),
  fault('MPF_SIZE/one-byte-below-the-least', { file: file => file.subarray(0, 1023) }),
  fault('MPF_SIZE/cut-inside-the-prelude', { file: file => file.subarray(0, 20) }),
  fault('MPF_SIZE/cut-inside-the-table', { file: file => file.subarray(0, 100) }),
  ...[0, 1, 2, 3, 4, 5, 6, 7].map(i => fault(`MPF_MAGIC/byte-${i}`, { prelude: flip(i) })),
  fault('MPF_MAGIC/text-mode-transfer', { file: swapCrLf }),
  fault('MPF_VERSION/major-0', { prelude: set(8, 0) }),
  fault('MPF_VERSION/major-2', { prelude: set(8, 2) }),
  fault('MPF_VERSION/flag-lowest', { prelude: set(11, 1) }),
  fault('MPF_VERSION/flag-highest', { prelude: set(10, 0x80) }),
  fault('MPF_LAYOUT/prelude-longer', { prelude: set(15, 24 * 6 + 1) }),
  fault('MPF_LAYOUT/prelude-length-zero', { prelude: set(15, 0) }),
  fault('MPF_LAYOUT/prelude-reserved-16', { prelude: set(19, 1) }),
  fault('MPF_LAYOUT/prelude-reserved-32', { prelude: set(23, 1) }),
  fault('MPF_LAYOUT/four-sections', { sections: sections => sections.slice(0, 4) }),
  fault('MPF_LAYOUT/seventeen-sections', {
    sections: sections => [
      ...sections,
      ...Array.from({ length: 12 }, (_, i) => extra(0x10 + i, Buffer.alloc(0))),
    ],
  }),
  fault('MPF_LAYOUT/entry-reserved-16', { prelude: set(entryAt(2, 'zero') + 1, 1) }),
  fault('MPF_LAYOUT/entry-reserved-32', { prelude: set(entryAt(4, 'zeros'), 1) }),
  fault('MPF_LAYOUT/offset-one-later', { prelude: addU64(entryAt(1, 'offset'), 1) }),
  fault('MPF_LAYOUT/sections-overlap', { prelude: addU64(entryAt(1, 'offset'), -1) }),
  fault('MPF_LAYOUT/sections-share-bytes', {
    prelude: bytes =>
      setU64(entryAt(1, 'offset'), bytes.readBigUInt64BE(entryAt(0, 'offset')))(bytes),
  }),
  fault('MPF_LAYOUT/enc-not-aligned', { sections: sections => align(sections, 4, 1) }),
  fault('MPF_LAYOUT/enc-one-segment-later', { sections: sections => align(sections, 4, 16384) }),
  fault('MPF_LAYOUT/enc-aligned-for-the-other-segment-size', {
    sections: sections => align(sections, 4, 65536),
  }),
  fault('MPF_LAYOUT/tre-aligned', { sections: sections => align(sections, 3, 4096) }),
  fault('MPF_LAYOUT/gap-not-zero', { file: file => flip(offsetOf(file, 4) - 1)(file) }),
  fault('MPF_LAYOUT/gap-first-byte-not-zero', {
    file: file => {
      const end = offsetOf(file, 3) + Number(file.readBigUInt64BE(entryAt(3, 'length')))
      return flip(end)(file)
    },
  }),
  fault('MPF_LAYOUT/offset-2-to-the-63', { prelude: setU64(entryAt(1, 'offset'), 1n << 63n) }),
  fault('MPF_LAYOUT/offset-2-to-the-37', { prelude: setU64(entryAt(4, 'offset'), 1n << 37n) }),
  fault('MPF_LAYOUT/length-2-to-the-40', { prelude: setU64(entryAt(4, 'length'), 1n << 40n) }),
  fault('MPF_LAYOUT/length-all-ones', { prelude: setU64(entryAt(4, 'length'), (1n << 64n) - 1n) }),
  fault('MPF_LAYOUT/length-wraps-to-the-truth', {
    prelude: bytes =>
      setU64(
        entryAt(4, 'length'),
        bytes.readBigUInt64BE(entryAt(4, 'length')) + (1n << 63n),
      )(bytes),
  }),
  fault('MPF_LAYOUT/pub-too-long', { pubText: text => text + ' '.repeat(4096) }),
  fault('MPF_LAYOUT/man-too-long', { manifestText: text => text + ' '.repeat(65536) }),
  fault('MPF_LAYOUT/grants-too-long', {
    grants: section => Buffer.concat([section, Buffer.alloc(1024 * 1024)]),
  }),
  fault('MPF_LAYOUT/pub-and-man-reordered', { sections: sections => move(sections, 0, 1) }),
  fault('MPF_LAYOUT/grants-before-man', { sections: sections => move(sections, 2, 1) }),
  fault('MPF_LAYOUT/enc-before-tre', { sections: sections => move(sections, 3, 4) }),
  fault('MPF_LAYOUT/man-twice', {
    sections: sections => [...sections, { ...(sections[1] as SectionPlan) }],
  }),
  fault('MPF_LAYOUT/grants-twice', {
    sections: sections => sections.toSpliced(3, 0, { ...(sections[2] as SectionPlan) }),
  }),
  fault('MPF_LAYOUT/unknown-section-twice', {
    sections: sections => [...sections, extra(0x10, Buffer.of(1)), extra(0x10, Buffer.of(1))],
  }),
  ...['pub', 'man', 'grt', 'tre', 'enc'].map((name, i) =>
    fault(`MPF_LAYOUT/without-${name}`, {
      sections: sections => sections.with(i, { ...(sections[i] as SectionPlan), type: 0x10 }),
    }),
  ),
  fault('MPF_CRIT/unknown-critical-section', {
    sections: insertAt(2, extra(0x8010, Buffer.from('new'))),
  }),
  fault('MPF_CRIT/unknown-critical-section-at-the-end', {
    sections: sections => [...sections, extra(0xffff, Buffer.alloc(0))],
  }),
  fault('MPF_CRIT/grants-marked-critical', {
    sections: sections => sections.with(2, { ...(sections[2] as SectionPlan), type: 0x8003 }),
  }),
  fault('MPF_TRUNCATED/last-byte-missing', { file: file => file.subarray(0, -1) }),
  fault('MPF_TRUNCATED/last-segment-missing', { file: file => file.subarray(0, -4096) }),
  fault('MPF_TRUNCATED/body-missing', { file: cutInside(4, 4096) }),
  fault('MPF_TRUNCATED/cut-inside-meta', { file: cutInside(4, 100) }),
  fault('MPF_TRUNCATED/enc-missing', { file: cutInside(4, 0) }),
  fault('MPF_TRUNCATED/cut-inside-tre', { file: cutInside(3, 64) }),
  fault('MPF_TRUNCATED/tre-missing', { file: cutInside(3, 0) }),
  fault('MPF_TRUNCATED/cut-inside-grants', { file: cutInside(2, 40) }),
  fault('MPF_TRUNCATED/grants-missing', { file: cutInside(2, 0) }),
  fault('MPF_TRUNCATED/cut-inside-man', {
    file: file => file.subarray(0, Math.max(1024, offsetOf(file, 1) + 100)),
  }),
  fault('MPF_TRUNCATED/length-one-more', { prelude: addU64(entryAt(4, 'length'), 1) }),
  fault('MPF_TRAILING/one-zero-byte', { file: append(Buffer.alloc(1)) }),
  fault('MPF_TRAILING/one-segment-more', { file: append(Buffer.alloc(4096, 7)) }),
  fault('MPF_TRAILING/zip-after-the-end', {
    file: append(Buffer.from('PK\x05\x06'.padEnd(22, '\0'))),
  }),
  fault('MPF_TRAILING/length-one-less', { prelude: addU64(entryAt(4, 'length'), -1) }),
]

function swapCrLf(file: Buffer): Buffer {
  return Buffer.concat([file.subarray(0, 4), file.subarray(5)])
}

function append(bytes: Uint8Array): (file: Buffer) => Buffer {
  return file => Buffer.concat([file, bytes])
}

function align(sections: SectionPlan[], i: number, to: number): SectionPlan[] {
  return sections.with(i, { ...(sections[i] as SectionPlan), align: to })
}

function move(sections: SectionPlan[], from: number, to: number): SectionPlan[] {
  const section = sections[from] as SectionPlan
  return sections.toSpliced(from, 1).toSpliced(to, 0, section)
}

/** A member more in a JOSE header. */
const headerMember = (member: string) => (header: string) => header.replace(/}$/, `,${member}}`)

/** Changes one of a compact serialisation's parts. */
const part = (i: number, change: (part: string) => string) => (compact: string) => {
  const parts = compact.split('.')
  parts[i] = change(parts[i] ?? '')
  return parts.join('.')
}

/** The same bytes in base64url with the unused last bits set. */
function looseBits(text: string): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  const last = alphabet.indexOf(text.at(-1) ?? '')
  if (text.length % 4 === 0) throw new Error('no unused bits')
  return text.slice(0, -1) + alphabet[last | 1]
}

/** Signs the manifest again with another header, whatever that header says, by `make`. */
function resign(header: string, make: (input: Buffer) => Uint8Array) {
  return (jws: string) => {
    const input = `${b64(Buffer.from(header))}.${jws.split('.')[1]}`
    return `${input}.${b64(make(Buffer.from(input)))}`
  }
}

const KID = keyId(publicKey('publisher'))
const KID_384 = keyId(publicKey('publisher384'))
const hmacWithPublicKey = (input: Buffer) =>
  createHmac('sha256', publicKey('publisher').export({ format: 'pem', type: 'spki' }))
    .update(input)
    .digest()

/** Spoiled header texts that no reader may take, for either JWS. */
const HEADERS: readonly (readonly [string, (header: string) => string])[] = [
  ['jwk', headerMember(`"jwk":${JSON.stringify(publicKey('stranger').export({ format: 'jwk' }))}`)],
  ['jku', headerMember('"jku":"https://example.invalid/keys"')],
  ['x5u', headerMember('"x5u":"https://example.invalid/chain"')],
  ['x5c', headerMember('"x5c":["AA"]')],
  ['crit', headerMember('"crit":["exp"],"exp":1')],
  ['zip', headerMember('"zip":"DEF"')],
  ['b64', headerMember('"b64":true')],
  ['cty', headerMember('"cty":"json"')],
  ['unknown-member', headerMember('"x":1')],
  ['proto-member', headerMember('"__proto__":{"alg":"none"}')],
  ['duplicate-kid', headerMember(`"kid":"${KID}"`)],
  ['duplicate-alg-escaped', headerMember('"\\u0061lg":"EdDSA"')],
  ['comma-member', header => header.replace('"alg"', '"alg,kid"').replace(/"kid":"[^"]*",/, '')],
  ['kid-a-number', header => header.replace(/"kid":"[^"]*"/, '"kid":1')],
  ['without-kid', header => header.replace(/"kid":"[^"]*",/, '')],
  ['without-typ', header => header.replace(/,"typ":"[^"]*"/, '')],
  ['typ-upper-case', header => header.replace('mpf-', 'MPF-')],
  ['typ-jwt', header => header.replace(/"typ":"[^"]*"/, '"typ":"JWT"')],
  ['byte-order-mark', header => `\ufeff${header}`],
  ['trailing-text', header => `${header} x`],
  ['array', header => `[${header}]`],
  ['not-json', () => 'alg'],
  ['empty', () => ''],
]

const SPELLINGS: readonly (readonly [string, (jws: string) => string])[] = [
  ['padding-in-header', part(0, text => `${text}=`)],
  ['padding-in-payload', part(1, text => `${text}=`)],
  ['padding-in-signature', part(2, text => `${text}==`)],
  ['space-before', jws => ` ${jws}`],
  ['newline-after', jws => `${jws}\n`],
  ['space-in-payload', part(1, text => `${text.slice(0, 10)} ${text.slice(10)}`)],
  ['newline-in-signature', part(2, text => `${text.slice(0, 10)}\n${text.slice(10)}`)],
  ['loose-bits-in-signature', part(2, looseBits)],
  ['standard-alphabet', part(2, text => `+${text.slice(1)}`)],
  ['two-parts', jws => jws.slice(0, jws.lastIndexOf('.'))],
  ['four-parts', jws => `${jws}.`],
  ['empty-text', () => ''],
  ['nul-bytes', jws => `${jws}\0`],
]

const MANIFEST: readonly Case[] = [
  ...HEADERS.map(([name, spoil]) => fault(`MPF_HEADER/${name}`, { manifestHeader: spoil })),
  ...SPELLINGS.map(([name, spoil]) => fault(`MPF_HEADER/${name}`, { manifestJws: spoil })),
  fault('MPF_HEADER/grant-type', { manifestHeader: swap('mpf-manifest', 'mpf-grant') }),
  fault('MPF_HEADER/signatures-in-flattened-json', {
    manifestJws: jws => {
      const [header, payload, signature] = jws.split('.')
      return JSON.stringify({ payload, protected: header, signature })
    },
  }),
  fault('MPF_ALG/none', {
    manifestHeader: swap('"EdDSA"', '"none"'),
    manifestJws: part(2, () => ''),
  }),
  fault('MPF_ALG/none-with-signature', { manifestHeader: swap('"EdDSA"', '"none"') }),
  fault('MPF_ALG/hs256-with-the-public-key', {
    manifestJws: resign(
      `{"alg":"HS256","kid":"${KID}","typ":"mpf-manifest+jws"}`,
      hmacWithPublicKey,
    ),
  }),
  fault('MPF_ALG/es384-for-an-ed25519-key', {
    manifestJws: resign(`{"alg":"ES384","kid":"${KID}","typ":"mpf-manifest+jws"}`, input =>
      sign('sha384', input, { key: privateKey('stranger384'), dsaEncoding: 'ieee-p1363' }),
    ),
  }),
  fault('MPF_ALG/ed25519-spelled-otherwise', { manifestHeader: swap('"EdDSA"', '"Ed25519"') }),
  fault('MPF_ALG/es256-for-a-p384-key', {
    publisher: 'publisher384',
    manifestHeader: swap('"ES384"', '"ES256"'),
  }),
  fault('MPF_ALG/ps256-for-a-ps384-key', {
    publisher: 'publisherRsa',
    manifestHeader: swap('"PS384"', '"PS256"'),
  }),
  fault('MPF_ALG/rs384-for-a-ps384-key', {
    publisher: 'publisherRsa',
    manifestHeader: swap('"PS384"', '"RS384"'),
  }),
  fault('MPF_ALG/alg-a-number', { manifestHeader: swap('"EdDSA"', '1') }),
  fault('MPF_SIGNER/unknown-key', { publisher: 'stranger' }),
  fault('MPF_SIGNER/grant-issuer-signs-a-manifest', { publisher: 'issuer' }),
  fault('MPF_SIGNER/kid-of-another-case', { manifestHeader: swap(KID, KID.toLowerCase()) }),
  fault('MPF_SIGNER/empty-kid', { manifestHeader: swap(KID, '') }),
  fault('MPF_SIGNER/kid-of-the-prototype', { manifestHeader: swap(KID, '__proto__') }),
  fault('MPF_SIGNER/key-of-another-tenant', {}, { reader: { trust: trustBundle({ keys: [] }) } }),
  fault('MPF_SIGNATURE/payload-changed', {
    manifestJws: part(1, text =>
      b64(Buffer.from(Buffer.from(text, 'base64url').toString().replace('"seq":3', '"seq":9'))),
    ),
  }),
  fault('MPF_SIGNATURE/signature-bit-flipped', {
    manifestJws: part(2, text => b64(flip(40)(Buffer.from(text, 'base64url')))),
  }),
  fault('MPF_SIGNATURE/signature-all-zero', { manifestJws: part(2, () => b64(Buffer.alloc(64))) }),
  fault('MPF_SIGNATURE/signature-empty', { manifestJws: part(2, () => '') }),
  fault('MPF_SIGNATURE/signature-one-byte-longer', {
    manifestJws: part(2, text => b64(append(Buffer.of(0))(Buffer.from(text, 'base64url')))),
  }),
  fault('MPF_SIGNATURE/stranger-claims-the-kid', {
    manifestJws: resign(`{"alg":"EdDSA","kid":"${KID}","typ":"mpf-manifest+jws"}`, input =>
      sign(null, input, privateKey('stranger')),
    ),
  }),
  fault('MPF_SIGNATURE/p384-signature-in-der', {
    publisher: 'publisher384',
    manifestJws: resign(`{"alg":"ES384","kid":"${KID_384}","typ":"mpf-manifest+jws"}`, input =>
      sign('sha384', input, privateKey('publisher384')),
    ),
  }),
  fault('MPF_SIGNATURE/p384-all-zero', {
    publisher: 'publisher384',
    manifestJws: part(2, () => b64(Buffer.alloc(96))),
  }),
  fault('MPF_SIGNATURE/header-spaced-without-signing', {
    manifestJws: part(0, text =>
      b64(Buffer.from(Buffer.from(text, 'base64url').toString().replace('{', '{ '))),
    ),
  }),
  ...(
    [
      ['duplicate-member', text => text.replace('{"v":1', '{"v":1,"v":1')],
      ['duplicate-nested-member', swap('"cmp":"zstd"', '"cmp":"zstd","\\u0063mp":"zstd"')],
      ['proto-member', swap('"crit":[]', '"crit":[],"__proto__":{}')],
      ['proto-in-ext', swap('"ext":{}', '"ext":{"__proto__":{"v":2}}')],
      ['depth-7', swap('"ext":{}', '"ext":{"a":[[[[[[[]]]]]]]}')],
      [
        'depth-100000',
        text => text.replace('"ext":{}', `"ext":{"a":${'['.repeat(20000)}${']'.repeat(20000)}}`),
      ],
      ['exponent', swap('"seq":3', '"seq":1e3')],
      ['minus-zero', swap('"seq":3', '"seq":-0')],
      ['float', swap('"seq":3', '"seq":3.0')],
      ['leading-zero', swap('"seq":3', '"seq":03')],
      ['plus-sign', swap('"seq":3', '"seq":+3')],
      ['two-to-the-53', swap('"seq":3', '"seq":9007199254740992')],
      ['hexadecimal', swap('"seq":3', '"seq":0x3')],
      ['nan', swap('"seq":3', '"seq":NaN')],
      ['a-number-as-a-string', swap('"seq":3', '"seq":"3"')],
      ['byte-order-mark', text => `\ufeff${text}`],
      ['trailing-text', text => `${text}{}`],
      ['trailing-nul', text => `${text}\0`],
      ['trailing-comma', swap('"ext":{}', '"ext":{},')],
      ['comment', swap('"ext":{}', '/* */"ext":{}')],
      ['single-quotes', swap('"zstd"', "'zstd'")],
      ['lone-surrogate', swap('"test publisher"', '"\\ud800"')],
      ['raw-control-character', swap('"test publisher"', '"a\tb"')],
      ['string-of-4097', swap('"test publisher"', `"${'a'.repeat(4097)}"`)],
      [
        'not-utf-8',
        text =>
          Buffer.concat([
            Buffer.from(text.slice(0, -1)),
            Buffer.from([0xc0, 0x80]),
            Buffer.from('}'),
          ]),
      ],
      ['utf-16', text => Buffer.from(text, 'utf16le')],
      ['empty', () => ''],
      ['null', () => 'null'],
      ['array', text => `[${text}]`],
      ['unclosed', text => text.slice(0, -1)],
    ] as readonly (readonly [string, (text: string) => string | Uint8Array])[]
  ).map(([name, spoil]) => fault(`MPF_MANIFEST/json-${name}`, { manifestText: spoil })),
  ...(
    [
      ['unknown-member', put('extra', 1)],
      ['unknown-nested-member', put('enc.body.extra', 1)],
      ['without-policy', put('pol', undefined)],
      ['version-2', put('v', 2)],
      ['other-cipher', put('enc.alg', 'FLOE-A128GCM')],
      ['other-tree', put('tree.alg', 'fsverity-sha512')],
      ['other-compression', put('cmp', 'brotli')],
      ['segment-of-8192', put('tree.bs', 8192)],
      ['salt-of-33-bytes', put('tree.salt', b64(Buffer.alloc(33)))],
      ['salt-not-canonical', put('tree.salt', 'AB')],
      ['digest-of-31-bytes', put('tree.dig', b64(Buffer.alloc(31)))],
      ['negative-length', put('tree.len', -1)],
      ['stream-header-of-73-bytes', put('enc.meta.hdr', b64(Buffer.alloc(73)))],
      ['metadata-above-16-mib', put('enc.meta.plen', 16 * 1024 * 1024 + 1)],
      ['no-lines', put('enc.body.lines', 0)],
      ['no-blocks', put('enc.body.blocks', 0)],
      ['too-many-blocks', put('enc.body.blocks', 65537)],
      ['word-in-lower-case', put('pol.words', ['g1'])],
      ['word-with-leading-zero', put('pol.words', ['G01'])],
      ['line-of-97-bytes', put('pol.line', 97)],
      ['without-extrusion-cap', put('pol.extrusionUmPerMm', undefined)],
      ['negative-extrusion-cap', put('pol.extrusionUmPerMm', -1)],
      ['extrusion-cap-of-33-bits', put('pol.extrusionUmPerMm', 2 ** 32)],
      [
        'range-upside-down',
        (payload: Json) => {
          put('pol.minUm', [0, 0, 2])(payload)
          put('pol.maxUm', [0, 0, 0])(payload)
        },
      ],
      ['position-of-33-bits', put('pol.maxUm', [2 ** 31, 0, 0])],
      ['five-hotends', put('pol.hotendDeciC', [1, 1, 1, 1, 1])],
      ['file-id-of-15-bytes', put('fid', b64(Buffer.alloc(15)))],
    ] as const
  ).map(([name, spoil]) => fault(`MPF_MANIFEST/${name}`, { manifest: spoil })),
  fault('MPF_CRIT/manifest-extension', { manifest: put('crit', ['next']) }),
  fault('MPF_BINDING/pub-changed', { pubAfter: flip(-20) }),
  fault('MPF_BINDING/pub-space-appended', { pubAfter: append(Buffer.from(' ')) }),
  fault('MPF_BINDING/other-file-id-in-pub', { pub: put('fid', b64(Buffer.alloc(16, 1))) }),
  fault('MPF_BINDING/other-tenant-in-pub', { pub: put('ten', OTHER_TENANT) }),
  fault('MPF_BINDING/pub-unknown-member', { pub: put('note', 'x') }),
  fault('MPF_BINDING/pub-duplicate-member', { pubText: swap('{"fmt"', '{"v":1,"fmt"') }),
  fault('MPF_BINDING/pub-not-json', { pubText: () => 'mpf' }),
  fault('MPF_BINDING/pub-other-format', { pub: put('fmt', 'mpg') }),
  fault('MPF_TENANT/other-tenant', {
    pub: put('ten', OTHER_TENANT),
    manifest: put('ten', OTHER_TENANT),
  }),
  fault('MPF_TENANT/printer-of-another-tenant', {}, { reader: { tenant: OTHER_TENANT } }),
  fault(
    'MPF_TENANT/trust-of-another-tenant',
    {},
    {
      reader: { trust: trustBundle({ tenant: OTHER_TENANT }) },
    },
  ),
  fault('MPF_REVOKED/manifest', {}, { reader: { trust: revoking(forge()) } }),
  fault('MPF_REVOKED/signer-expired', { publisher: 'expiredPublisher' }),
  fault('MPF_REVOKED/signer-not-valid-yet', { publisher: 'futurePublisher' }),
  fault('MPF_REVOKED/clock-before-every-signer', {}, { reader: { atMs: 0 } }),
  fault('MPF_ROLLBACK/older-revision', {}, { reader: { seqFloor: 4 } }),
  fault('MPF_PQ/classical-manifest', {}, { reader: { trust: trustBundle({ pq: 'required' }) } }),
  ...(
    [
      ['tree-length', add('tree.len', 1)],
      ['tree-length-huge', put('tree.len', Number.MAX_SAFE_INTEGER)],
      ['segment-size-differs', put('enc.seg', 65536)],
      [
        'segment-size-of-the-other',
        (payload: Json) => {
          put('enc.seg', 65536)(payload)
          put('tree.bs', 65536)(payload)
        },
      ],
      ['metadata-cipher-length', add('enc.meta.clen', 1)],
      ['metadata-plain-length', add('enc.meta.plen', 1)],
      ['body-cipher-length', add('enc.body.clen', -1)],
      ['body-plain-length', add('enc.body.plen', -1)],
      [
        'body-length-huge',
        (payload: Json) => {
          put('enc.body.plen', Number.MAX_SAFE_INTEGER)(payload)
          put('enc.body.clen', Number.MAX_SAFE_INTEGER)(payload)
        },
      ],
      ['more-lines-than-bytes', put('enc.body.lines', 1_000_000)],
      [
        'more-blocks-than-lines',
        (payload: Json) => {
          put('enc.body.lines', 2)(payload)
          put('enc.body.blocks', 3)(payload)
        },
      ],
    ] as const
  ).map(([name, spoil]) => fault(`MPF_LAYOUT/manifest-${name}`, { manifest: spoil })),
  fault('MPF_LAYOUT/tree-one-block-longer', {
    tree: tree => Buffer.concat([tree, Buffer.alloc(4096)]),
  }),
  fault('MPF_LAYOUT/tree-empty', { tree: () => Buffer.alloc(0) }),
  fault('MPF_LAYOUT/segment-appended-to-enc', {
    ciphertext: append(Buffer.alloc(4096)),
  }),
  fault('MPF_LAYOUT/segment-dropped-from-enc', {
    ciphertext: (enc, { bodyAt }) =>
      Buffer.concat([enc.subarray(0, bodyAt + 4096), enc.subarray(bodyAt + 2 * 4096)]),
  }),
]

function revoking(file: Buffer) {
  return trustBundle({ revoked: { manifests: [b64(sha256(payloadOf(file)))], grants: [] } })
}

/** What the publisher signed in a file. */
export function payloadOf(file: Buffer): Buffer {
  const at = offsetOf(file, 1)
  const man = file.toString('latin1', at, at + Number(file.readBigUInt64BE(entryAt(1, 'length'))))
  return Buffer.from(man.split('.')[1] ?? '', 'base64url')
}

const layout = { passes: NEEDS_KEYS } as const

const GRANTS: readonly Case[] = [
  fault('MPF_NO_GRANT/none-in-the-file', { grants: () => Buffer.alloc(0) }),
  fault(
    'MPF_NO_GRANT/for-another-printer',
    {},
    {
      reader: { printer: 'otherPrinter', recipientIds: [keyId(publicKey('otherPrinter'))] },
    },
  ),
  fault(
    'MPF_NO_GRANT/entry-relabelled-for-me',
    {},
    {
      reader: {
        printer: 'otherPrinter',
        recipientIds: [keyId(publicKey('otherPrinter'))],
        detached: grantOf(forge()),
      },
    },
  ),
  fault('MPF_NO_GRANT/subject-of-another-printer', {
    grant: put('sub', keyId(publicKey('otherPrinter'))),
  }),
  fault(
    'MPF_LAYOUT/grant-overruns',
    {
      grants: section => {
        section.writeUInt16BE(section.readUInt16BE(32) + 1, 32)
        return section
      },
    },
    layout,
  ),
  fault(
    'MPF_LAYOUT/grant-for-one-printer-twice',
    {
      grants: section => Buffer.concat([section, section]),
    },
    layout,
  ),
  fault(
    'MPF_LAYOUT/grant-padding-not-zero',
    {
      grants: append(Buffer.from([0, 0, 1])),
    },
    layout,
  ),
  fault(
    'MPF_LAYOUT/grant-recipient-without-a-grant',
    {
      grants: append(Buffer.alloc(34, 0).fill(7, 0, 32)),
    },
    layout,
  ),
  fault(
    'MPF_LAYOUT/257-grants',
    {
      grants: section =>
        Buffer.concat([
          section,
          ...Array.from({ length: 256 }, (_, i) =>
            grantEntry(b64(sha256(Buffer.of(i))), Buffer.from('a')),
          ),
        ]),
    },
    layout,
  ),
  ...HEADERS.map(([name, spoil]) => fault(`MPF_GRANT_SIG/${name}`, { grantHeader: spoil })),
  ...SPELLINGS.filter(([name]) => name !== 'empty-text').map(([name, spoil]) =>
    fault(`MPF_GRANT_SIG/${name}`, { grantJws: spoil }),
  ),
  fault('MPF_GRANT_SIG/manifest-type', { grantHeader: swap('mpf-grant', 'mpf-manifest') }),
  fault('MPF_GRANT_SIG/revocation-type', { grantHeader: swap('mpf-grant', 'mpf-revoke') }),
  fault('MPF_GRANT_SIG/none', {
    grantHeader: swap('"EdDSA"', '"none"'),
    grantJws: part(2, () => ''),
  }),
  fault('MPF_GRANT_SIG/unknown-issuer', { issuer: 'stranger' }),
  fault('MPF_GRANT_SIG/publisher-signs-a-grant', { issuer: 'publisher' }),
  fault('MPF_GRANT_SIG/issuer-expired', { issuer: 'expiredIssuer' }),
  fault('MPF_GRANT_SIG/signature-bit-flipped', {
    grantJws: part(2, text => b64(flip(3)(Buffer.from(text, 'base64url')))),
  }),
  fault('MPF_GRANT_SIG/more-prints-without-signing', {
    grantJws: part(1, text =>
      b64(Buffer.from(Buffer.from(text, 'base64url').toString().replace('"max":1', '"max":0'))),
    ),
  }),
  ...(
    [
      ['duplicate-member', swap('"max":1', '"max":1,"max":0')],
      ['exponent', swap('"max":1', '"max":1e3')],
      ['minus-zero', swap('"max":1', '"max":-0')],
      ['byte-order-mark', text => `\ufeff${text}`],
      ['trailing-text', text => `${text}x`],
      ['depth', swap('"max":1', '"max":[[[[[[[1]]]]]]]')],
      ['proto-member', swap('"max":1', '"max":1,"__proto__":{"max":0}')],
      ['lone-surrogate', swap('"test issuer"', '"\\udfff"')],
    ] as readonly (readonly [string, (text: string) => string])[]
  ).map(([name, spoil]) => fault(`MPF_GRANT/json-${name}`, { grantText: spoil })),
  ...(
    [
      ['unknown-member', put('extra', 1)],
      ['without-expiry', put('exp', undefined)],
      ['negative-uses', put('max', -1)],
      ['unknown-scope', put('scope', 'admin')],
      ['unknown-agreement', put('ka', 'RSA')],
      ['version-2', put('v', 2)],
      ['id-of-15-bytes', put('jti', b64(Buffer.alloc(15)))],
      ['expiry-beyond-year-9999', put('exp', 253402300800)],
      ['wrapped-keys-too-long', put('k', 'A'.repeat(4097))],
    ] as const
  ).map(([name, spoil]) => fault(`MPF_GRANT/${name}`, { grant: spoil })),
  fault('MPF_GRANT_BINDING/other-manifest', { grant: put('mfd', b64(Buffer.alloc(32))) }),
  fault('MPF_GRANT_BINDING/other-file', { grant: put('fid', b64(Buffer.alloc(16))) }),
  fault('MPF_GRANT_BINDING/other-tenant', { grant: put('ten', OTHER_TENANT) }),
  fault(
    'MPF_GRANT_BINDING/grant-of-an-older-revision',
    {},
    {
      reader: { detached: grantOf(forge({ manifest: put('seq', 2) })) },
    },
  ),
  fault('MPF_GRANT_SCOPE/view-grant-to-print', {
    grant: put('scope', 'view'),
    wrapped: keys => keys.subarray(0, 32),
  }),
  fault(
    'MPF_GRANT_REVOKED/by-id',
    {},
    {
      reader: { trust: trustBundle({ revoked: { manifests: [], grants: [b64(GRANT_ID)] } }) },
    },
  ),
  fault('MPF_GRANT_REVOKED/closed-epoch', {}, { reader: { epochFloor: 6 } }),
  fault('MPF_NOT_YET/more-than-five-minutes-early', {
    grant: put('nbf', MADE_AT_S + 86400 + 301),
  }),
  fault('MPF_EXPIRED/one-second-late', { grant: put('exp', MADE_AT_S + 86400 - 1) }),
  fault('MPF_EXPIRED/expired-before-it-began', {
    grant: payload => {
      put('nbf', MADE_AT_S)(payload)
      put('exp', MADE_AT_S - 1)(payload)
    },
  }),
  fault('MPF_EXPIRED/a-month-later', {}, { reader: { atMs: EXPIRES_AT_S * 1000 + 1 } }),
  fault('MPF_USES/used-up', {}, { reader: { uses: 1 } }),
  fault('MPF_USES/more-uses-than-granted', {}, { reader: { uses: 100 } }),
]

function grantOf(file: Buffer): Uint8Array {
  const at = offsetOf(file, 2)
  return file.subarray(at + 34, at + Number(file.readBigUInt64BE(entryAt(2, 'length'))))
}

const KEYS: readonly Case[] = [
  fault('MPF_UNWRAP/wrapped-for-another-printer', { jweRecipient: 'otherPrinter' }),
  fault('MPF_UNWRAP/wrong-private-key', {}, { reader: { printer: 'otherPrinter' } }),
  fault('MPF_UNWRAP/other-grant-id-in-apu', { jweHeader: put('apu', b64(Buffer.from('other'))) }),
  fault('MPF_UNWRAP/other-printer-in-apv', { jweHeader: put('apv', b64(Buffer.from('other'))) }),
  fault('MPF_UNWRAP/without-apu', { jweHeader: put('apu', undefined) }),
  fault('MPF_UNWRAP/direct-agreement', { jweHeader: put('alg', 'ECDH-ES') }),
  fault('MPF_UNWRAP/aes-128-wrap', { jweHeader: put('alg', 'ECDH-ES+A128KW') }),
  fault('MPF_UNWRAP/pbes2', { jweHeader: put('alg', 'PBES2-HS256+A128KW') }),
  fault('MPF_UNWRAP/cbc', { jweHeader: put('enc', 'A256CBC-HS512') }),
  fault('MPF_UNWRAP/zip', { jweHeader: put('zip', 'DEF') }),
  fault('MPF_UNWRAP/crit', { jweHeader: put('crit', ['exp']) }),
  fault('MPF_UNWRAP/header-duplicate-member', {
    jweHeaderText: swap('{"alg"', '{"alg":"ECDH-ES+A256KW","alg"'),
  }),
  fault('MPF_UNWRAP/ephemeral-key-not-on-the-curve', {
    jweHeader: put('epk.x', b64(Buffer.alloc(48, 1))),
  }),
  fault('MPF_UNWRAP/ephemeral-key-zero', {
    jweHeader: payload => {
      put('epk.x', b64(Buffer.alloc(48)))(payload)
      put('epk.y', b64(Buffer.alloc(48)))(payload)
    },
  }),
  fault('MPF_UNWRAP/ephemeral-key-on-p256', {
    jweHeader: put('epk', publicKey('publisher256').export({ format: 'jwk' })),
  }),
  fault('MPF_UNWRAP/ephemeral-key-with-a-private-part', {
    jweHeader: put('epk.d', b64(Buffer.alloc(48, 1))),
  }),
  fault('MPF_UNWRAP/ephemeral-key-of-47-bytes', {
    jweHeader: put('epk.x', b64(Buffer.alloc(47, 1))),
  }),
  fault('MPF_UNWRAP/without-ephemeral-key', { jweHeader: put('epk', undefined) }),
  fault('MPF_UNWRAP/padding-in-the-tag', { jwe: part(4, text => `${text}==`) }),
  fault('MPF_UNWRAP/short-tag', {
    jwe: part(4, text => b64(Buffer.from(text, 'base64url').subarray(0, 4))),
  }),
  fault('MPF_UNWRAP/tag-bit-flipped', {
    jwe: part(4, text => b64(flip(0)(Buffer.from(text, 'base64url')))),
  }),
  fault('MPF_UNWRAP/wrapped-key-bit-flipped', {
    jwe: part(1, text => b64(flip(0)(Buffer.from(text, 'base64url')))),
  }),
  fault('MPF_UNWRAP/wrapped-key-missing', { jwe: part(1, () => '') }),
  fault('MPF_UNWRAP/iv-of-11-bytes', { jwe: part(2, () => b64(Buffer.alloc(11))) }),
  fault('MPF_UNWRAP/ciphertext-bit-flipped', {
    jwe: part(3, text => b64(flip(0)(Buffer.from(text, 'base64url')))),
  }),
  fault('MPF_UNWRAP/four-parts', { jwe: jwe => jwe.slice(0, jwe.lastIndexOf('.')) }),
  fault('MPF_UNWRAP/empty', { jwe: () => '' }),
  fault('MPF_UNWRAP/keys-of-63-bytes', { wrapped: keys => keys.subarray(1) }),
  fault('MPF_UNWRAP/keys-of-65-bytes', { wrapped: append(Buffer.of(0)) }),
  fault('MPF_UNWRAP/view-keys-in-a-print-grant', { wrapped: keys => keys.subarray(0, 32) }),
  fault('MPF_UNWRAP/hybrid-claimed-for-a-jwe', { grant: put('ka', 'HPKE-0051') }),
  fault('MPF_PARAMS/other-cipher', { streamHeader: inStream('meta', set(0, 1)) }),
  fault('MPF_PARAMS/other-kdf', { streamHeader: inStream('meta', set(1, 1)) }),
  fault('MPF_PARAMS/other-segment-length', { streamHeader: inStream('meta', set(5, 1)) }),
  fault('MPF_PARAMS/other-iv-length', { streamHeader: inStream('meta', set(9, 31)) }),
  fault('MPF_PARAMS/body', { streamHeader: inStream('body', set(0, 1)) }),
  fault('MPF_KEY_COMMIT/header-iv', { streamHeader: inStream('meta', flip(10)) }),
  fault('MPF_KEY_COMMIT/header-tag-first-bit', { streamHeader: inStream('meta', flip(42)) }),
  fault('MPF_KEY_COMMIT/header-tag-last-bit', { streamHeader: inStream('body', flip(-1)) }),
  fault('MPF_KEY_COMMIT/keys-swapped', {
    wrapped: keys => Buffer.concat([keys.subarray(32), keys.subarray(0, 32)]),
  }),
  fault('MPF_KEY_COMMIT/other-body-key', { wrapped: flip(63) }),
  fault('MPF_KEY_COMMIT/streams-exchanged', {
    context: context => {
      context[5] = (context[5] ?? 0) ^ 3
      return context
    },
  }),
  fault('MPF_KEY_COMMIT/bound-to-another-file', { context: flip(6) }),
  fault('MPF_KEY_COMMIT/bound-to-another-public-header', { context: flip(-1) }),
]

function inStream(stream: 'meta' | 'body', change: (header: Buffer) => Buffer) {
  return (header: Buffer, of: 'meta' | 'body') => (of === stream ? change(header) : header)
}

const SEG = 4096
const segmentOf = (enc: Buffer, at: number, i: number) =>
  enc.subarray(at + i * SEG, at + (i + 1) * SEG)

const INTEGRITY: readonly Case[] = [
  fault('MPF_TREE/leaf-hash-flipped', { tree: flip(0) }),
  fault('MPF_TREE/leaf-padding-not-zero', { tree: flip(-1) }),
  fault('MPF_TREE/tree-all-zero', { tree: tree => Buffer.alloc(tree.length) }),
  fault('MPF_TREE/other-digest', { manifest: put('tree.dig', b64(Buffer.alloc(32))) }),
  fault('MPF_TREE/other-salt', { manifest: put('tree.salt', b64(Buffer.alloc(32))) }),
  fault('MPF_TREE/shorter-salt', { manifest: put('tree.salt', b64(Buffer.alloc(31, 0x77))) }),
  fault('MPF_TREE/insider-rewrites-segment-and-tree', {
    ciphertext: (enc, insider) =>
      rewrite(enc, insider.bodyAt + 3 * SEG, insider.seal(room('G1'), 3, false)),
    tree: tree => Buffer.concat([sha256(Buffer.from('new')), tree.subarray(32)]),
  }),
  fault('MPF_SEG_HASH/metadata-bit-flipped', { ciphertext: flip(20) }),
  fault('MPF_SEG_HASH/metadata-padding-bit-flipped', {
    ciphertext: (enc, { bodyAt }) => flip(bodyAt - 1)(enc),
  }),
  fault('MPF_SEG_HASH/body-first-bit', { ciphertext: (enc, { bodyAt }) => flip(bodyAt)(enc) }),
  fault('MPF_SEG_HASH/body-last-bit', { ciphertext: flip(-1) }),
  fault('MPF_SEG_HASH/insider-rewrites-segment-3', {
    ciphertext: (enc, insider) =>
      rewrite(enc, insider.bodyAt + 3 * SEG, insider.seal(room('G1 X9'), 3, false)),
  }),
  fault('MPF_SEG_HASH/insider-rewrites-the-last-segment', {
    ciphertext: (enc, insider) => {
      const last = Math.floor((enc.length - 1 - insider.bodyAt) / SEG)
      const bytes = enc.length - insider.bodyAt - last * SEG - 32
      return rewrite(
        enc,
        insider.bodyAt + last * SEG,
        insider.seal(Buffer.alloc(bytes), last, true),
      )
    },
  }),
  fault('MPF_SEG_HASH/insider-rewrites-metadata', {
    ciphertext: (enc, insider) =>
      rewrite(enc, 0, insider.seal(Buffer.alloc(enc.readUInt32BE(0) - 32), 0, true, 'meta')),
  }),
  fault('MPF_SEG_HASH/segments-swapped', {
    ciphertext: (enc, { bodyAt }) => {
      const [one, two] = [1, 2].map(i => Buffer.from(segmentOf(enc, bodyAt, i)))
      rewrite(enc, bodyAt + SEG, two ?? enc)
      return rewrite(enc, bodyAt + 2 * SEG, one ?? enc)
    },
  }),
  fault('MPF_SEG_HASH/segment-duplicated-over-its-neighbour', {
    ciphertext: (enc, { bodyAt }) =>
      rewrite(enc, bodyAt + 2 * SEG, Buffer.from(segmentOf(enc, bodyAt, 1))),
  }),
  fault('MPF_SEG_HASH/segment-zeroed', {
    ciphertext: (enc, { bodyAt }) => rewrite(enc, bodyAt + SEG, Buffer.alloc(SEG)),
  }),
  fault(
    'MPF_SEG_HASH/segment-of-another-file-of-the-same-keys',
    {
      ciphertext: (enc, { bodyAt }) => {
        const other = forge({ blocks: ['G1 X1 Y1\n', ...BLOCKS] })
        return rewrite(
          enc,
          bodyAt,
          other.subarray(offsetOf(other, 4) + bodyAt).subarray(0, SEG - 1),
        )
      },
    },
    {},
  ),
  ...(
    [
      ['AUTH/tag-flipped', 1, (segment: Buffer) => flip(-1)(segment)],
      ['AUTH/ciphertext-flipped', 1, (segment: Buffer) => flip(100)(segment)],
      ['AUTH/iv-flipped', 2, (segment: Buffer) => flip(4)(segment)],
    ] as const
  ).map(([name, i, change]) =>
    fault(`MPF_SEG_${name}-before-signing`, {
      bodySegments: segments => segments.with(i, change(segments[i] ?? Buffer.alloc(0))),
    }),
  ),
  fault('MPF_SEG_AUTH/segments-swapped-before-signing', {
    bodySegments: segments => {
      const [one, two] = [segments[1], segments[2]]
      return one && two ? segments.with(1, two).with(2, one) : segments
    },
  }),
  fault('MPF_SEG_AUTH/segment-duplicated-before-signing', {
    bodySegments: segments => segments.with(2, segments[1] ?? Buffer.alloc(0)),
  }),
  fault('MPF_SEG_AUTH/sealed-under-the-metadata-key', {
    bodySegments: (segments, { seal }) => segments.with(1, seal(room('G1'), 1, false, 'meta')),
  }),
  fault('MPF_SEG_AUTH/sealed-as-final-and-marked-internal', {
    bodySegments: (segments, { seal }) => {
      const segment = seal(room('G1'), 1, true)
      segment.writeUInt32BE(0xffffffff, 0)
      return segments.with(1, segment)
    },
  }),
  fault('MPF_NO_FINAL/final-mark-on-an-inner-segment', {
    bodySegments: (segments, { seal }) => segments.with(1, seal(room('G1'), 1, true)),
  }),
  fault('MPF_NO_FINAL/last-segment-not-final', {
    bodySegments: segments => segments.with(-1, finalMark(segments.at(-1), 0xffffffff)),
  }),
  fault('MPF_NO_FINAL/metadata-not-final', {
    metaSegments: segments => segments.with(-1, finalMark(segments.at(-1), 0xffffffff)),
  }),
  fault('MPF_SEG_LEN/last-segment-declares-one-more', {
    bodySegments: segments =>
      segments.with(-1, finalMark(segments.at(-1), (segments.at(-1)?.length ?? 0) + 1)),
  }),
  fault('MPF_SEG_LEN/metadata-declares-zero', {
    metaSegments: segments => segments.with(-1, finalMark(segments.at(-1), 0)),
  }),
]

function finalMark(segment: Buffer | undefined, length: number): Buffer {
  const marked = Buffer.from(segment ?? [])
  marked.writeUInt32BE(length, 0)
  return marked
}

function room(text: string): Buffer {
  return Buffer.from(`${text}\n`.repeat(SEG)).subarray(0, SEG - 32)
}

function rewrite(enc: Buffer, at: number, bytes: Uint8Array): Buffer {
  enc.set(bytes, at)
  return enc
}

/** Changes entry `i` of the index. */
function entry(i: number, change: (entry: Entry) => void) {
  return (entries: Entry[]) => {
    const at = entries.at(i)
    if (at) change(at)
    return entries
  }
}

/** Changes the machine state of entry `i`. */
function modal(i: number, change: (bytes: Buffer) => Buffer) {
  return entry(i, at => {
    at.modal = change(Buffer.from(at.modal))
  })
}

const PNG = pngHead(16, 16)

const CONTENT: readonly Case[] = [
  fault('MPF_META/padding-not-zero', { metaPadding: flip(-1) }),
  fault('MPF_META/padding-first-byte-not-zero', { metaPadding: flip(0) }),
  fault('MPF_META/empty', { meta: () => Buffer.alloc(0) }),
  fault('MPF_META/record-head-cut', { meta: append(Buffer.from([0, 4, 0])) }),
  fault('MPF_META/record-overruns', {
    meta: bytes => {
      bytes.writeUInt32BE(bytes.readUInt32BE(2) + 10_000, 2)
      return bytes
    },
  }),
  fault('MPF_META/record-length-all-ones', {
    meta: bytes => {
      bytes.writeUInt32BE(0xffffffff, 2)
      return bytes
    },
  }),
  fault('MPF_META/tag-0', { meta: bytes => Buffer.concat([record(0, Buffer.of(1)), bytes]) }),
  fault('MPF_META/tag-5', { meta: append(record(5, Buffer.of(1))) }),
  fault('MPF_META/trailing-byte', { meta: append(Buffer.of(0)) }),
  fault('MPF_META/out-of-order', { records: records => records.toReversed() }),
  fault('MPF_META/info-twice', {
    records: ([info, index]) => (info && index ? [info, info, index] : []),
  }),
  fault('MPF_META/index-twice', {
    records: ([info, index]) => (info && index ? [info, index, index] : []),
  }),
  fault('MPF_META/without-info', { records: records => records.slice(1) }),
  fault('MPF_META/without-index', { records: records => records.slice(0, 1) }),
  fault('MPF_META/nine-thumbnails', {
    records: ([info, index]) =>
      info && index
        ? [info, ...Array.from({ length: 9 }, () => [2, PNG] as [number, Buffer]), index]
        : [],
  }),
  fault('MPF_META/a-hundred-thousand-thumbnails', {
    records: ([info, index]) =>
      info && index
        ? [
            info,
            ...Array.from({ length: 100_000 }, () => [2, Buffer.alloc(0)] as [number, Buffer]),
            index,
          ]
        : [],
    segmentBytes: 65536,
  }),
  fault('MPF_META/thumbnail-of-no-known-kind', {
    records: records => records.toSpliced(1, 0, [2, Buffer.from('GIF89a')]),
  }),
  ...(
    [
      ['png-too-wide', pngHead(1025, 16)],
      ['png-too-high', pngHead(16, 1025)],
      ['png-without-width', pngHead(0, 16)],
      ['png-of-4-gigapixels', pngHead(0xffffffff, 0xffffffff)],
      ['png-without-its-header-chunk', flip(12)(pngHead(16, 16))],
      ['png-header-of-another-length', flip(11)(pngHead(16, 16))],
      ['png-cut-inside-its-header', pngHead(16, 16).subarray(0, 32)],
      ['png-of-a-signature-only', pngHead(16, 16).subarray(0, 8)],
      ['png-above-1-mib', Buffer.concat([pngHead(16, 16), Buffer.alloc(1_048_576)])],
      ['qoi-too-wide', qoiHead(1025, 16)],
      ['qoi-too-high', qoiHead(16, 1025)],
      ['qoi-without-height', qoiHead(16, 0)],
      ['qoi-cut-inside-its-header', qoiHead(16, 16).subarray(0, 13)],
      ['empty', Buffer.alloc(0)],
    ] as const
  ).map(([name, picture]) =>
    fault(`MPF_META/thumbnail-${name}`, {
      records: records => records.toSpliced(1, 0, [2, picture]),
      ...(picture.length > 1_000_000 && { segmentBytes: 65536 }),
    }),
  ),
  fault('MPF_META/info-duplicate-member', { info: '{"title":"a","title":"b","layers":0}' }),
  fault('MPF_META/info-unknown-member', { info: '{"title":"a","layers":0,"x":1}' }),
  fault('MPF_META/info-without-title', { info: '{"layers":0}' }),
  fault('MPF_META/info-not-json', { info: 'title' }),
  fault('MPF_META/info-float', { info: '{"title":"a","layers":0.5}' }),
  fault('MPF_META/geometry-unknown-member', {
    records: records => records.toSpliced(1, 0, [3, Buffer.from('{"x":1}')]),
  }),
  fault('MPF_INDEX/one-entry-less', { index: index => index.subarray(104) }),
  fault('MPF_INDEX/one-byte-more', { index: append(Buffer.of(0)) }),
  fault('MPF_INDEX/empty', { index: () => Buffer.alloc(0) }),
  fault('MPF_INDEX/offset-one-later', {
    entries: entry(1, at => {
      at.bodyOffset++
    }),
  }),
  fault('MPF_INDEX/offset-huge', { index: setU64(104, (1n << 63n) - 1n) }),
  fault('MPF_INDEX/compressed-one-more', {
    entries: entry(-1, at => {
      at.compressedBytes++
    }),
  }),
  fault('MPF_INDEX/compressed-zero', {
    entries: entry(0, at => {
      at.compressedBytes = 0
    }),
  }),
  fault('MPF_INDEX/compressed-huge', {
    entries: entry(0, at => {
      at.compressedBytes = 0xffffffff
    }),
  }),
  fault('MPF_INDEX/compressed-above-any-frame', {
    blocks: ['G28\n'],
    frame: frame => Buffer.concat([frame, Buffer.alloc(1_100_000)]),
    segmentBytes: 65536,
  }),
  fault('MPF_INDEX/text-zero', {
    entries: entry(0, at => {
      at.textBytes = 0
    }),
  }),
  fault('MPF_INDEX/text-above-1-mib', {
    entries: entry(0, at => {
      at.textBytes = 1_048_577
    }),
  }),
  fault('MPF_INDEX/text-sum', {
    entries: entry(1, at => {
      at.textBytes++
    }),
  }),
  fault('MPF_INDEX/first-line-0', {
    entries: entry(0, at => {
      at.firstLine = 0
    }),
  }),
  fault('MPF_INDEX/first-line-2', {
    entries: entry(0, at => {
      at.firstLine = 2
    }),
  }),
  fault('MPF_INDEX/line-not-after-its-predecessor', {
    entries: entry(2, at => {
      at.firstLine = 701
    }),
  }),
  fault('MPF_INDEX/line-beyond-the-program', {
    entries: entry(2, at => {
      at.firstLine = 100_000
    }),
  }),
  fault('MPF_INDEX/entries-swapped', { entries: entries => entries.toReversed() }),
  fault('MPF_INDEX/state-reserved-not-zero', { entries: modal(1, set(55, 1)) }),
  fault('MPF_INDEX/state-of-a-fifth-tool', { entries: modal(1, set(49, 4)) }),
  fault('MPF_INDEX/state-of-an-unknown-mode', { entries: modal(1, set(51, 64)) }),
  fault('MPF_INDEX/state-of-an-impossible-flow', { entries: modal(1, set(52, 4)) }),
  fault('MPF_INDEX/state-position-beyond-2-to-the-53', { entries: modal(1, set(0, 0x7f)) }),
  fault(
    'MPF_INDEX/block-starts-one-line-late',
    {
      entries: entry(1, at => {
        at.firstLine++
      }),
    },
    { passes: ['seek', ...NEEDS_KEYS] },
  ),
  fault(
    'MPF_INDEX/block-starts-one-line-early',
    {
      entries: entry(1, at => {
        at.firstLine--
      }),
    },
    { passes: ['seek', ...NEEDS_KEYS] },
  ),
  ...(
    [
      ['first-block-in-a-later-layer', 0, at => at.layer++],
      ['layer-one-less', 1, at => at.layer--],
      ['layer-one-more', 2, at => at.layer++],
      ['z-one-micrometre-higher', 1, at => at.zMicrometres++],
      ['z-one-micrometre-lower', 2, at => at.zMicrometres--],
      ['first-block-above-zero', 0, at => at.zMicrometres++],
    ] as readonly (readonly [string, number, (entry: Entry) => void])[]
  ).map(([name, i, change]) =>
    fault(`MPF_INDEX/${name}`, { entries: entry(i, change) }, { passes: ['seek', ...NEEDS_KEYS] }),
  ),
  fault(
    'MPF_INDEX/one-line-more-signed',
    { manifest: add('enc.body.lines', 1) },
    { passes: ['seek', ...NEEDS_KEYS] },
  ),
  ...(
    [
      ['model', put('pol.model', ['other'])],
      ['nozzle', put('pol.nozzleUm', 600)],
      ['word', put('pol.words', ['G1', 'M500'])],
      ['hotend', put('pol.hotendDeciC', [3010])],
      ['second-hotend', put('pol.hotendDeciC', [0, 2810])],
      ['third-hotend-the-printer-has-not', put('pol.hotendDeciC', [0, 0, 1])],
      ['bed', put('pol.bedDeciC', 1101)],
      ['chamber', put('pol.chamberDeciC', 1)],
      ['feed', put('pol.feedUmPerMin', 15_000_001)],
      ['extrusion', put('pol.extrusionUmPerMm', 1001)],
      ['below-the-least-position', put('pol.minUm', [0, 0, -1])],
      ['beyond-the-greatest-position', put('pol.maxUm', [250_001, 1, 1])],
      ['line-length', put('pol.line', 77)],
    ] as const
  ).map(([name, spoil]) => fault(`MPF_POLICY/${name}`, { manifest: spoil })),
  fault(
    'MPF_POLICY/smaller-printer',
    {},
    {
      reader: { profile: { ...PROFILE, limitsMm: { min: [0, 0, 0], max: [100, 100, 100] } } },
    },
  ),
  ...frameFaults(),
  fault('MPF_BLOCK/other-digest', {
    entries: entry(1, at => {
      at.digest = Buffer.alloc(16)
    }),
  }),
  fault('MPF_BLOCK/last-digest-bit', {
    entries: entry(2, at => {
      at.digest = flip(15)(Buffer.from(at.digest))
    }),
  }),
  fault('MPF_BLOCK/other-text-of-the-same-length', {
    frame: (frame, i, text) => (i === 2 ? zstdFrame(flip(4)(Buffer.from(text))) : frame),
  }),
  fault('MPF_BLOCK/no-line-end', {
    blocks: [...BLOCKS.slice(0, 2), 'G1 X20 Y20'],
    manifest: add('enc.body.lines', 1),
  }),
  fault('MPF_BLOCK/cut-inside-a-line', { blocks: ['G28\nG1 X1', '0 Y20\n'] }),
]

function frameFaults(): Case[] {
  const lastFrame =
    (change: (frame: Buffer, text: Buffer) => Uint8Array) =>
    (frame: Buffer, block: number, text: Buffer) =>
      block === 2 ? change(frame, text) : frame
  const of = (name: string, change: (frame: Buffer, text: Buffer) => Uint8Array) =>
    fault(`MPF_DECOMPRESS/${name}`, { frame: lastFrame(change) })
  const bomb = zstdFrame(Buffer.alloc(64 * 1024 * 1024, 'G1\n'))
  const skippable = Buffer.from('502a4d180400000041424344', 'hex')
  return [
    of('bomb-as-declared', () => bomb),
    of('bomb-declared-small', (_, text) =>
      Buffer.concat([Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x20, text.length]), bomb.subarray(9)]),
    ),
    of('window-bomb', (_, text) => rawFrame([0x00, 0x88], text)),
    of('window-of-2-gib-with-size', (_, text) => rawFrame([0x40, 0xa8, text.length, 0], text)),
    of('skippable-frame-before', frame => Buffer.concat([skippable, frame])),
    of('skippable-frame-after', frame => Buffer.concat([frame, skippable])),
    of('empty-skippable-frame-after', frame =>
      Buffer.concat([frame, Buffer.from('502a4d1800000000', 'hex')]),
    ),
    of('only-a-skippable-frame', () => skippable),
    of('two-frames', frame => Buffer.concat([frame, frame])),
    of('empty-frame-after', frame => Buffer.concat([frame, rawFrame([0x20, 0], Buffer.alloc(0))])),
    of('two-frames-of-half-the-text', (_, text) =>
      Buffer.concat([zstdFrame(text.subarray(0, 10)), zstdFrame(text.subarray(10))]),
    ),
    of('one-byte-after', frame => Buffer.concat([frame, Buffer.of(0)])),
    of('last-byte-missing', frame => frame.subarray(0, -1)),
    of('only-a-header', frame => frame.subarray(0, 6)),
    of('empty-of-nine-bytes', () => Buffer.alloc(9)),
    of('checksum', (_, text) => zstdFrame(text, { [constants.ZSTD_c_checksumFlag]: 1 })),
    of('dictionary-id', (_, text) => rawFrame([0x21, 7, text.length], text)),
    of('reserved-bit', (_, text) => rawFrame([0x28, text.length], text)),
    of('unused-bit', (_, text) => rawFrame([0x30, text.length], text)),
    of('without-content-size', (_, text) => rawFrame([0x00, 0x50], text)),
    of('declares-one-byte-less', (_, text) => rawFrame([0x20, text.length - 1], text)),
    of('holds-one-byte-less', (_, text) => rawFrame([0x20, text.length], text.subarray(1))),
    of('holds-one-byte-more', (_, text) =>
      rawFrame([0x20, text.length], Buffer.concat([text, Buffer.of(10)])),
    ),
    of('content-size-of-8-bytes', (_, text) =>
      rawFrame([0xe0, text.length, 0, 0, 0, 0, 0, 0, 0], text),
    ),
    of('other-magic', frame => flip(0)(frame)),
    of('version-0-7-magic', frame => set(0, 0x27)(frame)),
    of('reserved-block-type', (_, text) => {
      const frame = rawFrame([0x20, text.length], text)
      frame[6] = (frame[6] ?? 0) | 6
      return frame
    }),
    of('deflate', () => Buffer.from('789c4b34048f0000', 'hex')),
  ]
}

/** A program whose last lines are wrong. */
function program(name: `${'MPF_GCODE' | 'MPF_ENVELOPE'}/${string}`, lines: string): Case {
  return fault(name, { blocks: [...BLOCKS.slice(0, 2), `G90\nG1 X100 Y100 Z10 F3000\n${lines}\n`] })
}

/** A program that uses words its publisher signed and its printer takes beyond the usual ones. */
function programWith(
  words: readonly string[],
  name: `MPF_ENVELOPE/${string}`,
  lines: string,
): Case {
  const all = [...PROFILE.words, ...words]
  return fault(
    name,
    {
      blocks: [...BLOCKS.slice(0, 2), `G90\nG1 X100 Y100 Z10 F3000\n${lines}\n`],
      manifest: put('pol.words', all),
    },
    { reader: { profile: { ...PROFILE, words: all } } },
  )
}

const gcode = (name: string, lines: string) => program(`MPF_GCODE/${name}`, lines)
const envelope = (name: string, lines: string) => program(`MPF_ENVELOPE/${name}`, lines)

const WORDS_NEVER = [
  ...['M16', 'M28', 'M29', 'M30', 'M32', 'M33', 'M34', 'M81', 'M92', 'M98', 'M108', 'M110', 'M112'],
  ...[
    'M117',
    'M118',
    'M206',
    'M211',
    'M218',
    'M301',
    'M302',
    'M303',
    'M304',
    'M305',
    'M410',
    'M413',
  ],
  ...[
    'M500',
    'M501',
    'M502',
    'M503',
    'M504',
    'M510',
    'M524',
    'M569',
    'M575',
    'M600',
    'M851',
    'M906',
  ],
  ...['M928', 'M997', 'M999', 'G5', 'G27', 'G30', 'G38', 'G53', 'G54', 'T4', 'T99'],
]

const PROGRAM: readonly Case[] = [
  ...WORDS_NEVER.map(word => gcode(`word-${word}`, word)),
  gcode('word-not-signed', 'M220 S100'),
  gcode('m302-allows-cold-extrusion', 'M302 P1'),
  gcode('m118-host-action', 'M118 A1 action:cancel'),
  gcode('m110-line-number', 'M110 N0'),
  gcode('m28-writes-a-file', 'M28 x.gco'),
  gcode('lower-case-word', 'g1 X1'),
  gcode('lower-case-parameter', 'G1 x1'),
  gcode('line-number', 'N12 G1 X1'),
  gcode('checksum', 'G1 X1*57'),
  gcode('checksum-after-a-space', 'G1 X1 *57'),
  gcode('line-number-as-a-parameter', 'G1 X1 N5'),
  gcode('block-delete', '/G1 X1'),
  gcode('parenthesis-comment', 'G1 X1 (move)'),
  gcode('two-commands', 'G1 X1 G1 X2'),
  gcode('two-commands-glued', 'G1X1M112'),
  gcode('second-tool-word', 'G1 X1 T1'),
  gcode('quoted-string', 'M104 S"200"'),
  gcode('carriage-return', 'G1 X1\r'),
  gcode('carriage-return-inside', 'G1 X1\rM112'),
  gcode('nul', 'G1 X1\0'),
  gcode('nul-in-a-comment', 'G1 X1 ;a\0'),
  gcode('tab', 'G1\tX1'),
  gcode('vertical-tab', 'G1 X1\v'),
  gcode('escape', ';\x1b[2J'),
  gcode('delete', ';\x7f'),
  gcode('non-ascii', 'G1 X1\xb5'),
  gcode('non-ascii-in-a-comment', '; \xe9'),
  gcode('byte-order-mark', '\xef\xbb\xbfG1 X1'),
  gcode('line-of-257-bytes', `;${'x'.repeat(256)}`),
  gcode('command-of-77-bytes', `G1 X1${' '.repeat(70)}Y1`),
  gcode('command-of-97-bytes', `G1 X1${' '.repeat(90)}Y1`),
  gcode('word-without-number', 'G X1'),
  gcode('word-of-four-digits', 'G0001 X1'),
  gcode('word-with-a-part', 'G1.1 X1'),
  gcode('parameter-twice', 'G1 X1 X2'),
  gcode('parameter-of-another-word', 'G1 X1 S100'),
  gcode('axis-without-number', 'G1 X'),
  gcode('two-points', 'G1 X1.2.3'),
  gcode('two-signs', 'G1 X--1'),
  gcode('sign-only', 'G1 X-'),
  gcode('point-only', 'G1 X.'),
  gcode('exponent', 'G1 X1E5'),
  gcode('exponent-with-sign', 'G1 X1E+5'),
  gcode('hexadecimal', 'G1 Y0X10'),
  gcode('ten-digits', 'G1 X1234567890'),
  gcode('comma', 'G1 X1,5'),
  gcode('infinity', 'G1 XINF'),
  gcode('arc-without-centre', 'G2 X110 Y100'),
  gcode('arc-by-radius', 'G2 X110 Y100 R5'),
  gcode('arc-of-too-many-turns', 'G2 X110 Y100 I5 P101'),
  gcode('arc-around-its-own-start', 'G2 X110 Y100 I0 J0'),
  gcode('g92-moves-the-envelope', 'G92 X0'),
  gcode('g92-without-axis', 'G92'),
  gcode('g92-without-number', 'G92 E'),
  gcode('negative-feed', 'G1 X1 F-100'),
  gcode('tool-without-number', 'M104 T S250'),
  gcode('temperature-without-number', 'M104 S'),
  gcode('negative-tool', 'M104 T-1 S200'),
  gcode('half-a-tool', 'M104 T0.5 S100'),
  gcode('fifth-tool', 'M104 T4 S10'),
  gcode('flow-above-1000', 'M221 S1001'),
  gcode('flow-of-another-tool', 'M221 T1 S200'),
  gcode('idle-time-without-number', 'M84 S'),
  gcode('tool-left-with-a-flow-above-100', 'M221 S101\nT1'),
  gcode('only-a-number', '123'),
  gcode('percent-sign', '%'),
  gcode('shell', '$(reboot)'),
  gcode('printer-extension', 'SET_HEATER_TEMPERATURE HEATER=extruder TARGET=400'),
  envelope('hotend-too-hot', 'M104 S251'),
  envelope('hotend-too-hot-by-a-tenth', 'M104 S250.01'),
  envelope('hotend-too-hot-waiting', 'M109 R251'),
  envelope('second-hotend-too-hot', 'M104 T1 S221'),
  envelope('active-second-hotend-too-hot', 'T1\nM104 S221'),
  envelope('third-hotend', 'M104 T2 S1'),
  envelope('bed-too-hot', 'M140 S100.1'),
  envelope('bed-too-hot-waiting', 'M190 R101'),
  envelope('temperature-beyond-16-bits', 'M104 S6553.7'),
  envelope('x-too-far', 'G1 X200.001'),
  envelope('y-below-zero', 'G1 Y-0.001'),
  envelope('z-below-the-bed', 'G0 Z-0.0001'),
  envelope('z-too-high', 'G1 Z201'),
  envelope('relative-steps-out', 'G91\nG1 X60\nG1 X60'),
  envelope('inches', 'G20\nG1 X8'),
  envelope('feed-too-high', 'G1 X1 F12001'),
  envelope('feed-too-high-in-inches', 'G20\nG1 F473'),
  envelope('filament-beyond-any-spool', 'G1 E562949954'),
  envelope('filament-beyond-any-spool-by-g92', 'G92 E-562949954'),
  envelope('filament-beyond-any-spool-by-steps', 'G92 E562949953\nM83\nG1 E1'),
  envelope('filament-above-travel', 'G92 E0\nG1 X101 E1.001'),
  envelope('filament-above-travel-relative', 'M83\nG1 X103 Y104 E5.001'),
  envelope('filament-above-travel-in-z', 'M83\nG1 Z10.1 E0.2'),
  envelope('filament-above-travel-in-inches', 'G20\nM83\nG91\nG1 X0.1 E0.11'),
  envelope('filament-above-travel-by-flow', 'M221 S200\nM83\nG1 X101 E0.51'),
  envelope('filament-above-travel-by-unretracting-under-way', 'M83\nG1 E-5\nG1 X101 E5'),
  envelope('filament-on-a-nanometre', 'M83\nG1 X100.000001 E0.01'),
  envelope('filament-above-an-arc', 'M83\nG3 X100 Y102 I0 J1 E3.142'),
  envelope('filament-above-a-full-circle', 'M83\nG2 I0 J1 E6.284'),
  envelope('filament-above-an-arc-and-its-rise', 'M83\nG2 I0 J1 Z11 E6.363'),
  envelope('filament-on-a-circle-a-float-cannot-see', 'M83\nG3 Y100.001 I-10 J0 E0.01'),
  envelope('filament-on-a-circle-almost-closed', 'M83\nG2 Y100.001 I-10 J0 E0.01'),
  envelope('filament-above-the-shorter-radius', 'M83\nG3 X99 Y100 I-10 J0 E10'),
  programWith(['M220'], 'MPF_ENVELOPE/feed-factor-above-100', 'M220 S101'),
  programWith(['M207'], 'MPF_ENVELOPE/retraction-lifts', 'M207 S1 Z0.2'),
  programWith(['M207'], 'MPF_ENVELOPE/retraction-presses-down', 'M207 S1 Z-5'),
  programWith(['M207'], 'MPF_ENVELOPE/retraction-too-fast', 'M207 S1 F12001'),
  programWith(['M208'], 'MPF_ENVELOPE/recovery-too-fast', 'M208 F12001'),
  envelope('relative-from-unknown', 'G28 X\nG91\nG1 X1'),
  envelope('relative-from-unknown-after-homing-all', 'G28\nG91\nG1 Z1'),
  envelope('relative-from-a-released-axis', 'M84 X\nG91\nG1 X1'),
  envelope('relative-after-releasing-all', 'M84\nG91\nG1 Z1'),
  envelope('arc-from-a-released-axis', 'M84 Y\nG2 X110 Y100 I5'),
  envelope('arc-from-unknown', 'G28 X Y\nG2 X110 Y100 I5'),
  envelope('arc-bulges-right', 'G1 X195 Y90\nG3 X195 Y110 I0 J10'),
  envelope('arc-bulges-below-zero', 'G1 X90 Y5\nG3 X110 Y5 I10 J0'),
  envelope('arc-turns-once-more-outside', 'G1 X9 Y10\nG3 X4 Y15 I-5 J0 P1'),
  envelope('full-circle-out', 'G1 X150 Y150\nG2 I60'),
  envelope('full-circle-a-float-cannot-see', 'G1 X200 Y100\nG3 X200 Y100.00001 I-150 J0'),
  envelope('full-circle-of-a-far-centre', 'G1 X100 Y100\nG3 X100 Y100.05 I-99999999 J0'),
  envelope(
    'arc-ends-inside-its-own-circle',
    'G1 X150 Y100\nG3 X149.9 Y150 I0 J50.001\nG1 X190 Y20\nG3 X190 Y70 I-1 J50',
  ),
  envelope('arc-spirals-out', 'G1 X190 Y100\nG3 X189 Y101 I-1 J50'),
  envelope('helix-too-high', 'G2 X110 Y100 I5 Z201'),
]

/** A file whose publisher signed that no axis is ever commanded. */
const still = (name: string, lines: string) =>
  fault(`MPF_ENVELOPE/${name}`, {
    blocks: [`G28\n${lines}\n`],
    manifest: payload => {
      put('pol.minUm', [1, 1, 1])(payload)
      put('pol.maxUm', [0, 0, 0])(payload)
    },
  })

const STILL: readonly Case[] = [
  still('axis-never-commanded-to-0', 'G1 X0'),
  still('axis-never-commanded-to-1-um', 'G1 Y0.001'),
  still('axis-never-commanded-between', 'G1 Z0.0005'),
]

const MODAL: readonly Case[] = [
  ...(
    [
      ['x', 7],
      ['y', 15],
      ['z', 23],
      ['e', 31],
      ['feed', 35],
      ['hotend', 37],
      ['bed', 45],
      ['chamber', 47],
      ['fan', 48],
      ['tool', 49],
      ['modes', 51],
      ['flow', 53],
    ] as const
  ).map(([name, at]) => fault(`MPF_MODAL/${name}`, { entries: modal(1, flip(at)) })),
  fault('MPF_MODAL/first-block-hot-already', { entries: modal(0, set(37, 100)) }),
  fault('MPF_MODAL/last-block', { entries: modal(2, flip(7)) }),
]

export const CASES: readonly Case[] = [
  ...CONTAINER,
  ...MANIFEST,
  ...GRANTS,
  ...KEYS,
  ...INTEGRITY,
  ...CONTENT,
  ...PROGRAM,
  ...STILL,
  ...MODAL,
]
