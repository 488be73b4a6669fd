/** The post-quantum hybrid of key transport: HPKE (RFC 9180) with MLKEM1024-P384, HKDF-SHA384, AES-256-GCM. The only file that imports `hpke`. */

import { createHash } from 'node:crypto'
import type { CipherSuite, Key } from 'hpke'
import { encodeBase64url } from './base64url.ts'
import { MpfError } from './errors.ts'

let madeSuite: CipherSuite<Key> | undefined

/** Loaded and made on first use: Node warns that its ML-KEM is experimental as soon as it is asked about it. KEM id 0x0051 of the HPKE registry. */
async function suite(): Promise<CipherSuite<Key>> {
  if (madeSuite) return madeSuite
  const hpke = await import('hpke')
  madeSuite = new hpke.CipherSuite<Key>(
    hpke.KEM_MLKEM1024_P384,
    hpke.KDF_HKDF_SHA384,
    hpke.AEAD_AES_256_GCM,
  )
  return madeSuite
}

export const HYBRID_PUBLIC_BYTES = 1665
export const HYBRID_PRIVATE_BYTES = 32

export interface HybridKeyPair {
  /** SerializePublicKey of the suite, 1665 bytes. */
  readonly publicKey: Uint8Array
  /** SerializePrivateKey of the suite, a 32-byte seed. */
  readonly privateKey: Uint8Array
}

export async function generateHybridKey(): Promise<HybridKeyPair> {
  const kem = await suite()
  const pair = await kem.GenerateKeyPair(true)
  return {
    publicKey: await kem.SerializePublicKey(pair.publicKey),
    privateKey: await kem.SerializePrivateKey(pair.privateKey),
  }
}

/** Recipient id of a hybrid key: base64url SHA-256 of its 1665 bytes. */
export function hybridKeyId(publicKey: Uint8Array): string {
  return encodeBase64url(createHash('sha256').update(publicKey).digest())
}

/** `enc || ciphertext` (SPEC 4.4), bound to `info`. */
export async function sealHybrid(
  plaintext: Uint8Array,
  publicKey: Uint8Array,
  info: Uint8Array,
): Promise<Uint8Array> {
  const kem = await suite()
  const key = await kem.DeserializePublicKey(publicKey)
  const { encapsulatedSecret, ciphertext } = await kem.Seal(key, plaintext, { info })
  return Buffer.concat([encapsulatedSecret, ciphertext])
}

/** @throws MpfError MPF_UNWRAP for every failure alike */
export async function openHybrid(
  sealed: Uint8Array,
  privateKey: Uint8Array,
  info: Uint8Array,
): Promise<Uint8Array> {
  try {
    const kem = await suite()
    const key = await kem.DeserializePrivateKey(privateKey)
    const { Nenc } = kem.KEM
    return await kem.Open(key, sealed.subarray(0, Nenc), sealed.subarray(Nenc), { info })
  } catch {
    throw new MpfError('MPF_UNWRAP', 'content keys could not be unwrapped')
  }
}
