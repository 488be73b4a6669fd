/** A strict layer over `jose` (SPEC 4.1): one spelling, one header, pinned algorithms. The only file that imports it. */

import { createHash, createPublicKey, type KeyObject, type webcrypto } from 'node:crypto'
import { CompactEncrypt, CompactSign, compactDecrypt, compactVerify } from 'jose'
import { decodeBase64url, encodeBase64url } from './base64url.ts'
import { MpfError, type MpfErrorCode } from './errors.ts'
import { type JsonObject, parseStrictJson, StrictJsonError } from './strict-json.ts'

/** Signature algorithms a trust policy may pin. */
export const SIGNATURE_ALGORITHMS = [
  'ES384',
  'ES256',
  'EdDSA',
  'PS384',
  'ML-DSA-65',
  'ML-DSA-87',
] as const
export type SignatureAlgorithm = (typeof SIGNATURE_ALGORITHMS)[number]

export const MANIFEST_TYPE = 'mpf-manifest+jws'
export const GRANT_TYPE = 'mpf-grant+jws'

export interface SigningKey {
  readonly kid: string
  readonly algorithm: SignatureAlgorithm
  readonly privateKey: KeyObject
}

/** A verification key with the one algorithm it may be used with. */
export interface PinnedKey {
  readonly kid: string
  readonly algorithm: SignatureAlgorithm
  readonly publicKey: KeyObject
}

/** The codes a caller wants for each way a JWS can fail. */
export interface JwsCodes {
  readonly header: MpfErrorCode
  readonly signer: MpfErrorCode
  readonly algorithm: MpfErrorCode
  readonly signature: MpfErrorCode
}

export interface VerifiedJws<Key extends PinnedKey> {
  readonly key: Key
  /** The post-quantum signer, when there is a second signature. */
  readonly secondKey?: Key
  readonly isHybrid: boolean
  readonly payload: Uint8Array
}

/** Key id everywhere in MPF: base64url SHA-256 of the DER SubjectPublicKeyInfo. */
export function keyId(key: KeyObject): string {
  const publicKey = key.type === 'private' ? createPublicKey(key) : key
  return encodeBase64url(
    createHash('sha256')
      .update(publicKey.export({ format: 'der', type: 'spki' }))
      .digest(),
  )
}

/** Whether signatures by this algorithm are post-quantum. */
export function isPostQuantum(algorithm: SignatureAlgorithm): boolean {
  return algorithm.startsWith('ML-DSA-')
}

/**
 * A JWS: compact with one key; with a second, post-quantum key JWS General JSON (RFC 7515 7.2.1) with two signatures over
 * the same payload. Each header is exactly `{alg, kid, typ}`.
 */
export async function signPayload(
  payload: Uint8Array,
  type: string,
  key: SigningKey,
  postQuantumKey?: SigningKey,
): Promise<Uint8Array> {
  const keys = postQuantumKey ? [key, postQuantumKey] : [key]
  const compact = await Promise.all(keys.map(each => signCompact(payload, each, type)))
  const [first = ''] = compact
  if (!postQuantumKey) return Buffer.from(first)
  const signatures = compact.map(text => {
    const [header = '', , signature = ''] = text.split('.')
    return { protected: header, signature }
  })
  return Buffer.from(JSON.stringify({ payload: encodeBase64url(payload), signatures }))
}

function signCompact(payload: Uint8Array, key: SigningKey, type: string): Promise<string> {
  return new CompactSign(payload)
    .setProtectedHeader({ alg: key.algorithm, kid: key.kid, typ: type })
    .sign(key.privateKey)
}

/**
 * Verifies what signPayload makes: every signature present must verify, the first classical, the second post-quantum.
 * Both are identified before either is verified; nothing of the payload is interpreted here.
 * @param keyOf the pinned key for a kid, or undefined when it is not trusted for this purpose
 * @throws MpfError `codes.header` for anything but the canonical encoding and the exact headers, then `codes.signer`, `codes.algorithm`, `codes.signature`
 */
export async function verifyPayload<Key extends PinnedKey>(
  bytes: Uint8Array,
  type: string,
  keyOf: (kid: string) => Key | undefined,
  codes: JwsCodes,
): Promise<VerifiedJws<Key>> {
  const [firstText, secondText] = splitSignatures(bytes, codes.header)
  const first = identify(firstText, type, keyOf, codes)
  if (isPostQuantum(first.key.algorithm))
    throw new MpfError(codes.algorithm, 'the first signature is not classical')
  const second = secondText === undefined ? undefined : identify(secondText, type, keyOf, codes)
  if (second && !isPostQuantum(second.key.algorithm))
    throw new MpfError(codes.algorithm, 'the second signature is not post-quantum')
  await expectSignature(firstText, first.key, codes.signature)
  if (secondText !== undefined && second)
    await expectSignature(secondText, second.key, codes.signature)
  return {
    ...first,
    ...(second && { secondKey: second.key }),
    isHybrid: second !== undefined,
  }
}

/** The protected headers of a JWS as they stand, one a signature. Nothing is verified. @throws MpfError MPF_HEADER */
export function signatureHeaders(bytes: Uint8Array): readonly JsonObject[] {
  const headers = splitSignatures(bytes, 'MPF_HEADER').filter(text => text !== undefined)
  return headers.map(text => splitCompact(text, 'MPF_HEADER').header)
}

/** One compact JWS a signature. The JSON form has one spelling: what signPayload writes. */
function splitSignatures(bytes: Uint8Array, code: MpfErrorCode): readonly [string, string?] {
  const text = Buffer.from(bytes).toString('latin1')
  if (!text.startsWith('{')) return [text]
  const [all, payload, firstHeader, firstSignature, secondHeader, secondSignature] =
    GENERAL_JWS.exec(text) ?? []
  if (all === undefined) throw new MpfError(code, 'not a JWS of two signatures in its one spelling')
  return [
    `${firstHeader}.${payload}.${firstSignature}`,
    `${secondHeader}.${payload}.${secondSignature}`,
  ]
}

const PART = '([A-Za-z0-9_-]*)'
const SIGNATURE = `\\{"protected":"${PART}","signature":"${PART}"\\}`
const GENERAL_JWS = new RegExp(
  `^\\{"payload":"${PART}","signatures":\\[${SIGNATURE},${SIGNATURE}\\]\\}$`,
)

function splitCompact(
  text: string,
  code: MpfErrorCode,
): { readonly header: JsonObject; readonly payload: Uint8Array } {
  const parts = text.split('.')
  const [header, payload, signature] = parts.map(decodeBase64url)
  if (parts.length !== 3 || !header || !payload || !signature)
    throw new MpfError(code, 'not three parts of canonical base64url')
  return { header: readHeader(header, ['alg', 'kid', 'typ'], code), payload }
}

/** Whose signature it claims to be, by the key and algorithm that are trusted for it. */
function identify<Key extends PinnedKey>(
  text: string,
  type: string,
  keyOf: (kid: string) => Key | undefined,
  codes: JwsCodes,
): { readonly key: Key; readonly payload: Uint8Array } {
  const { header, payload } = splitCompact(text, codes.header)
  const { alg, kid, typ } = header
  if (typ !== type) throw new MpfError(codes.header, 'unexpected typ')
  if (typeof kid !== 'string') throw new MpfError(codes.header, 'kid is not a string')
  const key = keyOf(kid)
  if (!key) throw new MpfError(codes.signer, 'signed by a key that is not trusted for this')
  if (alg !== key.algorithm)
    throw new MpfError(codes.algorithm, "algorithm differs from the key's own")
  return { key, payload }
}

async function expectSignature(text: string, key: PinnedKey, code: MpfErrorCode): Promise<void> {
  try {
    await compactVerify(text, key.publicKey, { algorithms: [key.algorithm] })
  } catch (cause) {
    throw new MpfError(code, 'signature does not verify', { cause })
  }
}

const KEY_AGREEMENT = 'ECDH-ES+A256KW'
const KEY_ENCRYPTION = 'A256GCM'
const CURVE = 'P-384'

/** A compact JWE to a P-384 key, with PartyUInfo `apu` and PartyVInfo `apv`. */
export function encryptCompact(
  plaintext: Uint8Array,
  recipient: KeyObject,
  party: { readonly apu: string; readonly apv: string },
): Promise<string> {
  return new CompactEncrypt(plaintext)
    .setProtectedHeader({ alg: KEY_AGREEMENT, enc: KEY_ENCRYPTION })
    .setKeyManagementParameters({ apu: Buffer.from(party.apu), apv: Buffer.from(party.apv) })
    .encrypt(recipient)
}

/**
 * Opens a compact JWE made by encryptCompact.
 * @throws MpfError MPF_UNWRAP for every failure alike, so that nothing is learnt from which one it was
 */
export async function decryptCompact(
  jwe: string,
  privateKey: KeyObject,
  party: { readonly apu: string; readonly apv: string },
): Promise<Uint8Array> {
  try {
    const parts = jwe.split('.').map(decodeBase64url)
    const [headerBytes] = parts
    if (parts.length !== 5 || parts.includes(undefined) || !headerBytes)
      throw new Error('not canonical')
    const header = readHeader(headerBytes, ['alg', 'apu', 'apv', 'enc', 'epk'], 'MPF_UNWRAP')
    const isBound =
      header.apu === encodeBase64url(Buffer.from(party.apu)) &&
      header.apv === encodeBase64url(Buffer.from(party.apv))
    if (!isBound || !isEphemeralKey(header.epk)) throw new Error('not the expected header')
    const { plaintext } = await compactDecrypt(jwe, privateKey, {
      keyManagementAlgorithms: [KEY_AGREEMENT],
      contentEncryptionAlgorithms: [KEY_ENCRYPTION],
    })
    return plaintext
  } catch {
    throw new MpfError('MPF_UNWRAP', 'content keys could not be unwrapped')
  }
}

function isEphemeralKey(epk: unknown): boolean {
  if (typeof epk !== 'object' || epk === null) return false
  const { kty, crv, x, y, ...rest } = epk as webcrypto.JsonWebKey
  const isCoordinate = (value: string | undefined) =>
    value !== undefined && decodeBase64url(value)?.length === 48
  return (
    kty === 'EC' &&
    crv === CURVE &&
    isCoordinate(x) &&
    isCoordinate(y) &&
    Object.keys(rest).length === 0
  )
}

function readHeader(bytes: Uint8Array, members: readonly string[], code: MpfErrorCode): JsonObject {
  try {
    const header = parseStrictJson(bytes)
    const isObject = typeof header === 'object' && header !== null && !Array.isArray(header)
    if (isObject && Object.keys(header).sort().join() === members.join())
      return header as JsonObject
  } catch (cause) {
    if (!(cause instanceof StrictJsonError)) throw cause
    throw new MpfError(code, 'header is not strict JSON', { cause })
  }
  throw new MpfError(code, 'header has other members than expected')
}
