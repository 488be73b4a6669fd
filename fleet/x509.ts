/** Certificates and requests as DER (RFC 5280, 2986, 5652): the shapes a small CA needs, and no more. Pure. */

import { createHash, createPublicKey, type KeyObject, randomBytes, sign, verify } from 'node:crypto'
import { type DerNode, decodeDer, encodeDer, oidBytes } from '#mpf'
import { FleetError } from './errors.ts'

const TAG = {
  boolean: 1,
  integer: 2,
  bits: 3,
  octets: 4,
  oid: 6,
  utf8: 12,
  seq: 16,
  set: 17,
  time: 24,
} as const
const OID = {
  commonName: '2.5.4.3',
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  ecdsaWithSha384: '1.2.840.10045.4.3.3',
  basicConstraints: '2.5.29.19',
  keyUsage: '2.5.29.15',
  extendedKeyUsage: '2.5.29.37',
  subjectKeyId: '2.5.29.14',
  authorityKeyId: '2.5.29.35',
  subjectAltName: '2.5.29.17',
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
  signedData: '1.2.840.113549.1.7.2',
  data: '1.2.840.113549.1.7.1',
} as const

export type CertificateUse = 'authority' | 'server' | 'client'

export interface CertificateFields {
  readonly commonName: string
  readonly publicKey: KeyObject
  readonly use: CertificateUse
  /** DNS names and IPv4 addresses of a server; the tenant's URI of a printer. */
  readonly dnsNames?: readonly string[]
  readonly addresses?: readonly string[]
  readonly uri?: string
  readonly notBeforeMs: number
  readonly notAfterMs: number
}

export interface Issuer {
  readonly commonName: string
  /** P-384 or P-256. */
  readonly key: KeyObject
}

const node = (tag: number, bytes: Uint8Array): DerNode => ({ tag, isContext: false, bytes })
const seq = (...items: DerNode[]): DerNode => ({ tag: TAG.seq, isContext: false, items })
const context = (tag: number, ...items: DerNode[]): DerNode => ({ tag, isContext: true, items })
const oid = (text: string): DerNode => node(TAG.oid, oidBytes(text))
const integer = (bytes: Uint8Array): DerNode => node(TAG.integer, bytes)
const bits = (bytes: Uint8Array): DerNode =>
  node(TAG.bits, Buffer.concat([Uint8Array.of(0), bytes]))

/** An X.509 v3 certificate as DER. */
export function issueCertificate(fields: CertificateFields, issuer: Issuer): Uint8Array {
  const algorithm = algorithmOf(issuer.key)
  // 16 random bytes, first bit clear and not zero: CA/Browser Forum's 64 bits of entropy and more.
  const serial = randomBytes(16)
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40
  const tbs = seq(
    context(0, integer(Uint8Array.of(2))),
    integer(serial),
    seq(oid(algorithm.oid)),
    nameOf(issuer.commonName),
    seq(timeOf(fields.notBeforeMs), timeOf(fields.notAfterMs)),
    nameOf(fields.commonName),
    decodeDer(spkiOf(fields.publicKey)),
    context(3, seq(...extensionsOf(fields, issuer))),
  )
  const signature = sign(algorithm.hash, encodeDer(tbs), issuer.key)
  return encodeDer(seq(tbs, seq(oid(algorithm.oid)), bits(signature)))
}

export interface CertificateRequest {
  readonly commonName: string
  readonly publicKey: KeyObject
}

/** Reads a PKCS#10 request and verifies that its sender holds the key. @throws FleetError FLEET_REQUEST */
export function readRequest(der: Uint8Array): CertificateRequest {
  try {
    const [info, , signature] = itemsOf(decodeDer(der))
    const [, subject, spki] = itemsOf(info)
    if (!info || !spki || !signature || !('bytes' in signature)) throw new Error('incomplete')
    const publicKey = createPublicKey({
      key: Buffer.from(encodeDer(spki)),
      format: 'der',
      type: 'spki',
    })
    const { hash } = algorithmOf(publicKey)
    if (!verify(hash, encodeDer(info), publicKey, signature.bytes.subarray(1)))
      throw new Error('signature')
    return { commonName: commonNameOf(subject), publicKey }
  } catch (cause) {
    throw new FleetError('FLEET_REQUEST', 'not a request that verifies', { cause })
  }
}

/** PKCS#7 certs-only, as EST answers (RFC 7030 4.2.3). */
export function certsOnly(certificates: readonly Uint8Array[]): Uint8Array {
  const signedData = seq(
    integer(Uint8Array.of(1)),
    { tag: TAG.set, isContext: false, items: [] },
    seq(oid(OID.data)),
    context(0, ...certificates.map(decodeDer)),
    { tag: TAG.set, isContext: false, items: [] },
  )
  return encodeDer(seq(oid(OID.signedData), context(0, signedData)))
}

function extensionsOf(fields: CertificateFields, issuer: Issuer): DerNode[] {
  const isAuthority = fields.use === 'authority'
  const yes = node(TAG.boolean, Uint8Array.of(0xff))
  const extension = (id: string, value: DerNode, isCritical = false): DerNode =>
    seq(oid(id), ...(isCritical ? [yes] : []), node(TAG.octets, encodeDer(value)))
  // keyCertSign and cRLSign, or digitalSignature (RFC 5280 4.2.1.3): unused bits first.
  const usage = node(TAG.bits, isAuthority ? Uint8Array.of(1, 0x06) : Uint8Array.of(7, 0x80))
  const keyId = (key: KeyObject) =>
    createHash('sha256').update(spkiOf(key)).digest().subarray(0, 20)
  const names = alternativeNames(fields)
  const purpose = fields.use === 'server' ? OID.serverAuth : OID.clientAuth
  return [
    extension(OID.basicConstraints, isAuthority ? seq(yes) : seq(), true),
    extension(OID.keyUsage, usage, true),
    ...(isAuthority ? [] : [extension(OID.extendedKeyUsage, seq(oid(purpose)))]),
    extension(OID.subjectKeyId, node(TAG.octets, keyId(fields.publicKey))),
    extension(
      OID.authorityKeyId,
      seq({ tag: 0, isContext: true, bytes: keyId(createPublicKey(issuer.key)) }),
    ),
    ...(names.length === 0 ? [] : [extension(OID.subjectAltName, seq(...names))]),
  ]
}

/** GeneralName: [2] dNSName, [6] URI, [7] iPAddress. */
function alternativeNames(fields: CertificateFields): DerNode[] {
  const general = (tag: number, bytes: Uint8Array): DerNode => ({ tag, isContext: true, bytes })
  return [
    ...(fields.dnsNames ?? []).map(name => general(2, Buffer.from(name))),
    ...(fields.uri === undefined ? [] : [general(6, Buffer.from(fields.uri))]),
    ...(fields.addresses ?? []).map(text => general(7, Uint8Array.from(text.split('.'), Number))),
  ]
}

function nameOf(commonName: string): DerNode {
  const attribute = seq(oid(OID.commonName), node(TAG.utf8, Buffer.from(commonName)))
  return seq({ tag: TAG.set, isContext: false, items: [attribute] })
}

function commonNameOf(name: DerNode | undefined): string {
  const wanted = Buffer.from(oidBytes(OID.commonName))
  for (const set of itemsOf(name)) {
    const [type, value] = itemsOf(itemsOf(set)[0])
    if (type && 'bytes' in type && value && 'bytes' in value && wanted.equals(type.bytes))
      return Buffer.from(value.bytes).toString('utf8')
  }
  throw new Error('no common name')
}

/** GeneralizedTime from 2050 on is required; before it both are read, and one form is simpler: UTCTime until 2049. */
function timeOf(atMs: number): DerNode {
  const text = new Date(atMs).toISOString().replace(/[-:T]|\.\d+/g, '')
  const isUtc = Number(text.slice(0, 4)) < 2050
  return isUtc ? node(23, Buffer.from(text.slice(2))) : node(TAG.time, Buffer.from(text))
}

function algorithmOf(key: KeyObject): { readonly oid: string; readonly hash: string } {
  const curve = key.asymmetricKeyDetails?.namedCurve
  if (curve === 'prime256v1') return { oid: OID.ecdsaWithSha256, hash: 'sha256' }
  if (curve === 'secp384r1') return { oid: OID.ecdsaWithSha384, hash: 'sha384' }
  throw new Error('a certificate needs a P-256 or P-384 key')
}

function spkiOf(key: KeyObject): Buffer {
  return key.export({ type: 'spki', format: 'der' })
}

function itemsOf(value: DerNode | undefined): readonly DerNode[] {
  return value && 'items' in value ? value.items : []
}
