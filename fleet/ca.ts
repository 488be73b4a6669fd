/** A small certification authority: one root for a fleet, servers and printers below it. */

import { createPrivateKey, generateKeyPairSync, type KeyObject, X509Certificate } from 'node:crypto'
import { isBrokerName } from './broker-names.ts'
import { FleetError } from './errors.ts'
import { issueCertificate, readRequest } from './x509.ts'

const DAY_MS = 86_400_000
const ROOT_DAYS = 3650
const SERVER_DAYS = 397
/** CLOUD 3.7: operational certificates of 90 days. */
export const PRINTER_DAYS = 90
/** Clocks of printers may be behind by this. */
const BACKDATE_MS = 5 * 60_000

export interface Authority {
  readonly certPem: string
  readonly key: KeyObject
}

export interface IssuedKey {
  readonly certPem: string
  readonly keyPem: string
}

/** A root of its own, P-384, ten years. */
export function createAuthority(commonName: string, atMs: number): Authority {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-384' })
  const der = issueCertificate(
    {
      ...{ commonName, publicKey, use: 'authority' as const },
      ...validity(atMs, ROOT_DAYS),
    },
    { commonName, key: privateKey },
  )
  return { certPem: pemOf(der), key: privateKey }
}

/** @throws FleetError FLEET_FILE */
export function openAuthority(certPem: string, keyPem: string): Authority {
  const key = createPrivateKey(keyPem)
  if (!new X509Certificate(certPem).checkPrivateKey(key))
    throw new FleetError('FLEET_FILE', 'the authority key is not the certificate’s')
  return { certPem, key }
}

/** A server's key and certificate for these names and IPv4 addresses. */
export function issueServer(
  authority: Authority,
  names: readonly string[],
  atMs: number,
): IssuedKey {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const isAddress = (name: string) => /^[\d.]+$/.test(name)
  const der = issueCertificate(
    {
      ...{ commonName: names[0] ?? 'server', publicKey, use: 'server' as const },
      dnsNames: names.filter(name => !isAddress(name)),
      addresses: names.filter(isAddress),
      ...validity(atMs, SERVER_DAYS),
    },
    issuerOf(authority),
  )
  return issued(der, privateKey)
}

/** A client's key and certificate: a worker of the fleet end, or a printer in a test. */
export function issueClient(
  authority: Authority,
  commonName: string,
  atMs: number,
  days = PRINTER_DAYS,
): IssuedKey {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const der = issueCertificate(
    { ...{ commonName, publicKey, use: 'client' as const }, ...validity(atMs, days) },
    issuerOf(authority),
  )
  return issued(der, privateKey)
}

/**
 * A printer's certificate for the key of its request, which must name exactly this serial, and none of the fleet end's names.
 * @throws FleetError FLEET_REQUEST
 */
export function certifyPrinter(
  authority: Authority,
  csr: Uint8Array,
  printer: { readonly serial: string; readonly tenant: string },
  atMs: number,
): Uint8Array {
  const request = readRequest(csr)
  if (request.commonName !== printer.serial)
    throw new FleetError('FLEET_REQUEST', 'the request names another printer')
  if (isBrokerName(printer.serial))
    throw new FleetError('FLEET_REQUEST', `${printer.serial} is a name of the fleet end`)
  return issueCertificate(
    {
      ...{ commonName: printer.serial, publicKey: request.publicKey, use: 'client' as const },
      uri: `urn:mpf:tenant:${printer.tenant}`,
      ...validity(atMs, PRINTER_DAYS),
    },
    issuerOf(authority),
  )
}

export function derOf(pem: string): Uint8Array {
  return new X509Certificate(pem).raw
}

export function pemOf(der: Uint8Array): string {
  return new X509Certificate(der).toString()
}

function validity(atMs: number, days: number): { notBeforeMs: number; notAfterMs: number } {
  return { notBeforeMs: atMs - BACKDATE_MS, notAfterMs: atMs + days * DAY_MS }
}

function issuerOf(authority: Authority): { commonName: string; key: KeyObject } {
  const subject = new X509Certificate(authority.certPem).subject
  return { commonName: /^CN=(.+)$/m.exec(subject)?.[1] ?? '', key: authority.key }
}

function issued(der: Uint8Array, key: KeyObject): IssuedKey {
  const keyPem = key.export({ type: 'pkcs8', format: 'pem' })
  return { certPem: pemOf(der), keyPem }
}
