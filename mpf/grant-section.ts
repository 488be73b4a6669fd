/** GRT (SPEC 4.3): the grants that travel in a file, by recipient. Nothing of them is believed here. */

import { decodeBase64url, encodeBase64url } from './base64url.ts'
import { view } from './container.ts'
import { MpfError } from './errors.ts'
import { MAX_GRANT_BYTES, MAX_GRANTS } from './limits.ts'

const RECIPIENT_BYTES = 32
const ENTRY_HEAD_BYTES = RECIPIENT_BYTES + 2

/** The GRT section for these grants (recipient id to compact JWS). */
export function encodeGrants(grants: ReadonlyMap<string, Uint8Array>): Uint8Array {
  const parts: Uint8Array[] = []
  for (const [recipient, jws] of grants) {
    const head = Buffer.alloc(ENTRY_HEAD_BYTES)
    head.set(decodeBase64url(recipient) ?? [])
    head.writeUInt16BE(jws.length, RECIPIENT_BYTES)
    parts.push(head, jws)
  }
  return Buffer.concat(parts)
}

/**
 * GRT as recipient id to compact JWS; entries `recipient (32) | length u16 | JWS`, then zero padding.
 * @throws MpfError MPF_LAYOUT for a bad length, a recipient twice, more than 256, or padding that is not zero
 */
export function decodeGrants(section: Uint8Array): ReadonlyMap<string, Uint8Array> {
  const grants = new Map<string, Uint8Array>()
  const fields = view(section)
  let at = 0
  while (at + ENTRY_HEAD_BYTES <= section.length) {
    const length = fields.getUint16(at + RECIPIENT_BYTES)
    if (length === 0) break
    const recipient = encodeBase64url(section.subarray(at, at + RECIPIENT_BYTES))
    const end = at + ENTRY_HEAD_BYTES + length
    if (end > section.length || length > MAX_GRANT_BYTES)
      throw new MpfError('MPF_LAYOUT', 'a grant overruns GRT')
    if (grants.has(recipient)) throw new MpfError('MPF_LAYOUT', 'two grants for one recipient')
    grants.set(recipient, section.subarray(at + ENTRY_HEAD_BYTES, end))
    if (grants.size > MAX_GRANTS) throw new MpfError('MPF_LAYOUT', `more than ${MAX_GRANTS} grants`)
    at = end
  }
  if (section.subarray(at).some(byte => byte !== 0))
    throw new MpfError('MPF_LAYOUT', 'padding of GRT is not zero')
  return grants
}
