/** The upload API of OctoPrint as PrusaSlicer, OrcaSlicer and Cura speak it, over TLS: what comes in is sealed for one printer and sent to it. */

import { randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import { type Publication, topicOf } from '#cloud'
import type { Clock } from '#lib/clock.ts'
import type { IssuedKey } from './ca.ts'
import { FleetError, type FleetErrorCode } from './errors.ts'
import { jobView, printerView, profilesView, VERSION } from './gateway-views.ts'
import { holderOf } from './holder-keys.ts'
import { makeOffer } from './jobs.ts'
import { findPrinter, listPrinters } from './printers.ts'
import { sealStream } from './sealing.ts'
import type { FleetStore } from './store.ts'
import type { Tenant } from './tenant.ts'
import { readUpload } from './upload.ts'

export interface GatewayOptions {
  readonly tenant: Tenant
  readonly store: FleetStore
  readonly server: IssuedKey
  readonly clock: Clock
  readonly host: string
  readonly port: number
  readonly maxFileBytes: number
  /** Files sealed at the same time; more are asked to come again. */
  readonly maxSealing: number
  /** How often each file may be printed. */
  readonly uses: number
  readonly publish: (publication: Publication) => Promise<void>
  /** Told of what was sent and of each refusal. */
  readonly onEvent: (event: GatewayEvent) => void
}

export interface GatewayEvent {
  readonly atMs: number
  readonly printer: string
  readonly code: FleetErrorCode | null
  readonly message: string
}

export interface Gateway extends AsyncDisposable {
  readonly port: number
}

const STATUS: Readonly<Partial<Record<FleetErrorCode, number>>> = {
  FLEET_API_KEY: 403,
  FLEET_PRINTER_UNKNOWN: 404,
  FLEET_TOO_LARGE: 413,
  FLEET_UPLOAD: 400,
  FLEET_SEAL: 415,
  FLEET_BUSY: 503,
}
const IDLE_MS = 60_000

export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const gateway = new GatewayServer(options)
  const { certPem: cert, keyPem: key } = options.server
  const https = createServer({ cert, key, minVersion: 'TLSv1.2' }, (request, response) =>
    gateway.serve(request, response),
  )
  https.timeout = IDLE_MS
  await new Promise<void>((resolve, reject) => {
    https.once('error', reject)
    https.listen(options.port, options.host, resolve)
  })
  const address = https.address()
  return {
    port: typeof address === 'object' && address ? address.port : options.port,
    async [Symbol.asyncDispose]() {
      https.closeAllConnections()
      await new Promise<void>(resolve => https.close(() => resolve()))
    },
  }
}

class GatewayServer {
  readonly #options: GatewayOptions
  #sealing = 0

  constructor(options: GatewayOptions) {
    this.#options = options
  }

  async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { clock, onEvent } = this.#options
    const { printer, path } = placeOf(request.url ?? '')
    try {
      const holder = await holderOf(this.#options.tenant.directory, 'api-keys', keyOf(request))
      const { status, body } = await this.#answer(request, path, printer, holder)
      reply(response, status, body)
    } catch (error) {
      const isOurs = error instanceof FleetError
      const code = isOurs ? error.code : null
      const message = error instanceof Error ? error.message : 'unknown'
      onEvent({ atMs: clock.wallMs(), printer: printer ?? '', code, message })
      // What is still coming would otherwise fill the connection.
      response.setHeader('connection', 'close')
      reply(response, (code && STATUS[code]) ?? 500, { error: code ?? 'failed', message })
    }
  }

  async #answer(
    request: IncomingMessage,
    path: string,
    named: string | undefined,
    holder: string,
  ): Promise<{ readonly status: number; readonly body: unknown }> {
    const { store, tenant } = this.#options
    if (request.method === 'GET' && path === '/api/version') return { status: 200, body: VERSION }
    const serial = named ?? (await onlyPrinter(tenant))
    const printer = await findPrinter(tenant.directory, serial)
    if (request.method === 'POST' && path === '/api/files/local')
      return this.#upload(request, serial, printer, holder)
    if (request.method !== 'GET') throw new FleetError('FLEET_UPLOAD', 'no such operation')
    if (path === '/api/job') return { status: 200, body: jobView(store, serial) }
    if (path === '/api/printer') return { status: 200, body: printerView(store, serial) }
    if (path === '/api/connection')
      return { status: 200, body: { current: printerView(store, serial).state } }
    if (path === '/api/printerprofiles') return { status: 200, body: profilesView(store, serial) }
    if (path === '/api/settings')
      return {
        status: 200,
        body: { feature: { sdSupport: false }, webcam: { webcamEnabled: false } },
      }
    throw new FleetError('FLEET_UPLOAD', 'no such operation')
  }

  async #upload(
    request: IncomingMessage,
    serial: string,
    printer: Awaited<ReturnType<typeof findPrinter>>,
    holder: string,
  ) {
    const { tenant, maxFileBytes, maxSealing, uses, clock, onEvent } = this.#options
    if (this.#sealing >= maxSealing)
      throw new FleetError('FLEET_BUSY', `${this.#sealing} files are being sealed`)
    this.#sealing += 1
    try {
      const limits = { fileBytes: maxFileBytes }
      const name = `${randomUUID()}.mpf`
      const { fields, fileName, taken } = await readUpload(request, limits, (file, title) =>
        sealStream(file, { tenant, printer, uses, name, title }),
      )
      const isPrint = fields.get('print') === 'true'
      const offer = isPrint ? await this.#send(serial, taken) : null
      const message = `${fileName} by ${holder}: ${offer ? `sent as ${offer}` : 'sealed and kept'}`
      onEvent({ atMs: clock.wallMs(), printer: serial, code: null, message })
      return {
        status: 201,
        body: {
          done: true,
          effectivePrint: isPrint,
          effectiveSelect: isPrint,
          files: { local: { name: fileName, origin: 'local', path: name, refs: {} } },
          offer,
        },
      }
    } finally {
      this.#sealing -= 1
    }
  }

  async #send(device: string, path: string): Promise<string> {
    const { tenant, store, clock, publish } = this.#options
    const { offer, envelope } = await makeOffer(store, {
      ...{ path, device, tenant: tenant.id, atMs: clock.wallMs() },
      publisher: await tenant.key('publisher'),
    })
    await publish({ topic: topicOf(device, 'job'), payload: envelope })
    return offer.offer
  }
}

/** `/p/SERIAL/api/...` names the printer; without it there must be one only. */
function placeOf(url: string): { readonly printer: string | undefined; readonly path: string } {
  const { pathname } = new URL(url, 'https://gateway')
  const [, printer, path] = /^\/p\/([A-Za-z0-9._-]{1,64})(\/.*)$/.exec(pathname) ?? []
  return { printer, path: path ?? pathname }
}

function keyOf(request: IncomingMessage): string {
  const { authorization } = request.headers
  const [, bearer] = /^Bearer (\S+)$/.exec(authorization ?? '') ?? []
  const header = request.headers['x-api-key']
  return bearer ?? (typeof header === 'string' ? header : '')
}

async function onlyPrinter(tenant: Tenant): Promise<string> {
  const [only, ...more] = await listPrinters(tenant.directory)
  if (only === undefined || more.length > 0)
    throw new FleetError('FLEET_PRINTER_UNKNOWN', 'name the printer: /p/SERIAL/api/...')
  return only
}

function reply(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' })
  response.end(JSON.stringify(body))
}
