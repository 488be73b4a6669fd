/** Cases of the manifest: its JWS, its members, what it binds. */

import { sign } from 'node:crypto'
import { b64 } from '../mpf-bytes.ts'
import { forge } from '../mpf-forge.ts'
import type { Json } from '../mpf-forgery.ts'
import { OTHER_TENANT, privateKey, trustBundle } from '../mpf-world.ts'
import { add, type Case, fault, flip, put, revoking, swap } from './case.ts'
import { append } from './container.ts'
import { HEADERS, hmacWithPublicKey, KID, KID_384, part, resign, SPELLINGS } from './headers.ts'

export const MANIFEST: readonly Case[] = [
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
