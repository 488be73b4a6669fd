/** A grant (SPEC 4.3): who may open the file, until when, how often. Steps 9 to 11 of the order of checks. */

import { z } from 'zod'
import { encodeBase64url } from './base64url.ts'
import { type Container, readSection } from './container.ts'
import { MpfError } from './errors.ts'
import { FLOE_KEY_BYTES } from './floe.ts'
import { decodeGrants } from './grant-section.ts'
import { GRANT_TYPE, type SigningKey, signPayload, verifyPayload } from './jose.ts'
import {
  type KeyAgreement,
  type Recipient,
  type RecipientKeys,
  recipientId,
  unwrapBytes,
  wrapKeys,
} from './key-wrap.ts'
import { base64urlBytes, count, encodeJson, parseSigned, timestamp } from './schema.ts'
import { NOT_BEFORE_TOLERANCE_MS, type TrustBundle } from './trust.ts'

const grantSchema = z.strictObject({
  v: z.literal(1),
  jti: base64urlBytes(16),
  fid: base64urlBytes(16),
  /** SHA-256 of the manifest's signed payload. */
  mfd: base64urlBytes(32),
  ten: base64urlBytes(16),
  iss: z.string().min(1).max(128),
  /** SHA-256 of the recipient's SubjectPublicKeyInfo. */
  sub: base64urlBytes(32),
  scope: z.enum(['print', 'view']),
  nbf: timestamp,
  exp: timestamp,
  /** Prints allowed; 0 = unlimited. */
  max: count,
  /** Grant epoch of this printer: raising it closes every grant of an older epoch. */
  seq: count,
  ka: z.enum(['JWE', 'HPKE-0051']),
  k: z.string().max(4096),
})
type GrantPayload = z.infer<typeof grantSchema>

export type GrantScope = GrantPayload['scope']

/** A grant that has passed steps 9 and 10. */
export interface Grant {
  readonly id: string
  readonly scope: GrantScope
  readonly notBeforeMs: number
  readonly expiresMs: number
  /** 0 = unlimited. */
  readonly maxUses: number
  readonly epoch: number
  /** The recipient id it is wrapped for. */
  readonly recipientId: string
  readonly keyAgreement: KeyAgreement
  readonly wrappedKeys: string
}

/** The content keys; disposing overwrites them. `body` only with scope print. */
export interface ContentKeys extends Disposable {
  readonly meta: Uint8Array
  readonly body: Uint8Array | undefined
}

export interface GrantChecks {
  readonly trust: TrustBundle
  /** The ids this printer answers to, the preferred one first (recipientIds). */
  readonly recipientIds: readonly string[]
  /** Trusted time. */
  readonly atMs: number
  /** What the caller is about to do; a print grant includes viewing. */
  readonly scope: GrantScope
  /** The newest grant epoch this printer has seen (0 when none). */
  readonly epochFloor: number
  /** How many prints were charged to this grant. */
  usesOf(grantId: string): number
  /** A grant delivered apart from the file; it takes the place of those inside. */
  readonly detached?: Uint8Array
}

/** What a grant is for: taken from a verified manifest. */
export interface GrantTarget {
  readonly fileId: string
  readonly manifestDigest: string
  readonly tenant: string
}

/**
 * Steps 9 and 10. The grant is chosen by the recipient's id, never by trying to decrypt.
 * @throws MpfError MPF_LAYOUT, MPF_NO_GRANT, MPF_GRANT_SIG, MPF_GRANT, MPF_GRANT_BINDING, MPF_GRANT_SCOPE, MPF_GRANT_REVOKED, MPF_NOT_YET, MPF_EXPIRED, MPF_USES
 */
export async function selectGrant(
  container: Container,
  target: GrantTarget,
  checks: GrantChecks,
): Promise<Grant> {
  const entries = decodeGrants(await readSection(container, 'GRT'))
  const named = checks.recipientIds.find(id => entries.has(id))
  const jws = checks.detached ?? (named === undefined ? undefined : entries.get(named))
  if (!jws) throw new MpfError('MPF_NO_GRANT', `none of ${entries.size} grants names this printer`)
  const { key, payload: bytes } = await verifyPayload(
    jws,
    GRANT_TYPE,
    kid => checks.trust.keyFor('grant', kid),
    {
      header: 'MPF_GRANT_SIG',
      signer: 'MPF_GRANT_SIG',
      algorithm: 'MPF_GRANT_SIG',
      signature: 'MPF_GRANT_SIG',
    },
  )
  const payload = parseSigned(grantSchema, bytes, 'MPF_GRANT', 'grant')
  if (checks.trust.requiresPostQuantum && payload.ka !== 'HPKE-0051')
    throw new MpfError('MPF_PQ', 'keys are not wrapped with the post-quantum hybrid')
  const isMine = checks.detached ? checks.recipientIds.includes(payload.sub) : payload.sub === named
  if (!isMine) throw new MpfError('MPF_NO_GRANT', 'the grant names another printer')
  const isBound =
    payload.mfd === target.manifestDigest &&
    payload.fid === target.fileId &&
    payload.ten === target.tenant
  if (!isBound) throw new MpfError('MPF_GRANT_BINDING', 'the grant is for another file or tenant')
  if (checks.scope === 'print' && payload.scope !== 'print')
    throw new MpfError('MPF_GRANT_SCOPE', 'a view-only grant')
  const isSignerValid =
    checks.atMs + NOT_BEFORE_TOLERANCE_MS >= key.notBeforeMs && checks.atMs <= key.notAfterMs
  if (!isSignerValid) throw new MpfError('MPF_GRANT_SIG', "outside the issuer's validity")
  expectOpen(payload, checks)
  return {
    id: payload.jti,
    scope: payload.scope,
    notBeforeMs: payload.nbf * 1000,
    expiresMs: payload.exp * 1000,
    maxUses: payload.max,
    epoch: payload.seq,
    recipientId: payload.sub,
    keyAgreement: payload.ka,
    wrappedKeys: payload.k,
  }
}

/** Step 10. */
function expectOpen(payload: GrantPayload, checks: GrantChecks): void {
  if (checks.trust.isGrantRevoked(payload.jti))
    throw new MpfError('MPF_GRANT_REVOKED', 'revoked by the trust bundle')
  if (payload.seq < checks.epochFloor)
    throw new MpfError(
      'MPF_GRANT_REVOKED',
      `epoch ${payload.seq} is closed, now ${checks.epochFloor}`,
    )
  expectWithinTime({ notBeforeMs: payload.nbf * 1000, expiresMs: payload.exp * 1000 }, checks.atMs)
  if (payload.max > 0 && checks.usesOf(payload.jti) >= payload.max)
    throw new MpfError('MPF_USES', `all ${payload.max} prints used`)
}

/** The time window of a grant, which a print re-checks when it starts. @throws MpfError MPF_NOT_YET, MPF_EXPIRED */
export function expectWithinTime(
  grant: { readonly notBeforeMs: number; readonly expiresMs: number },
  atMs: number,
): void {
  if (atMs + NOT_BEFORE_TOLERANCE_MS < grant.notBeforeMs)
    throw new MpfError('MPF_NOT_YET', `valid from ${new Date(grant.notBeforeMs).toISOString()}`)
  if (atMs > grant.expiresMs)
    throw new MpfError('MPF_EXPIRED', `expired ${new Date(grant.expiresMs).toISOString()}`)
}

/** Step 11. @throws MpfError MPF_UNWRAP for every failure alike */
export async function unwrapKeys(grant: Grant, keys: RecipientKeys): Promise<ContentKeys> {
  const bytes = await unwrapBytes(grant.wrappedKeys, grant.keyAgreement, keys, {
    grantId: grant.id,
    recipientId: grant.recipientId,
  })
  const expected = grant.scope === 'print' ? 2 * FLOE_KEY_BYTES : FLOE_KEY_BYTES
  if (bytes.length !== expected)
    throw new MpfError('MPF_UNWRAP', 'content keys could not be unwrapped')
  return contentKeys(
    bytes.subarray(0, FLOE_KEY_BYTES),
    grant.scope === 'print' ? bytes.subarray(FLOE_KEY_BYTES) : undefined,
  )
}

export function contentKeys(meta: Uint8Array, body: Uint8Array | undefined): ContentKeys {
  return {
    meta,
    body,
    [Symbol.dispose]() {
      meta.fill(0)
      body?.fill(0)
    },
  }
}

export interface GrantRequest {
  readonly target: GrantTarget
  readonly recipient: Recipient
  readonly keys: ContentKeys
  readonly issuer: string
  readonly signingKey: SigningKey
  readonly grantId: Uint8Array
  readonly scope: GrantScope
  readonly notBeforeS: number
  readonly expiresS: number
  readonly maxUses: number
  readonly epoch: number
}

/** A signed grant as a compact JWS. @throws MpfError MPF_GRANT when a print grant is asked for without the body key */
export async function signGrant(request: GrantRequest): Promise<Uint8Array> {
  const { target, keys, scope } = request
  if (scope === 'print' && !keys.body) throw new MpfError('MPF_GRANT', 'no body key to grant')
  const jti = encodeBase64url(request.grantId)
  const sub = recipientId(request.recipient)
  using secret = new WipedBytes(
    scope === 'print' && keys.body ? [keys.meta, keys.body] : [keys.meta],
  )
  const payload: GrantPayload = {
    v: 1,
    jti,
    fid: target.fileId,
    mfd: target.manifestDigest,
    ten: target.tenant,
    iss: request.issuer,
    sub,
    scope,
    nbf: request.notBeforeS,
    exp: request.expiresS,
    max: request.maxUses,
    seq: request.epoch,
    ka: request.recipient.ka,
    k: await wrapKeys(secret.bytes, request.recipient, { grantId: jti, recipientId: sub }),
  }
  return signPayload(encodeJson(payload), GRANT_TYPE, request.signingKey)
}

class WipedBytes implements Disposable {
  readonly bytes: Uint8Array
  constructor(parts: readonly Uint8Array[]) {
    this.bytes = Buffer.concat(parts)
  }
  [Symbol.dispose](): void {
    this.bytes.fill(0)
  }
}
