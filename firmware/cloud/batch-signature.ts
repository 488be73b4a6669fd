/** Batches that no chain proves are signed with the key of the printer's certificate: a broker has the session, never the key. Pure. */

import { createPrivateKey, sign, verify, X509Certificate } from 'node:crypto'

const LINE_FEED = 0x0a
const SIGNATURE = /,"by":"([0-9A-F]{1,64})","sig":"([A-Za-z0-9_-]{86})"\}$/
/** A header is some hundred characters. */
const MAX_HEADER_BYTES = 2048

export interface BatchSigner {
  /** The certificate's serial number, hex in capitals. */
  readonly serialNumber: string
  /** PEM, P-256. */
  readonly key: string
}

/** Adds `by` and `sig` as the last members of the header; ECDSA with SHA-256 over every other byte, in place. */
export function signBatch(batch: Buffer, { serialNumber, key }: BatchSigner): Buffer {
  const signature = sign('sha256', batch, {
    ...{ key: createPrivateKey(key), dsaEncoding: 'ieee-p1363' },
  }).toString('base64url')
  const end = batch.indexOf(LINE_FEED)
  const members = `,"by":"${serialNumber}","sig":"${signature}"}`
  return Buffer.concat([batch.subarray(0, end - 1), Buffer.from(members), batch.subarray(end)])
}

/** Which certificate a batch says it is signed under; undefined when it is not signed. */
export function signerOf(batch: Uint8Array): string | undefined {
  return split(batch)?.by
}

/** Whether the batch is, byte for byte, what the holder of the certificate's key signed. */
export function isSignedBy(batch: Uint8Array, certificate: X509Certificate): boolean {
  const parts = split(batch)
  if (!parts || parts.by !== certificate.serialNumber) return false
  const key = { key: certificate.publicKey, dsaEncoding: 'ieee-p1363' } as const
  return verify('sha256', parts.signed, key, parts.signature)
}

function split(
  batch: Uint8Array,
): { readonly by: string; readonly signature: Buffer; readonly signed: Buffer } | undefined {
  const bytes = Buffer.from(batch.buffer, batch.byteOffset, batch.byteLength)
  const end = bytes.subarray(0, MAX_HEADER_BYTES).indexOf(LINE_FEED)
  const header = bytes.toString('latin1', 0, Math.max(end, 0))
  const [members, by, signature] = SIGNATURE.exec(header) ?? []
  if (members === undefined || by === undefined || signature === undefined) return undefined
  const signed = Buffer.concat([
    ...[bytes.subarray(0, end - members.length), Buffer.from('}'), bytes.subarray(end)],
  ])
  return { by, signature: Buffer.from(signature, 'base64url'), signed }
}

/** The printer's certificate, when it is one: of this authority, in this name, at this time. */
export function certificateOf(
  pem: string,
  device: string,
  authority: X509Certificate,
  atMs: number,
): X509Certificate | undefined {
  try {
    const certificate = new X509Certificate(pem)
    const isOurs = certificate.verify(authority.publicKey) && certificate.checkIssued(authority)
    const isNamed = certificate.subject.split('\n').includes(`CN=${device}`)
    return isOurs && isNamed && certificate.validToDate.getTime() >= atMs ? certificate : undefined
  } catch {
    return undefined
  }
}
