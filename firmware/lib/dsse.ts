/** DSSE v1 envelopes (github.com/secure-systems-lab/dsse): one signed statement, one accepted spelling. Pure. */

import { type KeyObject, sign, verify } from 'node:crypto'
import { z } from 'zod'

/** Larger envelopes are refused before they are parsed. */
export const MAX_ENVELOPE_BYTES = 48 * 1024
const MAX_SIGNATURES = 4

export interface DsseSigner {
  readonly kid: string
  /** 'EdDSA' (Ed25519), 'ES384' or 'ES256'. */
  readonly algorithm: string
  readonly privateKey: KeyObject
}

export interface DsseVerifier {
  readonly algorithm: string
  readonly publicKey: KeyObject
}

export type DsseVerdict =
  | { readonly kind: 'verified'; readonly statement: unknown; readonly signers: readonly string[] }
  | {
      readonly kind: 'refused'
      readonly reason: 'malformed' | 'unknown-signer' | 'bad-signature'
      readonly message: string
    }

/** The last character's unused bits must be zero: RFC 4648 section 3.5. */
const base64 = z
  .base64()
  .refine(text => Buffer.from(text, 'base64').toString('base64') === text, 'not canonical base64')
const envelopeSchema = z.strictObject({
  payloadType: z.string().max(128),
  payload: base64,
  signatures: z
    .array(z.strictObject({ keyid: z.string().max(64), sig: base64 }))
    .min(1)
    .max(MAX_SIGNATURES),
})

/** Signs `statement` (serialised as JSON) with each key. */
export function signStatement(
  payloadType: string,
  statement: unknown,
  keys: readonly DsseSigner[],
): Uint8Array {
  const payload = Buffer.from(JSON.stringify(statement))
  const message = preAuthEncoding(payloadType, payload)
  const signatures = keys.map(key => ({
    keyid: key.kid,
    sig: signBytes(key, message).toString('base64'),
  }))
  return Buffer.from(
    JSON.stringify({ payloadType, payload: payload.toString('base64'), signatures }),
  )
}

/**
 * Every signature must be by a different key that `keyOf` knows, and must verify; nothing of the payload is parsed before.
 * The statement's JSON must be the text JSON.stringify writes: no member twice, no second spelling.
 */
export function verifyStatement(
  bytes: Uint8Array,
  payloadType: string,
  keyOf: (kid: string) => DsseVerifier | undefined,
): DsseVerdict {
  const envelope = parseEnvelope(bytes)
  if (envelope?.payloadType !== payloadType)
    return { kind: 'refused', reason: 'malformed', message: 'not an envelope of this type' }
  const payload = Buffer.from(envelope.payload, 'base64')
  const message = preAuthEncoding(payloadType, payload)
  const signers = new Set<string>()
  for (const { keyid, sig } of envelope.signatures) {
    const key = keyOf(keyid)
    if (!key || signers.has(keyid))
      return { kind: 'refused', reason: 'unknown-signer', message: 'a key not trusted for this' }
    if (!verifyBytes(key, message, Buffer.from(sig, 'base64')))
      return { kind: 'refused', reason: 'bad-signature', message: 'a signature does not verify' }
    signers.add(keyid)
  }
  const text = payload.toString('utf8')
  const statement = parseJson(text)
  if (statement === undefined || JSON.stringify(statement) !== text)
    return { kind: 'refused', reason: 'malformed', message: 'statement is not canonical JSON' }
  return { kind: 'verified', statement, signers: [...signers] }
}

/** The payload without any check: only to show what was refused. */
export function unverifiedStatement(bytes: Uint8Array): unknown {
  const envelope = parseEnvelope(bytes)
  return envelope && parseJson(Buffer.from(envelope.payload, 'base64').toString('utf8'))
}

function parseEnvelope(bytes: Uint8Array): z.infer<typeof envelopeSchema> | undefined {
  if (bytes.length > MAX_ENVELOPE_BYTES) return undefined
  return envelopeSchema.safeParse(parseJson(Buffer.from(bytes).toString('utf8'))).data
}

/** PAE of the DSSE protocol: lengths first, so that type and payload cannot be shifted into each other. */
function preAuthEncoding(payloadType: string, payload: Uint8Array): Buffer {
  const typeBytes = Buffer.byteLength(payloadType)
  return Buffer.concat([
    Buffer.from(`DSSEv1 ${typeBytes} ${payloadType} ${payload.length} `),
    payload,
  ])
}

const HASH: Readonly<Record<string, string | undefined>> = { ES384: 'sha384', ES256: 'sha256' }

function signBytes(key: DsseSigner, message: Uint8Array): Buffer {
  if (key.algorithm === 'EdDSA') return sign(undefined, message, key.privateKey)
  const hash = HASH[key.algorithm]
  if (hash === undefined) throw new TypeError(`no DSSE signature by ${key.algorithm}`)
  return sign(hash, message, { key: key.privateKey, dsaEncoding: 'ieee-p1363' })
}

function verifyBytes(key: DsseVerifier, message: Uint8Array, signature: Uint8Array): boolean {
  if (key.algorithm === 'EdDSA') return verify(undefined, message, key.publicKey, signature)
  const hash = HASH[key.algorithm]
  if (hash === undefined) return false
  return verify(hash, message, { key: key.publicKey, dsaEncoding: 'ieee-p1363' }, signature)
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
