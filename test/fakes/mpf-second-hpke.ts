/** Hybrid key transport, written a second time from SPEC 4.4 with nothing but hashes, ML-KEM and ECDH: a contradiction of the library, if there is one. */
import {
  createDecipheriv,
  createECDH,
  createHash,
  createHmac,
  createPrivateKey,
  decapsulate,
  type KeyObject,
} from 'node:crypto'

const SUITE = Buffer.concat([Buffer.from('HPKE'), Buffer.of(0, 0x51, 0, 2, 0, 2)])
const LABEL = 'MLKEM1024-P384'
const ML_KEM_BYTES = 1568
/** PKCS#8 of an ML-KEM-1024 key up to its seed. */
const SEED_PREFIX = Buffer.from('3054020100300b060960864801650304040304428040', 'hex')

/** Every step on the way, named as in SPEC 4.4. */
export interface OpenedHybrid {
  readonly expanded: Buffer
  readonly mlKemSecret: Buffer
  readonly ecdhSecret: Buffer
  readonly sharedSecret: Buffer
  readonly key: Buffer
  readonly nonce: Buffer
  readonly plaintext: Buffer
}

/** Opens `enc || ciphertext` with the 32-byte seed. */
export function openHybridAgain(sealed: Buffer, seed: Uint8Array, info: Uint8Array): OpenedHybrid {
  const expanded = createHash('shake256', { outputLength: 112 }).update(seed).digest()
  const point = createECDH('secp384r1')
  point.setPrivateKey(expanded.subarray(64))
  const mlKemSecret = decapsulate(
    mlKemKey(expanded.subarray(0, 64)),
    sealed.subarray(0, ML_KEM_BYTES),
  )
  const ephemeral = sealed.subarray(ML_KEM_BYTES, ML_KEM_BYTES + 97)
  const ecdhSecret = point.computeSecret(ephemeral)
  const sharedSecret = createHash('sha3-256')
    .update(Buffer.concat([mlKemSecret, ecdhSecret, ephemeral, point.getPublicKey()]))
    .update(LABEL)
    .digest()
  const context = Buffer.concat([
    Buffer.of(0),
    extract('', 'psk_id_hash', ''),
    extract('', 'info_hash', info),
  ])
  const secret = extract(sharedSecret, 'secret', '')
  const key = expand(secret, 'key', context, 32)
  const nonce = expand(secret, 'base_nonce', context, 12)
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: 16 })
  decipher.setAuthTag(sealed.subarray(-16))
  const text = decipher.update(sealed.subarray(ML_KEM_BYTES + 97, -16))
  return {
    ...{ expanded, mlKemSecret, ecdhSecret, sharedSecret, key, nonce },
    plaintext: Buffer.concat([text, decipher.final()]),
  }
}

function mlKemKey(seed: Uint8Array): KeyObject {
  return createPrivateKey({
    key: Buffer.concat([SEED_PREFIX, seed]),
    format: 'der',
    type: 'pkcs8',
  })
}

function extract(salt: string | Uint8Array, label: string, ikm: string | Uint8Array): Buffer {
  return createHmac('sha384', salt)
    .update('HPKE-v1')
    .update(SUITE)
    .update(label)
    .update(ikm)
    .digest()
}

/** Not more than one block of HKDF-Expand. */
function expand(secret: Uint8Array, label: string, context: Uint8Array, bytes: number): Buffer {
  const info = Buffer.concat([
    Buffer.of(0, bytes),
    Buffer.from('HPKE-v1'),
    ...[SUITE, Buffer.from(label), context, Buffer.of(1)],
  ])
  return createHmac('sha384', secret).update(info).digest().subarray(0, bytes)
}
