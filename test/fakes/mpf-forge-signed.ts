/** Signed objects and wrapped keys by hand: JWS, JWE, grants, from their RFCs. */

import { createCipheriv, diffieHellman, type KeyObject, sign } from 'node:crypto'
import { keyId } from '#mpf'
import { b64, same, sha256 } from './mpf-bytes.ts'
import { BODY_KEY, META_KEY } from './mpf-forge-cipher.ts'
import type { Forgery, Json } from './mpf-forgery.ts'
import {
  algorithmOf,
  EXPIRES_AT_S,
  FILE_ID,
  GRANT_ID,
  type KeyName,
  MADE_AT_S,
  PRINTER_ID,
  privateKey,
  publicKey,
  TENANT,
} from './mpf-world.ts'

/** One entry of GRT. */
export function grantEntry(recipient: string, jws: Uint8Array): Buffer {
  const length = Buffer.alloc(2)
  length.writeUInt16BE(jws.length)
  return Buffer.concat([Buffer.from(recipient, 'base64url'), length, jws])
}

export function forgeGrant(manifestDigest: string, forgery: Forgery): string {
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
