/** Cases of key transport and of the FLOE headers. */
import { b64 } from '../mpf-bytes.ts'
import { publicKey } from '../mpf-world.ts'
import { type Case, fault, flip, put, set, swap } from './case.ts'
import { append } from './container.ts'
import { part } from './headers.ts'

export const KEYS: readonly Case[] = [
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
