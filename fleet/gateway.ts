/** The upload API of OctoPrint as PrusaSlicer, OrcaSlicer and Cura speak it, over TLS: what comes in is sealed for one printer and sent to it. */

import { randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { z } from 'zod'
import { type Publication, topicOf } from '#cloud'
import type { Clock } from '#lib/clock.ts'
import { FleetError, type FleetErrorCode } from './errors.ts'
import { VERSION, viewOf } from './gateway-views.ts'
import { holderOf } from './holder-keys.ts'
import { type HttpsPlace, type HttpsServer, serveHttps } from './https-server.ts'
import { makeOffer } from './jobs.ts'
import { findKept, placeFor, removeOld } from './kept-files.ts'
import { LoginGuard } from './login-guard.ts'
import { findPrinter, listPrinters, type PrinterFiles } from './printers.ts'
import { sealStream } from './sealing.ts'
import type { FleetStore } from './store.ts'
import type { Tenant } from './tenant.ts'
import { drain, readUpload } from './upload.ts'

export interface GatewayOptions extends HttpsPlace {
  readonly tenant: Tenant
  readonly store: FleetStore
  readonly clock: Clock
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
  /** Empty when no printer is meant. */
  readonly printer: string
  readonly code: FleetErrorCode | null
  readonly message: string
}

interface Answer {
  readonly status: number
  /** Sent as JSON; text as it is: slicers show it to their user. */
  readonly body?: string | object
  readonly location?: string
}

/** One request of a holder of a key, for one printer. */
interface Asked {
  readonly request: IncomingMessage
  readonly operation: string
  readonly serial: string
  readonly holder: string
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
const SWEEP_MS = 3_600_000
const MAX_COMMAND_BYTES = 1024
const commandSchema = z.looseObject({
  command: z.literal('select'),
  print: z.boolean().default(false),
})

export async function startGateway(options: GatewayOptions): Promise<HttpsServer> {
  const { tenant, clock } = options
  await using starting = new AsyncDisposableStack()
  const gateway = starting.use(new Gateway(options))
  // How long a whole request may take is for its pace to say: see upload.ts.
  const rules = { requestTimeout: 0, idleMs: IDLE_MS }
  const { port } = starting.use(
    await serveHttps(options, rules, (request, response) => gateway.serve(request, response)),
  )
  const ending = new AbortController()
  const sweeping = sweep(tenant, clock, ending.signal)
  starting.defer(async () => {
    ending.abort()
    await sweeping
  })
  const stack = starting.move()
  return { port, [Symbol.asyncDispose]: () => stack.disposeAsync() }
}

async function sweep({ directory }: Tenant, clock: Clock, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await removeOld(directory, clock.wallMs())
    await clock.sleep(SWEEP_MS, signal).catch(() => undefined)
  }
}

class Gateway implements Disposable {
  readonly #options: GatewayOptions
  readonly #guard: LoginGuard
  #sealing = 0

  constructor(options: GatewayOptions) {
    const { clock, onEvent } = options
    this.#options = options
    this.#guard = new LoginGuard(clock, message =>
      onEvent({ atMs: clock.wallMs(), printer: '', code: 'FLEET_API_KEY', message }),
    )
  }

  [Symbol.dispose](): void {
    this.#guard[Symbol.dispose]()
  }

  async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { maxFileBytes: fileBytes, clock } = this.#options
    const { status, body, location } = await this.#answerOrRefuse(request)
    const text = typeof body === 'string' ? body : body ? JSON.stringify(body) : ''
    response.writeHead(status, {
      ...(text && { 'content-length': Buffer.byteLength(text) }),
      ...(text && { 'content-type': text === body ? 'text/plain' : 'application/json' }),
      ...(location && { location }),
      ...(status >= 400 && { connection: 'close' }),
      'cache-control': 'no-store',
    })
    response.write(text)
    await drain(request, { fileBytes, clock })
    response.end()
  }

  async #answerOrRefuse(request: IncomingMessage): Promise<Answer> {
    const { printer, path } = placeOf(request.url ?? '')
    // Cura asks whether it can be given a key; it cannot.
    if (path.startsWith('/plugin/')) return { status: 404, body: 'not offered' }
    try {
      const holder = await this.#guard.admit(request.socket.remoteAddress ?? '', () =>
        holderOf(this.#options.tenant.directory, 'api-keys', keyOf(request)),
      )
      return await this.#answer(request, `${request.method} ${path}`, printer, holder)
    } catch (error) {
      const code = error instanceof FleetError ? error.code : null
      const message = error instanceof Error ? error.message : 'unknown'
      if (code !== 'FLEET_API_KEY') this.#tell(printer ?? '', code, message)
      return { status: (code && STATUS[code]) ?? 500, body: `${code ?? 'failed'}: ${message}` }
    }
  }

  async #answer(
    request: IncomingMessage,
    operation: string,
    named: string | undefined,
    holder: string,
  ): Promise<Answer> {
    const { store, tenant } = this.#options
    if (operation === 'GET /api/version') return { status: 200, body: VERSION }
    if (operation === 'POST /api/login') return { status: 200, body: { name: holder } }
    const serial = named ?? (await onlyPrinter(tenant))
    const printer = await findPrinter(tenant.directory, serial)
    if (operation === 'POST /api/files/local')
      return this.#upload({ request, operation, serial, holder }, printer)
    if (operation.startsWith('POST /api/files/local/'))
      return this.#select({ request, operation, serial, holder })
    const view = viewOf(operation, store, serial)
    if (!view) throw new FleetError('FLEET_UPLOAD', `no such operation: ${operation}`)
    return view
  }

  async #upload({ request, serial, holder }: Asked, printer: PrinterFiles): Promise<Answer> {
    const { tenant, maxFileBytes, maxSealing, uses, clock } = this.#options
    if (this.#sealing >= maxSealing)
      throw new FleetError('FLEET_BUSY', `${this.#sealing} files are being sealed`)
    this.#sealing += 1
    try {
      const name = `${randomUUID()}.mpf`
      const out = await placeFor(tenant.directory, serial, name)
      const limits = { fileBytes: maxFileBytes, clock }
      const { fields, fileName } = await readUpload(request, limits, (file, title) =>
        sealStream(file, { tenant, printer, uses, out, title }),
      )
      const isPrint = fields.get('print') === 'true'
      const offer = isPrint ? await this.#send(serial, out) : null
      this.#tell(serial, null, `${fileName} by ${holder}: ${offer ? `sent as ${offer}` : 'kept'}`)
      const location = `/p/${serial}/api/files/local/${name}`
      const local = { name: fileName, origin: 'local', path: name, refs: { resource: location } }
      const effective = { effectivePrint: isPrint, effectiveSelect: isPrint }
      return { status: 201, location, body: { done: true, ...effective, files: { local }, offer } }
    } finally {
      this.#sealing -= 1
    }
  }

  /** A file that was uploaded before is selected, or printed. */
  async #select({ request, operation, serial, holder }: Asked): Promise<Answer> {
    const { tenant, clock } = this.#options
    const name = operation.slice(operation.lastIndexOf('/') + 1)
    const path = await findKept(tenant.directory, serial, name, clock.wallMs())
    const command = commandSchema.safeParse(await readJson(request)).data
    if (!command) throw new FleetError('FLEET_UPLOAD', 'a kept file can be selected and printed')
    if (command.print) {
      const offer = await this.#send(serial, path)
      this.#tell(serial, null, `${name} by ${holder}: sent as ${offer}`)
    }
    return { status: 204 }
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

  #tell(printer: string, code: FleetErrorCode | null, message: string): void {
    const { clock, onEvent } = this.#options
    onEvent({ atMs: clock.wallMs(), printer, code, message })
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

async function readJson(request: IncomingMessage): Promise<unknown> {
  let text = ''
  for await (const chunk of request) {
    text += chunk
    if (text.length > MAX_COMMAND_BYTES) throw new FleetError('FLEET_UPLOAD', 'not a command')
  }
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new FleetError('FLEET_UPLOAD', 'not a command', { cause })
  }
}
