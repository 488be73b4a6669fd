/** Content keys to one recipient and back (SPEC 4.4): ECDH on P-384 in a JWE, or the post-quantum hybrid. */

import { createPublicKey, type KeyObject } from 'node:crypto'
import { decodeBase64url, encodeBase64url } from './base64url.ts'
import { MpfError } from './errors.ts'
import { hybridKeyId, openHybrid, sealHybrid } from './hpke.ts'
import { decryptCompact, encryptCompact, keyId } from './jose.ts'

/** How a grant's `k` is made. */
export type KeyAgreement = 'JWE' | 'HPKE-0051'

/** Whom to wrap for: a P-384 public key, or the 1665 bytes of a hybrid one. */
export type Recipient =
  | { readonly ka: 'JWE'; readonly key: KeyObject }
  | { readonly ka: 'HPKE-0051'; readonly key: Uint8Array }

/** A recipient's private keys, either or both; the hybrid one has 32 bytes. */
export interface RecipientKeys {
  readonly p384?: KeyObject
  readonly hybrid?: { readonly publicKey: Uint8Array; readonly privateKey: Uint8Array }
}

/** What ties wrapped keys to their grant: its id and its recipient's. */
export interface WrapContext {
  readonly grantId: string
  readonly recipientId: string
}

export function recipientId(recipient: Recipient): string {
  return recipient.ka === 'JWE' ? keyId(recipient.key) : hybridKeyId(recipient.key)
}

/** The ids a printer answers to, the post-quantum one first. */
export function recipientIds(keys: RecipientKeys): readonly string[] {
  return [
    ...(keys.hybrid ? [hybridKeyId(keys.hybrid.publicKey)] : []),
    ...(keys.p384 ? [keyId(createPublicKey(keys.p384))] : []),
  ]
}

/** The grant member `k`. */
export async function wrapKeys(
  keys: Uint8Array,
  recipient: Recipient,
  context: WrapContext,
): Promise<string> {
  if (recipient.ka === 'JWE')
    return encryptCompact(keys, recipient.key, { apu: context.grantId, apv: context.recipientId })
  return encodeBase64url(await sealHybrid(keys, recipient.key, hybridInfo(context)))
}

/** Undoes wrapKeys. @throws MpfError MPF_UNWRAP for every failure alike */
export async function unwrapBytes(
  wrapped: string,
  ka: KeyAgreement,
  keys: RecipientKeys,
  context: WrapContext,
): Promise<Uint8Array> {
  const { p384, hybrid } = keys
  const sealed = decodeBase64url(wrapped)
  if (ka === 'JWE' && p384)
    return decryptCompact(wrapped, p384, { apu: context.grantId, apv: context.recipientId })
  if (ka === 'HPKE-0051' && hybrid && sealed)
    return openHybrid(sealed, hybrid.privateKey, hybridInfo(context))
  throw new MpfError('MPF_UNWRAP', 'content keys could not be unwrapped')
}

function hybridInfo(context: WrapContext): Uint8Array {
  return Buffer.from(`MPF1 grant\0${context.grantId}\0${context.recipientId}`)
}
