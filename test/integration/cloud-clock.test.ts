/** Certificates and time: a broker from the future is named and tried again, never believed; a session ends with its certificate. */
import { join } from 'node:path'
import { test } from 'tap'
import { systemClock } from '#lib/clock.ts'
import { runCourier } from '../../firmware/cloud/courier.ts'
import { IdentityStore } from '../../firmware/cloud/identity.ts'
import { certifyPrinter, issueServer, pemOf } from '../../fleet/ca.ts'
import {
  type DeskCore,
  fleet,
  log,
  type Printer,
  printer,
  startCourier,
  startDeskCore,
  until,
} from '../fakes/cloud-bench.ts'
import { startAedes } from '../fakes/cloud-broker.ts'
import { certifyShort } from '../fakes/cloud-short.ts'

const DAY_MS = 86_400_000

function events(core: DeskCore, type: string) {
  return core.journal.events(0, 500).filter(event => event.type === type)
}

/** A courier that looks again twenty times a second at what it looks at once a minute. */
function startHurriedCourier({ config }: Printer): AsyncDisposable {
  const ending = new AbortController()
  const clock = {
    ...systemClock,
    sleep: (ms: number, signal?: AbortSignal) => systemClock.sleep(Math.min(ms, 50), signal),
  }
  const ports = { clock, log, random: () => 0.05, version: '0.1.0' }
  const running = runCourier(config, ports, ending.signal)
  return {
    async [Symbol.asyncDispose]() {
      ending.abort()
      await running.catch(() => undefined)
    },
  }
}

test('a broker whose certificate is not valid yet is named CLOUD_TLS_CLOCK, tried again, and never believed', async t => {
  await using on = await fleet('aedes')
  const server = issueServer(on.tenant.authority, ['localhost'], Date.now() + 30 * DAY_MS)
  const files = { ...on.files, cert: server.certPem, key: server.keyPem }
  await using future = await startAedes(files)
  const made = await printer(on, 'P-1', { endpoints: [`mqtts://localhost:${future.port}`] })
  await using core = await startDeskCore(made)
  await using _courier = startCourier(made)
  const refused = await until(() => {
    const found = events(core, 'cloud.refused')
    return found.length >= 3 && found
  })
  t.same([...new Set(refused.map(({ code }) => code))], ['CLOUD_TLS_CLOCK'])
  t.match(refused[0]?.detail, { reason: 'CERT_NOT_YET_VALID' })
  t.same(events(core, 'cloud.connected'), [])
})

test('a session ends with its own certificate, and the other slot opens the next', async t => {
  await using on = await fleet('aedes')
  const made = await printer(on, 'P-1')
  const store = new IdentityStore(join(made.directory, 'identity'))
  const csr = await store.request('b', { commonName: 'P-1' })
  const of = { serial: 'P-1', tenant: on.tenant.id }
  await store.install('b', pemOf(certifyPrinter(on.tenant.authority, csr, of, Date.now())))
  await certifyShort(store, on.tenant, 'P-1', 6000 / DAY_MS)
  const first = await store.current()
  await using core = await startDeskCore(made)
  await using _ingest = await on.startIngest()
  await using _courier = startHurriedCourier(made)
  const usedAt = () => {
    const birth = on.store.fact('P-1', 'birth') as { certificate?: unknown } | undefined
    return JSON.stringify(birth?.certificate ?? '')
  }
  await until(() => usedAt().includes(first?.serialNumber ?? 'none'))
  t.same(events(core, 'cloud.disconnected'), [])
  await until(() => events(core, 'cloud.connected').length >= 2)
  t.ok(Date.now() >= (first?.notAfterMs ?? 0), 'not before its end')
  await until(() => usedAt() !== '""' && !usedAt().includes(first?.serialNumber ?? 'none'))
  t.equal(events(core, 'cloud.refused').length, 0, 'the broker was not asked to refuse it first')
})
