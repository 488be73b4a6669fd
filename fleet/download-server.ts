/** Offered files by HTTPS: ranges of a file for the one printer it is offered to, under a token that ends with the last byte or the offer. */

import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { open } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { pipeline } from 'node:stream/promises'
import type { TLSSocket } from 'node:tls'
import { z } from 'zod'
import type { Clock } from '#lib/clock.ts'
import { FleetError } from './errors.ts'
import { type HttpsPlace, type HttpsServer, serveHttps } from './https-server.ts'
import type { FleetStore } from './store.ts'
import type { Tenant } from './tenant.ts'

export interface DownloadOptions extends HttpsPlace {
  readonly tenant: Tenant
  readonly store: FleetStore
  readonly clock: Clock
}

/** What is remembered of an offer with a URL. */
const offeredSchema = z.object({
  path: z.string(),
  sizeBytes: z.int(),
  url: z.object({ digest: z.string(), untilMs: z.int(), usedMs: z.int().nullable() }),
})
type Offered = z.infer<typeof offeredSchema>

/** A new URL below `base`, and what is to be remembered of it: never the token itself. */
export function makeUrl(
  base: string,
  offer: string,
  untilMs: number,
): { readonly url: string; readonly record: Offered['url'] } {
  const token = randomBytes(32).toString('base64url')
  const record = { digest: digestOf(token), untilMs, usedMs: null }
  return { url: `${base}/offers/${offer}/${token}`, record }
}

/** Serves until it is disposed. Only printers of the tenant get through the handshake. */
export async function startDownloadServer(options: DownloadOptions): Promise<HttpsServer> {
  const ca = options.tenant.authority.certPem
  const rules = { ca, requestCert: true, rejectUnauthorized: true }
  return serveHttps(options, rules, (request, response) => answer(options, request, response))
}

async function answer(
  options: DownloadOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { store, clock } = options
  const name = (request.socket as TLSSocket).getPeerCertificate().subject?.CN
  const device = typeof name === 'string' ? name : ''
  try {
    const { offer, offered } = expectOffer(store, device, request, clock.wallMs())
    const [from, to] = expectRange(request.headers.range, offered.sizeBytes)
    await using file = await open(offered.path, 'r')
    response.writeHead(206, {
      'content-type': 'application/octet-stream',
      'content-range': `bytes ${from}-${to}/${offered.sizeBytes}`,
      'content-length': to - from + 1,
    })
    await pipeline(file.createReadStream({ start: from, end: to, autoClose: false }), response)
    if (to + 1 < offered.sizeBytes) return
    const url = { ...offered.url, usedMs: clock.wallMs() }
    store.setFact(device, `offer:${offer}`, clock.wallMs(), { ...offered, url })
  } catch (error) {
    refuse(options, device, response, error)
  }
}

/** @throws FleetError FLEET_TOKEN */
function expectOffer(
  store: FleetStore,
  device: string,
  { method, url = '' }: IncomingMessage,
  atMs: number,
): { readonly offer: string; readonly offered: Offered } {
  const [, offer = '', token = ''] =
    /^\/offers\/([A-Za-z0-9_-]{8,64})\/([A-Za-z0-9_-]{43})$/.exec(url) ?? []
  const offered = offeredSchema.safeParse(store.fact(device, `offer:${offer}`)).data
  const isToken =
    method === 'GET' &&
    offered !== undefined &&
    timingSafeEqual(Buffer.from(digestOf(token)), Buffer.from(offered.url.digest))
  if (!isToken) throw new FleetError('FLEET_TOKEN', 'no such download for this printer')
  if (offered.url.usedMs !== null) throw new FleetError('FLEET_TOKEN', 'download used before')
  if (offered.url.untilMs < atMs) throw new FleetError('FLEET_TOKEN', 'download expired')
  return { offer, offered }
}

/** One range, both ends named (RFC 9110, 14.1.2). @throws FleetError FLEET_REQUEST */
function expectRange(range: string | undefined, sizeBytes: number): readonly [number, number] {
  const [, first, last] = /^bytes=(\d{1,15})-(\d{1,15})$/.exec(range ?? '') ?? []
  const [from, to] = [Number(first), Number(last)]
  if (!(from <= to && to < sizeBytes)) throw new FleetError('FLEET_REQUEST', 'not a range')
  return [from, to]
}

function refuse(
  { store, clock }: DownloadOptions,
  device: string,
  response: ServerResponse,
  error: unknown,
): void {
  if (error instanceof FleetError)
    store.alert(device || 'unknown', clock.wallMs(), error.code, error.message)
  if (response.headersSent) {
    response.destroy()
    return
  }
  const isToken = error instanceof FleetError && error.code === 'FLEET_TOKEN'
  response.writeHead(isToken ? 403 : 416).end()
}

function digestOf(token: string): string {
  return createHash('sha256').update(token).digest('hex')
}
