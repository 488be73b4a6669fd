/** PUB (SPEC 3.3): the little anyone may read. Minimal by design, bound into the manifest by its hash. */

import { z } from 'zod'
import { base64urlBytes, parseSigned, timestamp } from './schema.ts'

const schema = z.strictObject({
  fmt: z.literal('mpf'),
  v: z.literal(1),
  fid: base64urlBytes(16),
  ten: base64urlBytes(16),
  made: timestamp,
  app: z.string().max(64),
})

export type PublicHeader = z.infer<typeof schema>

/** @throws MpfError MPF_BINDING when the section is not a public header */
export function parsePublicHeader(bytes: Uint8Array): PublicHeader {
  return parseSigned(schema, bytes, 'MPF_BINDING', 'public header')
}
