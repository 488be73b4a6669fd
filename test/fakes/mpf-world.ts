/** A small world around a print file: fixed keys, one tenant, its trust bundle, a printer. */

import { createPrivateKey, createPublicKey, type KeyObject, type webcrypto } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  DEFAULT_WORDS,
  keyId,
  type MachineProfile,
  parseTrustBundle,
  type SignatureAlgorithm,
  type SignedPolicy,
  type SigningKey,
  type TrustBundle,
  type TrustBundleJson,
} from '#mpf'

const jwks: Readonly<Record<KeyName, webcrypto.JsonWebKey>> = JSON.parse(
  readFileSync(join(import.meta.dirname, '../vectors/mpf/keys.json'), 'utf8'),
)

/** Names of the fixed keys in test/vectors/mpf/keys.json. */
export type KeyName =
  | 'publisher'
  | 'issuer'
  | 'publisher384'
  | 'issuer384'
  | 'publisher256'
  | 'publisherRsa'
  | 'expiredPublisher'
  | 'futurePublisher'
  | 'expiredIssuer'
  | 'stranger'
  | 'stranger384'
  | 'printer'
  | 'otherPrinter'

export function privateKey(name: KeyName): KeyObject {
  return createPrivateKey({ key: jwks[name], format: 'jwk' })
}

export function publicKey(name: KeyName): KeyObject {
  return createPublicKey(privateKey(name))
}

export function algorithmOf(name: KeyName): SignatureAlgorithm {
  const { kty, crv } = jwks[name]
  if (kty === 'RSA') return 'PS384'
  if (kty === 'OKP') return 'EdDSA'
  return crv === 'P-256' ? 'ES256' : 'ES384'
}

export function signingKey(name: KeyName): SigningKey {
  const key = privateKey(name)
  return { kid: keyId(key), algorithm: algorithmOf(name), privateKey: key }
}

export const TENANT = Buffer.alloc(16, 0x11).toString('base64url')

export const OTHER_TENANT = Buffer.alloc(16, 0x22).toString('base64url')

export const FILE_ID = Buffer.alloc(16, 0x33)

export const GRANT_ID = Buffer.alloc(16, 0x44)

/** 2026-11-01T00:00:00Z, when the test files are made. */
export const MADE_AT_S = 1793491200

/** A day later, when they are read. */
export const READ_AT_MS = (MADE_AT_S + 86400) * 1000

export const EXPIRES_AT_S = MADE_AT_S + 30 * 86400

export const PRINTER_ID = keyId(publicKey('printer'))

/** The trust bundle as JSON; `revoked` and `tenant` may differ. */
export function trustJson(overrides: Partial<TrustBundleJson> = {}): TrustBundleJson {
  const entry = (name: KeyName, purpose: 'publish' | 'grant', from: number, to: number) => {
    const jwk = publicKey(name).export({ format: 'jwk' }) as TrustBundleJson['keys'][number]['jwk']
    return {
      kid: keyId(publicKey(name)),
      purpose,
      alg: algorithmOf(name),
      jwk,
      nbf: from,
      exp: to,
    }
  }
  const [from, to] = [MADE_AT_S - 86400, MADE_AT_S + 365 * 86400]
  return {
    v: 1,
    tenant: TENANT,
    epoch: 1,
    keys: [
      entry('publisher', 'publish', from, to),
      entry('publisher384', 'publish', from, to),
      entry('publisher256', 'publish', from, to),
      entry('publisherRsa', 'publish', from, to),
      entry('expiredPublisher', 'publish', from, MADE_AT_S),
      entry('futurePublisher', 'publish', MADE_AT_S + 2 * 86400, to),
      entry('issuer', 'grant', from, to),
      entry('issuer384', 'grant', from, to),
      entry('expiredIssuer', 'grant', from, MADE_AT_S),
    ],
    revoked: { manifests: [], grants: [] },
    ...overrides,
  }
}

export function trustBundle(overrides: Partial<TrustBundleJson> = {}): TrustBundle {
  return parseTrustBundle(Buffer.from(JSON.stringify(trustJson(overrides))))
}

export const PROFILE: MachineProfile = {
  model: 'forge-1',
  nozzleMm: 0.4,
  words: DEFAULT_WORDS,
  limitsMm: { min: [0, 0, 0], max: [250, 250, 250] },
  maxFeedMmPerMin: 15000,
  maxExtrusionMmPerMm: 1,
  maxTempC: { hotend: [300, 280], bed: 110, chamber: 0 },
  maxLineBytes: 76,
}

/** What a test publisher signs unless the test says otherwise: inside PROFILE. */
export const POLICY: SignedPolicy = {
  model: ['forge-1'],
  nozzleUm: 400,
  words: [...DEFAULT_WORDS],
  hotendDeciC: [2500, 2200],
  bedDeciC: 1000,
  chamberDeciC: 0,
  feedUmPerMin: 12_000_000,
  extrusionUmPerMm: 1000,
  minUm: [0, 0, 0],
  maxUm: [200_000, 200_000, 200_000],
  line: 76,
}
