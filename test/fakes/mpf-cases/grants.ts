/** Cases of grants: whose they are, what they allow, until when. */
import { keyId } from '#mpf'
import { b64, sha256 } from '../mpf-bytes.ts'
import { forge } from '../mpf-forge.ts'
import { grantEntry } from '../mpf-forge-signed.ts'
import {
  EXPIRES_AT_S,
  GRANT_ID,
  MADE_AT_S,
  OTHER_TENANT,
  publicKey,
  trustBundle,
} from '../mpf-world.ts'
import { type Case, entryAt, fault, flip, NEEDS_KEYS, offsetOf, put, swap } from './case.ts'
import { append } from './container.ts'
import { HEADERS, part, SPELLINGS } from './headers.ts'

const layout = { passes: NEEDS_KEYS } as const

export const GRANTS: readonly Case[] = [
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
