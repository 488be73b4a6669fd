/** A publisher with a second, post-quantum key: a manifest of two signatures, and the bundle that trusts both. */
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { keyId, type TrustBundleJson } from '#mpf'
import { b64 } from './mpf-bytes.ts'
import { forge } from './mpf-forge.ts'
import type { Forgery, Json } from './mpf-forgery.ts'
import { trustBundle, trustJson } from './mpf-world.ts'

export const BLOCKS = ['G28\nG1 X1 Y1\n']
const second = generateKeyPairSync('ml-dsa-65')
export const stranger = generateKeyPairSync('ml-dsa-65')
const KID = keyId(second.publicKey)

export function trusted(pq: 'optional' | 'required', changes: Json = {}) {
  const { keys } = trustJson()
  const [first] = keys
  const jwk = second.publicKey.export({ format: 'jwk' }) as TrustBundleJson['keys'][number]['jwk']
  const entry = { ...first, kid: KID, alg: 'ML-DSA-65', jwk, ...changes }
  return trustBundle({ pq, keys: [...keys, entry as TrustBundleJson['keys'][number]] })
}

export interface Part {
  readonly protected: string
  readonly signature: string
}

export function postQuantumPart(
  payload: string,
  changes: Json = {},
  key: KeyObject = second.privateKey,
): Part {
  const header = { alg: 'ML-DSA-65', kid: KID, typ: 'mpf-manifest+jws', ...changes }
  const protectedHeader = b64(Buffer.from(JSON.stringify(header)))
  const signature = sign(null, Buffer.from(`${protectedHeader}.${payload}`), key)
  return { protected: protectedHeader, signature: b64(signature) }
}

/** A manifest of two signatures; `spell` may write them otherwise. */
export function hybrid(
  spell: (payload: string, first: Part, second: Part) => unknown = (payload, one, two) => ({
    payload,
    signatures: [one, two],
  }),
  forgery: Forgery = {},
): Buffer {
  return forge({
    blocks: BLOCKS,
    manifestJws: jws => {
      const [header = '', payload = '', signature = ''] = jws.split('.')
      const spelled = spell(payload, { protected: header, signature }, postQuantumPart(payload))
      return typeof spelled === 'string' ? spelled : JSON.stringify(spelled)
    },
    ...forgery,
  })
}
