/** PKCS#12 and certificate requests: node-forge as an ASN.1 codec only. It never verifies anything; node:crypto signs. */

import { createPublicKey, type KeyObject, sign } from 'node:crypto'
import { createRequire } from 'node:module'
import type Forge from 'node-forge'

let loadedForge: typeof Forge | undefined

/** Loaded on first use: a printer's core never needs it. */
function loadForge(): typeof Forge {
  loadedForge ??= createRequire(import.meta.url)('node-forge') as typeof Forge
  return loadedForge
}

/** Anything larger is refused before parsing: forge recurses without a bound. */
const MAX_DER_BYTES = 64 * 1024

export interface Pkcs12Contents {
  /** PKCS#8 DER. */
  readonly privateKey: Uint8Array
  /** X.509 DER, in file order. */
  readonly certificates: readonly Uint8Array[]
}

/**
 * Opens a PKCS#12 container with one key (RFC 7292; PBES2 and the older password schemes).
 * @throws Error when it is malformed, over 64 KiB, holds no single key, or the password is wrong
 */
export function readPkcs12(der: Uint8Array, password: string): Pkcs12Contents {
  if (der.length > MAX_DER_BYTES) throw new Error(`PKCS#12 of ${der.length} bytes`)
  const asn1 = loadForge().asn1.fromDer(binary(der))
  const container = loadForge().pkcs12.pkcs12FromAsn1(asn1, true, password)
  const { pkcs8ShroudedKeyBag, keyBag, certBag } = loadForge().pki.oids as Record<string, string>
  const bags = (oid: string | undefined) => (oid && container.getBags({ bagType: oid })[oid]) || []
  const keys = [...bags(pkcs8ShroudedKeyBag), ...bags(keyBag)]
  const [key] = keys
  if (!key || keys.length !== 1) throw new Error(`PKCS#12 with ${keys.length} keys`)
  // forge knows RSA only and keeps other keys as the ASN.1 they came in.
  const keyAsn1 = key.key
    ? loadForge().pki.wrapRsaPrivateKey(loadForge().pki.privateKeyToAsn1(key.key))
    : key.asn1
  return {
    privateKey: bytes(keyAsn1),
    certificates: bags(certBag).map(bag =>
      bytes(bag.cert ? loadForge().pki.certificateToAsn1(bag.cert) : bag.asn1),
    ),
  }
}

const OID = {
  commonName: '2.5.4.3',
  serialNumber: '2.5.4.5',
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  ecdsaWithSha384: '1.2.840.10045.4.3.3',
} as const
const SIGNATURE_OF_CURVE: Readonly<
  Record<string, { readonly oid: string; readonly hash: string }>
> = {
  prime256v1: { oid: OID.ecdsaWithSha256, hash: 'sha256' },
  secp384r1: { oid: OID.ecdsaWithSha384, hash: 'sha384' },
}

/**
 * A PKCS#10 request (RFC 2986) for an EC key, as DER.
 * @throws Error for a key on another curve than P-256 or P-384
 */
export function createCsr(
  subject: { readonly commonName: string; readonly serialNumber?: string },
  key: KeyObject,
): Uint8Array {
  const algorithm = SIGNATURE_OF_CURVE[key.asymmetricKeyDetails?.namedCurve ?? '']
  if (!algorithm) throw new Error('a request needs a P-256 or P-384 key')
  const { asn1 } = loadForge()
  const sequence = (...items: Forge.asn1.Asn1[]) =>
    asn1.create(asn1.Class.UNIVERSAL, asn1.Type.SEQUENCE, true, items)
  const oid = (text: string) =>
    asn1.create(asn1.Class.UNIVERSAL, asn1.Type.OID, false, asn1.oidToDer(text).getBytes())
  const name = (type: string, value: string) =>
    asn1.create(asn1.Class.UNIVERSAL, asn1.Type.SET, true, [
      sequence(
        oid(type),
        asn1.create(
          asn1.Class.UNIVERSAL,
          asn1.Type.UTF8,
          false,
          loadForge().util.encodeUtf8(value),
        ),
      ),
    ])
  const names = [name(OID.commonName, subject.commonName)]
  if (subject.serialNumber !== undefined) names.push(name(OID.serialNumber, subject.serialNumber))
  const spki = createPublicKey(key).export({ format: 'der', type: 'spki' })
  const info = sequence(
    asn1.create(asn1.Class.UNIVERSAL, asn1.Type.INTEGER, false, '\0'),
    sequence(...names),
    asn1.fromDer(binary(spki)),
    asn1.create(asn1.Class.CONTEXT_SPECIFIC, 0, true, []),
  )
  const signature = sign(algorithm.hash, bytes(info), key)
  return bytes(
    sequence(
      info,
      sequence(oid(algorithm.oid)),
      asn1.create(asn1.Class.UNIVERSAL, asn1.Type.BITSTRING, false, `\0${binary(signature)}`),
    ),
  )
}

function binary(der: Uint8Array): string {
  return Buffer.from(der).toString('latin1')
}

function bytes(asn1: Forge.asn1.Asn1): Uint8Array {
  return Buffer.from(loadForge().asn1.toDer(asn1).getBytes(), 'latin1')
}

/** One DER value: content bytes of a primitive type, or the values inside a constructed one. */
export type DerNode =
  | { readonly tag: number; readonly isContext: boolean; readonly bytes: Uint8Array }
  | { readonly tag: number; readonly isContext: boolean; readonly items: readonly DerNode[] }

/** The DER encoding of a value. Nothing is checked but the structure. */
export function encodeDer(node: DerNode): Uint8Array {
  return bytes(toForge(node))
}

/**
 * Reads one DER value; the content of bit and octet strings stays bytes.
 * @throws Error when it is malformed, followed by more, or over 64 KiB
 */
export function decodeDer(der: Uint8Array): DerNode {
  if (der.length > MAX_DER_BYTES) throw new Error(`DER of ${der.length} bytes`)
  const options = { strict: true, parseAllBytes: true, decodeBitStrings: false }
  return fromForge(loadForge().asn1.fromDer(binary(der), options as unknown as boolean))
}

/** The content bytes of an object identifier like '2.5.4.3'. */
export function oidBytes(text: string): Uint8Array {
  return Buffer.from(loadForge().asn1.oidToDer(text).getBytes(), 'latin1')
}

function toForge(node: DerNode): Forge.asn1.Asn1 {
  const { asn1 } = loadForge()
  const kind = node.isContext ? asn1.Class.CONTEXT_SPECIFIC : asn1.Class.UNIVERSAL
  if ('items' in node) return asn1.create(kind, node.tag, true, node.items.map(toForge))
  return asn1.create(kind, node.tag, false, binary(node.bytes))
}

function fromForge(node: Forge.asn1.Asn1): DerNode {
  const head = {
    tag: node.type,
    isContext: node.tagClass === loadForge().asn1.Class.CONTEXT_SPECIFIC,
  }
  if (typeof node.value === 'string') return { ...head, bytes: Buffer.from(node.value, 'latin1') }
  return { ...head, items: node.value.map(fromForge) }
}
