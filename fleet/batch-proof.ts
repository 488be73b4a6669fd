/** What no chain proves is taken only as the printer signed it, under the certificate its birth shows and this tenant issued. */

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

/** What a birth comes to, as long as it is the same. */
interface Born {
  readonly text: string
  readonly serial: string
  readonly sch: string
  readonly certificate: X509Certificate | undefined
}

/** Printers whose births are remembered; of more each batch costs what the first one did. */
const MAX_BORN = 10_000

export class BatchProof {
  readonly #authority: X509Certificate
  readonly #born = new Map<string, Born>()

  /** `authority`: PEM of the tenant's. */
  constructor(authority: string) {
    this.#authority = new X509Certificate(authority)
  }

  /** A birth shows a certificate of this tenant in this name. @throws CloudError CLOUD_FORGED */
  expectBirth(birth: unknown, device: string, atMs: number): void {
    const { certificate } = birthSchema.parse(birth)
    const shown = certificateOf(certificate.pem, device, this.#authority, atMs)
    if (shown?.serialNumber !== certificate.serial)
      throw new CloudError('CLOUD_FORGED', 'a birth without a certificate of this printer')
  }

  /**
   * False when the birth that this batch follows has not come yet: then it is neither kept nor acknowledged, and comes again.
   * `birth`: JSON, as it is stored now; another worker may have got a newer one.
   * @throws CloudError CLOUD_FORGED when it is not what the printer signed
   */
  isProven(
    payload: Uint8Array,
    header: BatchHeader,
    { birth, atMs }: { readonly birth: string | undefined; readonly atMs: number },
  ): boolean {
    const signer = signerOf(payload)
    if (signer === undefined) throw new CloudError('CLOUD_FORGED', 'a batch that is not signed')
    const born = birth === undefined ? undefined : this.#bornOf(header.dev, birth, atMs)
    // The birth is not signed: it counts as far as a signed batch names what is in it.
    if (born?.serial !== signer || header.sch !== born.sch) return false
    const { certificate } = born
    const isValid = certificate !== undefined && certificate.validToDate.getTime() >= atMs
    if (isValid && isSignedBy(payload, certificate)) return true
    throw new CloudError('CLOUD_FORGED', 'a batch that the printer did not sign')
  }

  #bornOf(device: string, text: string, atMs: number): Born | undefined {
    const known = this.#born.get(device)
    if (known?.text === text) return known
    const { data } = birthSchema.safeParse(JSON.parse(text))
    if (!data) return undefined
    const { serial, pem } = data.certificate
    const certificate = certificateOf(pem, device, this.#authority, atMs)
    const born = { text, serial, sch: schemaHash(data.dictionary), certificate }
    if (this.#born.size >= MAX_BORN) this.#born.clear()
    this.#born.set(device, born)
    return born
  }
}
