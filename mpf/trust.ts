/** Whom the printer believes (SPEC 8): the keys of one tenant with their purpose and validity, and what was revoked. */

import { createPublicKey, type KeyObject } from 'node:crypto'
import { z } from 'zod'
import { MpfError } from './errors.ts'
import { keyId, type PinnedKey, SIGNATURE_ALGORITHMS, type SignatureAlgorithm } from './jose.ts'
import { base64urlBytes, count, parseSigned, timestamp } from './schema.ts'

const PURPOSES = ['publish', 'grant', 'command', 'maintain', 'witness'] as const
export type KeyPurpose = (typeof PURPOSES)[number]

const jwk = z.union([
  z.strictObject({
    kty: z.literal('EC'),
    crv: z.enum(['P-256', 'P-384']),
    x: z.string(),
    y: z.string(),
  }),
  z.strictObject({ kty: z.literal('OKP'), crv: z.literal('Ed25519'), x: z.string() }),
  z.strictObject({ kty: z.literal('RSA'), n: z.string(), e: z.string() }),
  z.strictObject({
    kty: z.literal('AKP'),
    alg: z.enum(['ML-DSA-65', 'ML-DSA-87']),
    pub: z.string(),
  }),
])

const MIN_RSA_BITS = 2048
const MAX_RSA_BITS = 8192
const MIN_RSA_EXPONENT = 65_537n

const bundleSchema = z.strictObject({
  v: z.literal(1),
  tenant: base64urlBytes(16),
  epoch: count,
  /** Whether manifests must carry a post-quantum signature and grants a hybrid key transport. */
  pq: z.enum(['optional', 'required']).default('optional'),
  keys: z.array(
    z.strictObject({
      kid: base64urlBytes(32),
      purpose: z.enum(PURPOSES),
      alg: z.enum(SIGNATURE_ALGORITHMS),
      jwk,
      nbf: timestamp,
      exp: timestamp,
      /** What a command key may ask for; none unless listed. */
      roles: z.array(z.string().min(1).max(32)).max(16).exactOptional(),
    }),
  ),
  revoked: z.strictObject({
    /** SHA-256 of manifest payloads. */
    manifests: z.array(base64urlBytes(32)),
    /** Grant ids. */
    grants: z.array(base64urlBytes(16)),
  }),
})

/** The JSON form of a trust bundle. */
export type TrustBundleJson = z.input<typeof bundleSchema>

export interface TrustedKey extends PinnedKey {
  readonly purpose: KeyPurpose
  readonly notBeforeMs: number
  readonly notAfterMs: number
  readonly roles: readonly string[]
}

export interface TrustBundle {
  readonly tenant: string
  /** Grows with each revision; an older bundle never replaces a newer one. */
  readonly epoch: number
  readonly requiresPostQuantum: boolean
  /** The key with this id if it is trusted for this purpose. */
  keyFor(purpose: KeyPurpose, kid: string): TrustedKey | undefined
  isManifestRevoked(digest: string): boolean
  isGrantRevoked(id: string): boolean
}

/**
 * Reads a trust bundle whose origin the caller has established. One key may stand for several purposes, once each.
 * @throws MpfError MPF_SIGNER when it is malformed, a kid is not its key's, or an algorithm does not fit its key
 */
export function parseTrustBundle(bytes: Uint8Array): TrustBundle {
  const json = parseSigned(bundleSchema, bytes, 'MPF_SIGNER', 'trust bundle')
  const keys = new Map<string, TrustedKey>()
  for (const entry of json.keys) {
    const publicKey = publicKeyOf(entry.jwk)
    const isOwn = keyId(publicKey) === entry.kid && FITS[entry.alg] === kindOf(entry.jwk)
    if (!isOwn || !isCanonical(entry.jwk, publicKey) || !hasAllowedSize(publicKey))
      throw new MpfError('MPF_SIGNER', 'trust bundle: kid, algorithm or size does not fit its key')
    const name = `${entry.purpose} ${entry.kid}`
    if (keys.has(name)) throw new MpfError('MPF_SIGNER', 'trust bundle: one key twice')
    keys.set(name, {
      kid: entry.kid,
      algorithm: entry.alg,
      publicKey,
      purpose: entry.purpose,
      notBeforeMs: entry.nbf * 1000,
      notAfterMs: entry.exp * 1000,
      roles: entry.roles ?? [],
    })
  }
  const manifests = new Set(json.revoked.manifests)
  const grants = new Set(json.revoked.grants)
  return {
    tenant: json.tenant,
    epoch: json.epoch,
    requiresPostQuantum: json.pq === 'required',
    keyFor: (purpose, kid) => keys.get(`${purpose} ${kid}`),
    isManifestRevoked: digest => manifests.has(digest),
    isGrantRevoked: id => grants.has(id),
  }
}

const FITS = {
  ES384: 'P-384',
  ES256: 'P-256',
  EdDSA: 'Ed25519',
  PS384: 'RSA',
  'ML-DSA-65': 'ML-DSA-65',
  'ML-DSA-87': 'ML-DSA-87',
} as const satisfies Record<SignatureAlgorithm, string>

function publicKeyOf(key: z.infer<typeof jwk>): KeyObject {
  try {
    return createPublicKey({ key, format: 'jwk' })
  } catch (cause) {
    throw new MpfError('MPF_SIGNER', 'trust bundle: not a key', { cause })
  }
}

/** Node reads padding, white space and superfluous zeros too: each member is as the key itself would be written. */
function isCanonical(given: z.infer<typeof jwk>, key: KeyObject): boolean {
  const written = new Map(Object.entries(key.export({ format: 'jwk' })))
  return Object.entries(given).every(([member, value]) => written.get(member) === value)
}

/** RSA only (SPEC 8): other keys have the size of their curve or parameter set. FIPS 186-5 asks for 2,048 bits and an odd exponent above 2^16. */
function hasAllowedSize(key: KeyObject): boolean {
  const { modulusLength: bits, publicExponent: e } = key.asymmetricKeyDetails ?? {}
  if (bits === undefined || e === undefined) return true
  return bits >= MIN_RSA_BITS && bits <= MAX_RSA_BITS && e >= MIN_RSA_EXPONENT && e % 2n === 1n
}

function kindOf(key: z.infer<typeof jwk>): string {
  if (key.kty === 'AKP') return key.alg
  return key.kty === 'RSA' ? 'RSA' : key.crv
}

/** Clock tolerance for not-before only; not-after fails closed (TRUST: time). */
export const NOT_BEFORE_TOLERANCE_MS = 5 * 60_000
