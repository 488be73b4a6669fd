/** Telemetry and alarms are taken only as the printer signed them, under the certificate its birth shows and this tenant issued. */

import { X509Certificate } from 'node:crypto'
import { z } from 'zod'
import {
  type BatchHeader,
  CloudError,
  certificateOf,
  isSignedBy,
  schemaHash,
  signerOf,
} from '#cloud'

const birthSchema = z.object({
  dictionary: z.unknown(),
  certificate: z.object({ serial: z.string(), pem: z.string().max(16_384) }),
})

/** A birth shows a certificate of this tenant in this name. @throws CloudError CLOUD_FORGED */
export function expectBirth(birth: unknown, device: string, authority: string, atMs: number): void {
  const { certificate } = birthSchema.parse(birth)
  const shown = certificateOf(certificate.pem, device, new X509Certificate(authority), atMs)
  if (shown?.serialNumber !== certificate.serial)
    throw new CloudError('CLOUD_FORGED', 'a birth without a certificate of this printer')
}

/**
 * False when the birth that this batch follows has not come yet: then it is neither kept nor acknowledged, and comes again.
 * @throws CloudError CLOUD_FORGED when it is not what the printer signed
 */
export function isProvenBatch(
  payload: Uint8Array,
  header: BatchHeader,
  { birth, authority, atMs }: { birth: unknown; authority: string; atMs: number },
): boolean {
  const signer = signerOf(payload)
  if (signer === undefined) throw new CloudError('CLOUD_FORGED', 'a batch that is not signed')
  const born = birthSchema.safeParse(birth).data
  // The birth is not signed: it counts as far as a signed batch names what is in it.
  if (born?.certificate.serial !== signer || header.sch !== schemaHash(born.dictionary))
    return false
  const issuer = new X509Certificate(authority)
  const certificate = certificateOf(born.certificate.pem, header.dev, issuer, atMs)
  if (certificate && isSignedBy(payload, certificate)) return true
  throw new CloudError('CLOUD_FORGED', 'a batch that the printer did not sign')
}
