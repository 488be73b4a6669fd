/** Enrolment over HTTPS as EST has it (RFC 7030): /cacerts, /simpleenroll with a token, /simplereenroll with the certificate itself. */

import { X509Certificate } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { TLSSocket } from 'node:tls'
import type { Clock } from '#lib/clock.ts'
import { certifyPrinter, derOf } from './ca.ts'
import { FleetError } from './errors.ts'
import { type HttpsPlace, type HttpsServer, serveHttps } from './https-server.ts'
import { listPrinters } from './printers.ts'
import type { Tenant } from './tenant.ts'
import type { Tokens } from './tokens.ts'
import { certsOnly } from './x509.ts'

export interface EstOptions extends HttpsPlace {
  readonly tenant: Tenant
  readonly region: string
  readonly tokens: Tokens
  /** PEM: whose certificates printers leave the factory with. They recover an enrolment, and no broker accepts them. */
  readonly factoryCa?: string | undefined
  readonly clock: Clock
  /** Told of each refusal: an attempt with somebody else's token is worth knowing. */
  readonly onRefused: (error: FleetError, serial: string) => void
}

const ROOT = '/.well-known/est'
const MAX_BODY_BYTES = 16 * 1024
/** RFC 7030 3.6: an expired certificate may still renew itself for so long; after that a new token is needed. */
const GRACE_MS = 0

export async function startEstServer(options: EstOptions): Promise<HttpsServer> {
  const { tenant, factoryCa } = options
  const ca = [tenant.authority.certPem, ...(factoryCa === undefined ? [] : [factoryCa])]
  const rules = { ca, requestCert: true, rejectUnauthorized: false, requestTimeout: 30_000 }
  return serveHttps(options, rules, (request, response) => serve(options, request, response))
}

async function serve(
  options: EstOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  try {
    const certificates = await answer(options, request)
    const body = Buffer.from(certsOnly(certificates)).toString('base64')
    response.writeHead(200, {
      'content-type': 'application/pkcs7-mime; smime-type=certs-only',
      'content-transfer-encoding': 'base64',
    })
    response.end(body)
  } catch (error) {
    const isOurs = error instanceof FleetError
    if (isOurs) options.onRefused(error, serialClaimed(request))
    response.writeHead(isOurs ? (error.code === 'FLEET_TOKEN' ? 401 : 400) : 500)
    response.end(isOurs ? error.code : 'failed')
  }
}

async function answer(options: EstOptions, request: IncomingMessage): Promise<Uint8Array[]> {
  const { tenant, tokens, region, clock } = options
  const root = derOf(tenant.authority.certPem)
  if (request.method === 'GET' && request.url === `${ROOT}/cacerts`) return [root]
  if (request.method !== 'POST') throw new FleetError('FLEET_REQUEST', 'no such operation')
  const csr = Buffer.from((await readBody(request)).toString('latin1'), 'base64')
  const atMs = clock.wallMs()
  if (request.url === `${ROOT}/simpleenroll`) {
    if (request.headers.authorization === undefined)
      return [await recover(options, request, csr, atMs), root]
    const { serial, tenant: bound, region: place, token } = credentials(request)
    if (bound !== tenant.id || place !== region)
      throw new FleetError('FLEET_TOKEN', 'another tenant or region')
    const printer = { serial, tenant: tenant.id }
    // Made first, so that a bad request does not use the token up; given out only once it is.
    const certificate = certifyPrinter(tenant.authority, csr, printer, atMs)
    tokens.use(token, { ...printer, region }, atMs)
    return [certificate, root]
  }
  if (request.url === `${ROOT}/simplereenroll`) {
    const serial = clientOf(request, tenant.authority.certPem, atMs)
    return [certifyPrinter(tenant.authority, csr, { serial, tenant: tenant.id }, atMs), root]
  }
  throw new FleetError('FLEET_REQUEST', 'no such operation')
}

/** A printer enrolled or added before, whose own certificate has ended, comes back with its factory certificate. */
async function recover(
  { tenant, tokens, region, factoryCa }: EstOptions,
  request: IncomingMessage,
  csr: Uint8Array,
  atMs: number,
): Promise<Uint8Array> {
  if (factoryCa === undefined) throw new FleetError('FLEET_TOKEN', 'no token')
  const printer = { serial: clientOf(request, factoryCa, atMs), tenant: tenant.id }
  const isKnown =
    tokens.wasUsedBy({ ...printer, region }) ||
    (await listPrinters(tenant.directory)).includes(printer.serial)
  if (!isKnown) throw new FleetError('FLEET_TOKEN', 'never enrolled here')
  return certifyPrinter(tenant.authority, csr, printer, atMs)
}

/** The printer that the client certificate of exactly this authority names. */
function clientOf(request: IncomingMessage, authorityPem: string, atMs: number): string {
  const socket = request.socket as TLSSocket
  const raw = socket.getPeerCertificate().raw
  if (!socket.authorized || !raw) throw new FleetError('FLEET_TOKEN', 'no valid client certificate')
  const certificate = new X509Certificate(raw)
  if (!certificate.verify(new X509Certificate(authorityPem).publicKey))
    throw new FleetError('FLEET_TOKEN', 'a client certificate of another authority')
  if (certificate.validToDate.getTime() + GRACE_MS < atMs)
    throw new FleetError('FLEET_TOKEN', 'the client certificate has expired')
  return /^CN=(.+)$/m.exec(certificate.subject)?.[1] ?? ''
}

function credentials(request: IncomingMessage): {
  readonly serial: string
  readonly tenant: string
  readonly region: string
  readonly token: string
} {
  const [scheme, encoded] = (request.headers.authorization ?? '').split(' ')
  const parts = Buffer.from(encoded ?? '', 'base64')
    .toString('utf8')
    .split(':')
  const [serial, tenant, region, token] = parts
  const isWhole = scheme === 'Basic' && parts.length === 4
  if (!isWhole || !serial || !tenant || !region || !token)
    throw new FleetError('FLEET_TOKEN', 'no token')
  return { serial, tenant, region, token }
}

function serialClaimed(request: IncomingMessage): string {
  try {
    return credentials(request).serial
  } catch {
    return ''
  }
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request) {
    bytes += chunk.length
    if (bytes > MAX_BODY_BYTES) throw new FleetError('FLEET_REQUEST', `${bytes} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}
