/** How a hybrid key (SPEC 4.4, HPKE-0051) is kept in a file: JSON, since PEM has no form for it yet. */

import { z } from 'zod'
import { decodeBase64url } from './base64url.ts'
import { HYBRID_PRIVATE_BYTES, HYBRID_PUBLIC_BYTES } from './hpke.ts'

const schema = z.strictObject({
  suite: z.literal('HPKE-0051'),
  publicKey: z.string(),
  privateKey: z.string().optional(),
})

export interface HybridKeyFile {
  readonly publicKey: Uint8Array
  /** Absent in the file that is handed out. */
  readonly privateKey?: Uint8Array
}

/** The key in a file's bytes, or undefined when it is none. */
export function parseHybridKeyFile(bytes: Uint8Array): HybridKeyFile | undefined {
  const file = schema.safeParse(jsonOf(bytes)).data
  if (!file) return undefined
  const publicKey = decodeBase64url(file.publicKey)
  if (publicKey?.length !== HYBRID_PUBLIC_BYTES) return undefined
  if (file.privateKey === undefined) return { publicKey }
  const privateKey = decodeBase64url(file.privateKey)
  return privateKey?.length === HYBRID_PRIVATE_BYTES ? { publicKey, privateKey } : undefined
}

function jsonOf(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString())
  } catch {
    return undefined
  }
}
