/** How a printer gets its client certificate (EST, RFC 7030): a key made here, a request, a token used once; later renewals with the certificate itself. */

import { X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { request as httpsRequest } from 'node:https'
import type { Config } from '#config'
import { type DerNode, decodeDer, encodeDer } from '#mpf'
import { CloudError } from './errors.ts'
import { IdentityStore, type NamedIdentity, type SlotIdentity } from './identity.ts'
import { type Identity, TLS_RULES } from './tls-socket.ts'

const TIMEOUT_MS = 30_000
const MAX_REPLY_BYTES = 64 * 1024

export interface Enrolment {
  readonly url: string
  /** Used once, bound to serial, tenant and region. */
  readonly token: string
}

export interface EnrolmentServer {
  readonly url: string
  readonly ca: string
  /** Ends the asking. */
  readonly signal?: AbortSignal
}

/** Makes a key, asks for its certificate, and makes both the current identity. @throws CloudError CLOUD_ENROL, CLOUD_IDENTITY */
export async function enrolPrinter(config: Config, enrolment: Enrolment): Promise<SlotIdentity> {
  const { cloud, printer } = config
  if (!cloud) throw new CloudError('CLOUD_ENROL', 'the configuration has no cloud section')
  const store = new IdentityStore(cloud.identityDirectory)
  const slot = await store.spareSlot()
  const csr = await store.request(slot, { commonName: printer.serial })
  const bound = `${printer.serial}:${printer.tenant}:${cloud.region}`
  const chain = await post(`${enrolment.url}/.well-known/est/simpleenroll`, csr, {
    ca: await readFile(cloud.caFile, 'utf8'),
    authorization: `Basic ${Buffer.from(`${bound}:${enrolment.token}`).toString('base64')}`,
  })
  const identity = await store.install(slot, chain)
  await store.promote(slot)
  return identity
}

/**
 * Asks for a certificate with a new key, authenticated by the old certificate, into the spare slot. The old slot stays
 * current until the new one has proven itself in a connection.
 * @throws CloudError CLOUD_ENROL, CLOUD_IDENTITY
 */
export async function renewIdentity(
  store: IdentityStore,
  old: SlotIdentity,
  server: EnrolmentServer,
): Promise<SlotIdentity> {
  const slot = await store.spareSlot()
  const csr = await store.request(slot, { commonName: old.device })
  const url = `${server.url}/.well-known/est/simplereenroll`
  return store.install(slot, await post(url, csr, { ...server, identity: old }))
}

/**
 * As renewIdentity, authenticated by the factory identity: for a printer whose own certificate has ended.
 * @throws CloudError CLOUD_ENROL, CLOUD_IDENTITY
 */
export async function recoverIdentity(
  store: IdentityStore,
  factory: NamedIdentity,
  server: EnrolmentServer,
): Promise<SlotIdentity> {
  const slot = await store.spareSlot()
  const csr = await store.request(slot, { commonName: factory.device })
  const url = `${server.url}/.well-known/est/simpleenroll`
  return store.install(slot, await post(url, csr, { ...server, identity: factory }))
}

interface PostOptions {
  readonly ca: string
  readonly signal?: AbortSignal
  readonly authorization?: string
  readonly identity?: Identity
}

/** Resolves with the certificates as PEM, the printer's own first. */
async function post(url: string, csr: Uint8Array, options: PostOptions): Promise<string> {
  const { ca, authorization, identity, signal } = options
  if (!url.startsWith('https://')) throw new CloudError('CLOUD_ENROL', 'not an https URL')
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>()
  const request = httpsRequest(url, {
    method: 'POST',
    ...{ ca, ...TLS_RULES, timeout: TIMEOUT_MS, agent: false },
    ...(identity && { cert: identity.cert, key: identity.key }),
    ...(signal && { signal }),
    headers: {
      'content-type': 'application/pkcs10',
      'content-transfer-encoding': 'base64',
      ...(authorization !== undefined && { authorization }),
    },
  })
  request.on('timeout', () => request.destroy(new Error('no answer in time')))
  request.on('error', reject)
  request.on('response', response => {
    const chunks: Buffer[] = []
    let bytes = 0
    response.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      if (bytes > MAX_REPLY_BYTES) request.destroy(new Error('an answer too long'))
      chunks.push(chunk)
    })
    response.on('error', reject)
    response.on('end', () => {
      if (response.statusCode === 200) resolve(Buffer.concat(chunks))
      else
        reject(
          new Error(
            `status ${response.statusCode}: ${Buffer.concat(chunks).toString('latin1').slice(0, 80)}`,
          ),
        )
    })
  })
  request.end(Buffer.from(csr).toString('base64'))
  try {
    return certificatesOf(Buffer.from((await promise).toString('latin1'), 'base64'))
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : 'unknown'
    throw new CloudError('CLOUD_ENROL', `enrolment: ${message}`, { reason: message, cause })
  }
}

/** PKCS#7 certs-only (RFC 5652 SignedData without signers): ContentInfo, [0], SignedData, [0] certificates. */
function certificatesOf(der: Uint8Array): string {
  const signedData = itemsOf(itemsOf(itemsOf(decodeDer(der))[1])[0])
  const field = signedData.find(node => node.isContext && node.tag === 0)
  const certificates = itemsOf(field).map(node => new X509Certificate(encodeDer(node)))
  if (certificates.length === 0) throw new Error('no certificate in the answer')
  return certificates.map(certificate => certificate.toString()).join('')
}

function itemsOf(node: DerNode | undefined): readonly DerNode[] {
  return node && 'items' in node ? node.items : []
}
