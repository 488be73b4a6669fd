/** A gateway with one tenant, one printer and one key, over real TLS, and curl to speak to it. */
import { execFile, spawnSync } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import type { Publication } from '#cloud'
import { type Clock, systemClock } from '#lib/clock.ts'
import { issueServer } from '../../fleet/ca.ts'
import { type GatewayEvent, startGateway } from '../../fleet/gateway.ts'
import { issueKey } from '../../fleet/holder-keys.ts'
import type { HttpsServer } from '../../fleet/https-server.ts'
import { registerPrinter } from '../../fleet/printers.ts'
import { FleetStore } from '../../fleet/store.ts'
import { createTenant } from '../../fleet/tenant.ts'
import type { SlicerHost } from './slicer-requests.ts'

const root = join(import.meta.dirname, '../..')
export const SAMPLE = join(root, 'test/samples/clip.gcode')
export const hasCurl = spawnSync('curl', ['--version']).error === undefined

export interface GatewayDesk {
  readonly directory: string
  readonly store: FleetStore
  readonly gateway: HttpsServer
  readonly key: string
  readonly events: GatewayEvent[]
  readonly sent: Publication[]
  readonly host: SlicerHost
  /** Moves the gateway's clock. */
  pass(ms: number): void
  curl(...args: readonly string[]): Promise<Reply>
}

export interface Reply {
  readonly status: number
  readonly body: string
  readonly json: Readonly<Record<string, unknown>>
}

/** A gateway on a tenant of its own, gone with the test. */
export async function gatewayDesk(
  t: Test,
  more: { readonly maxFileBytes?: number; readonly maxSealing?: number } = {},
): Promise<GatewayDesk> {
  const directory = await mkdtemp(join(tmpdir(), 'fleet-gateway-'))
  const tenant = await createTenant(directory, 'test', Date.now())
  const store = new FleetStore(join(directory, 'fleet.sqlite'))
  const made = spawnSync(join(root, 'bin/mpf'), ['keygen', join(directory, 'printer')])
  t.equal(made.status, 0, String(made.stderr))
  const profile = await readFile(join(root, 'config/samples/printer.json'), 'utf8')
  const printer = { key: await readFile(join(directory, 'printer.pub.pem'), 'utf8'), profile }
  await registerPrinter(directory, 'P-1', printer)
  const [events, sent]: [GatewayEvent[], Publication[]] = [[], []]
  let skewMs = 0
  const clock: Clock = { ...systemClock, nowMs: () => systemClock.nowMs() + skewMs }
  const gateway = await startGateway({
    ...{ tenant, store, clock, host: '127.0.0.1', port: 0, uses: 1 },
    maxSealing: more.maxSealing ?? 2,
    server: issueServer(tenant.authority, ['localhost'], Date.now()),
    maxFileBytes: more.maxFileBytes ?? 1 << 20,
    publish: async publication => void sent.push(publication),
    onEvent: event => events.push(event),
  })
  const key = await issueKey(directory, 'api-keys', 'slicer')
  t.teardown(async () => {
    await gateway[Symbol.asyncDispose]()
    store[Symbol.dispose]()
    await rm(directory, { recursive: true })
  })
  const curl = (...args: readonly string[]) =>
    new Promise<Reply>((resolve, reject) => {
      const fixed = ['-sS', '--cacert', join(directory, 'ca.pem'), '-w', '\n%{http_code}']
      const path = args.at(-1) ?? ''
      const url = `https://localhost:${gateway.port}${path}`
      execFile('curl', [...fixed, ...args.slice(0, -1), url], (error, output) => {
        if (error) return reject(error)
        const [body = '', status = ''] = output.split('\n')
        const json = body.startsWith('{') ? (JSON.parse(body) as Reply['json']) : {}
        resolve({ status: Number(status), body, json })
      })
    })
  const ca = tenant.authority.certPem
  const host = { port: gateway.port, ca, key, path: '/p/P-1' }
  const pass = (ms: number) => {
    skewMs += ms
  }
  return { directory, store, gateway, key, events, sent, host, pass, curl }
}

/** What the gateway kept, by path. */
export async function filesIn(directory: string): Promise<readonly string[]> {
  const place = join(directory, 'files')
  const entries = await readdir(place, { recursive: true, withFileTypes: true }).catch(() => [])
  return entries.filter(entry => entry.isFile()).map(entry => join(entry.parentPath, entry.name))
}
