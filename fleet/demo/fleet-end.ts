/** The fleet end of the demo: a tenant, the embedded broker, and a worker that receives and enrols. */

import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { issueServer } from '../ca.ts'
import { startEmbeddedBroker } from '../embedded-broker.ts'
import { FleetStore } from '../store.ts'
import { openTenant } from '../tenant.ts'
import { startProgram, type Tools } from './processes.ts'

const POLL_MS = 100
const WAIT_MS = 60_000

export interface FleetEnd extends AsyncDisposable {
  readonly directory: string
  readonly tenant: string
  readonly ca: string
  readonly broker: string
  readonly enrolUrl: string
  readonly store: FleetStore
  /** `fleet` for this tenant. */
  run(args: readonly string[], isShown?: boolean): Promise<string>
  /** `fleet command` at the printer; resolves with its signed answer. */
  command(
    serial: string,
    verb: string,
    options?: readonly string[],
  ): Promise<{ readonly outcome: string; readonly code: string | null }>
}

export async function startFleetEnd(tools: Tools, directory: string): Promise<FleetEnd> {
  const { report } = tools
  const fleet = (args: readonly string[], isShown = false) =>
    tools.run('fleet', ['--tenant', directory, ...args], { isShown })
  await fleet(['tenant', 'create', 'demo'], true)
  const tenant = await openTenant(directory)
  await using starting = new AsyncDisposableStack()
  const { certPem, keyPem } = issueServer(tenant.authority, ['localhost'], Date.now())
  const files = { ca: tenant.authority.certPem, cert: certPem, key: keyPem }
  const { port } = starting.use(await startEmbeddedBroker({ port: 0, ...files }))
  const broker = `mqtts://localhost:${port}`
  report.say(`broker: aedes at ${broker}, TLS with client certificates only`)
  const worker = ['--tenant', directory, 'serve', '--broker', broker, '--enrol', '0']
  report.command(`fleet serve --broker ${broker} --enrol 0`)
  const serve = starting.use(startProgram('fleet', worker, join(directory, 'serve.log')))
  const line = await serve.firstLine()
  report.say(line)
  const store = starting.use(new FleetStore(join(directory, 'fleet.sqlite')))
  const stack = starting.move()
  return {
    ...{ directory, broker, store, tenant: tenant.id, ca: join(directory, 'ca.pem'), run: fleet },
    enrolUrl: line.replace(/^.* /, ''),
    async command(serial, verb, options = []) {
      const args = ['command', verb, '--to', serial, '--broker', broker, ...options]
      return JSON.parse(await fleet(args))
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  }
}

/** Looks again until it is so. @throws Error after a minute; the reason of the signal */
export async function until(what: string, { signal }: Tools, look: () => boolean): Promise<void> {
  for (const startedMs = performance.now(); !look(); ) {
    if (performance.now() - startedMs > WAIT_MS)
      throw new Error(`${what}: not within ${WAIT_MS / 1000} s`)
    await setTimeout(POLL_MS, undefined, { signal })
  }
}
