/** A page that only looks: live printers over HTTPS, one key to log in, server-sent events, nothing that changes anything. */

import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Clock } from '#lib/clock.ts'
import { FLEET } from './broker-names.ts'
import { FleetError } from './errors.ts'
import { holderOf } from './holder-keys.ts'
import { type HttpsPlace, type HttpsServer, serveHttps } from './https-server.ts'
import { LoginGuard } from './login-guard.ts'
import type { FleetStore } from './store.ts'
import { changedRows, detailOf, type ListRow, listOf, newestAlerts } from './web-views.ts'

export interface WebOptions extends HttpsPlace {
  readonly tenantDirectory: string
  readonly store: FleetStore
  readonly clock: Clock
}

const HEADERS = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
  'strict-transport-security': 'max-age=31536000',
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cache-control': 'no-store',
}
const PAGES: Readonly<Record<string, readonly [string, string]>> = {
  '/': ['page.html', 'text/html; charset=utf-8'],
  '/page.css': ['page.css', 'text/css'],
  '/page.js': ['page.js', 'text/javascript'],
}
const SESSION_MS = 12 * 3_600_000
const LOOK_MS = 1000
const MAX_LOGIN_BYTES = 1024

export async function startWebServer(options: WebOptions): Promise<HttpsServer> {
  await using starting = new AsyncDisposableStack()
  const web = starting.use(new Web(options))
  const { port } = starting.use(
    await serveHttps(options, {}, (request, response) => web.serve(request, response)),
  )
  const stack = starting.move()
  return { port, [Symbol.asyncDispose]: () => stack.disposeAsync() }
}

class Web implements Disposable {
  readonly #options: WebOptions
  readonly #guard: LoginGuard
  /** Until when, by session. */
  readonly #sessions = new Map<string, number>()

  constructor(options: WebOptions) {
    const { store, clock } = options
    this.#options = options
    this.#guard = new LoginGuard(clock, message =>
      store.alert(FLEET, clock.wallMs(), 'FLEET_API_KEY', `web page: ${message}`),
    )
  }

  [Symbol.dispose](): void {
    this.#guard[Symbol.dispose]()
  }

  async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    for (const [name, value] of Object.entries(HEADERS)) response.setHeader(name, value)
    const { pathname } = new URL(request.url ?? '', 'https://fleet')
    try {
      if (request.method === 'POST' && pathname === '/login')
        return await this.#login(request, response)
      if (request.method !== 'GET') return end(response, 405)
      const page = Object.hasOwn(PAGES, pathname) ? PAGES[pathname] : undefined
      if (page) return await sendPage(response, page)
      if (!this.#isLoggedIn(request)) return end(response, 401)
      this.#answer(pathname, request, response)
    } catch (error) {
      end(response, error instanceof FleetError ? 403 : 500)
    }
  }

  #answer(pathname: string, request: IncomingMessage, response: ServerResponse): void {
    if (pathname === '/api/session') return end(response, 204)
    if (pathname === '/api/stream') return void this.#stream(request, response)
    const [, device] = /^\/api\/printers\/([A-Za-z0-9._-]{1,64})$/.exec(pathname) ?? []
    if (device === undefined) return end(response, 404)
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify(detailOf(this.#options.store, device)))
  }

  /** All printers at first, then those that changed; a browser that reads slowly is skipped, not queued for. */
  async #stream(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { store, clock } = this.#options
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    const ending = new AbortController()
    response.on('close', () => ending.abort())
    let last: ReadonlyMap<string, ListRow> = new Map()
    while (!ending.signal.aborted && this.#isLoggedIn(request)) {
      if (!response.writableNeedDrain) {
        const rows = listOf(store)
        const changed = changedRows(last, rows)
        last = new Map(rows.map(row => [row.device, row]))
        const alerts = newestAlerts(store, FLEET)
        response.write(`event: printers\ndata: ${JSON.stringify(changed)}\n\n`)
        response.write(`event: alerts\ndata: ${JSON.stringify(alerts)}\n\n`)
      }
      await clock.sleep(LOOK_MS, ending.signal).catch(() => undefined)
    }
    response.end()
  }

  async #login(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { tenantDirectory, clock } = this.#options
    await this.#guard.admit(request.socket.remoteAddress ?? '', async () =>
      holderOf(tenantDirectory, 'web-keys', await readKey(request)),
    )
    for (const [old, untilMs] of this.#sessions)
      if (untilMs <= clock.nowMs()) this.#sessions.delete(old)
    const session = randomBytes(32).toString('base64url')
    this.#sessions.set(session, clock.nowMs() + SESSION_MS)
    const cookie = `__Host-fleet=${session}; Path=/; Secure; HttpOnly; SameSite=Strict`
    response.writeHead(303, { 'set-cookie': cookie, location: '/' })
    response.end()
  }

  #isLoggedIn(request: IncomingMessage): boolean {
    const [, session = ''] = /__Host-fleet=([\w-]{43})/.exec(request.headers.cookie ?? '') ?? []
    return (this.#sessions.get(session) ?? 0) > this.#options.clock.nowMs()
  }
}

/** The key of the form. @throws FleetError FLEET_API_KEY */
async function readKey(request: IncomingMessage): Promise<string> {
  let text = ''
  for await (const chunk of request) {
    text += chunk
    if (text.length > MAX_LOGIN_BYTES) throw new FleetError('FLEET_API_KEY', 'not a key')
  }
  return new URLSearchParams(text).get('key') ?? ''
}

async function sendPage(
  response: ServerResponse,
  [name, type]: readonly [string, string],
): Promise<void> {
  response.setHeader('content-type', type)
  response.end(await readFile(new URL(`web/${name}`, import.meta.url)))
}

function end(response: ServerResponse, status: number): void {
  if (!response.headersSent) response.writeHead(status)
  response.end()
}
