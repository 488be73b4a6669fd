/** A renewal that meets silence or a refusal: what was not judged is proven later, what was refused is asked for anew, and the slot that serves is never touched. */
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { systemClock } from '#lib/clock.ts'
import type { CloudConfig } from '../../firmware/cloud/courier.ts'
import { IdentityStore, type Slot } from '../../firmware/cloud/identity.ts'
import { Outbox } from '../../firmware/cloud/outbox.ts'
import { CertificateRenewal } from '../../firmware/cloud/renewal.ts'
import type { Report } from '../../firmware/cloud/reports.ts'
import { issueServer } from '../../fleet/ca.ts'
import { startEstServer } from '../../fleet/est-server.ts'
import { Tokens } from '../../fleet/tokens.ts'
import { fleet, printer, until } from '../fakes/cloud-bench.ts'
import { PACKET, scriptedBroker } from '../fakes/cloud-scripted-broker.ts'
import { certifyShort } from '../fakes/cloud-short.ts'
import { fakeClock } from '../fakes/core-clock.ts'

const HOUR_MS = 3_600_000

/** A printer whose certificate in slot a is due, and its renewal against `endpoints`. */
async function due(t: Test, more: { readonly isRefused?: boolean } = {}) {
  const on = await fleet('aedes')
  const tokens = new Tokens(join(on.directory, 'tokens.sqlite'))
  const est = await startEstServer({
    ...{ tenant: on.tenant, region: 'local', tokens, clock: systemClock, factoryCa: '' },
    ...{ server: issueServer(on.tenant.authority, ['localhost'], Date.now()), port: 0 },
    ...{ host: '127.0.0.1', onRefused: () => undefined },
  })
  const { options } = await scriptedBroker(
    t,
    ({ type, socket }) => {
      // 3.2.2.2: not authorised.
      if (type === PACKET.connect) socket.write(Buffer.from([0x20, 3, 0, 0x87, 0]))
    },
    on.tenant.authority,
  )
  const port = more.isRefused ? options.port : on.broker.port
  const made = await printer(on, 'P-1', {
    ...{ enrolUrl: `https://localhost:${est.port}`, endpoints: [`mqtts://localhost:${port}`] },
  })
  const cloud = made.config.cloud as CloudConfig
  const identities = new IdentityStore(cloud.identityDirectory)
  await certifyShort(identities, on.tenant, 'P-1', 20)
  const identity = await identities.load('a')
  const clock = fakeClock(Date.now())
  const outbox = new Outbox(join(made.directory, 'outbox.sqlite'), {
    ...{ eventBytes: 1 << 20, telemetryBytes: 1 << 20 },
  })
  const reported: Report[] = []
  const state = {
    ...{ cloud, identities, identity, unaccepted: '', nowMs: () => Date.now(), outbox },
    ports: { clock, random: () => 0.5 },
    reports: { add: (report: Report) => reported.push(report) },
  }
  const ending = new AbortController()
  let running = Promise.resolve()
  t.teardown(async () => {
    ending.abort()
    await running
    outbox[Symbol.dispose]()
    await est[Symbol.asyncDispose]()
    tokens[Symbol.dispose]()
    await on[Symbol.asyncDispose]()
  })
  return {
    ...{ on, identities, reported, clock, state, first: identity.serialNumber },
    run() {
      const renewal = new CertificateRenewal(state)
      running = renewal.run(ending.signal)
      return renewal
    },
    serialIn: (slot: Slot) =>
      identities.load(slot).then(
        ({ serialNumber }) => serialNumber,
        () => undefined,
      ),
    told: (type: Report['type']) => reported.filter(each => each.type === type).length,
    /** The renewal waits for its next look. */
    rested: (looks: number) => until(() => clock.sleepers === 1 && reported.length >= looks),
  }
}

test('no broker answers: the new certificate is kept, proven when one does, and not asked for twice', async t => {
  const { on, identities, clock, first, run, serialIn, told, rested } = await due(t)
  await on.broker.kill()
  run()
  await rested(1)
  const fresh = await serialIn('b')
  t.ok(fresh)
  for (const failures of [1, 2, 3]) {
    await rested(failures)
    t.equal(told('cloud.certificate_failed'), failures)
    await clock.advance(HOUR_MS)
  }
  await rested(4)
  t.equal(await serialIn('b'), fresh)
  t.equal((await identities.current())?.serialNumber, first, 'the old one serves')
  await on.broker.restart()
  await clock.advance(HOUR_MS)
  await until(() => told('cloud.certificate_renewed') === 1)
  t.equal((await identities.current())?.serialNumber, fresh)
  t.equal(await serialIn('a'), first, 'the old one stays in its slot')
})

test('a certificate that a broker refuses is not proven again: the next attempt asks for another', async t => {
  const { identities, clock, first, run, serialIn, reported, rested } = await due(t, {
    isRefused: true,
  })
  run()
  await rested(1)
  t.match(reported, [{ type: 'cloud.certificate_failed', code: 'CLOUD_BROKER_AUTH' }])
  t.equal(await serialIn('b'), undefined)
  await clock.advance(HOUR_MS)
  await rested(2)
  t.equal((await identities.usable(Date.now()))?.serialNumber, first)
})

test('where the other slot serves because the current one is not accepted, it is the current one that is replaced', async t => {
  const { identities, state, first, run, serialIn, told } = await due(t)
  // A certificate that was promoted, and that no broker accepts since.
  const csr = await identities.request('b', { commonName: 'P-1' })
  t.ok(csr.length > 0)
  await identities.promote('b')
  t.equal((await identities.usable(Date.now()))?.serialNumber, first)
  const renewal = run()
  await until(() => told('cloud.certificate_renewed') === 1)
  t.equal(await serialIn('a'), first)
  t.equal((await identities.current())?.slot, 'b')
  t.notOk(state.outbox.fault)
  renewal.want()
  await until(() => told('cloud.certificate_renewed') === 2)
  t.equal((await identities.current())?.slot, 'a', 'asked for by command, although nothing is due')
})

test('a disk that takes no key is a failure like another, and the old certificate serves', async t => {
  const { identities, first, run, reported, rested } = await due(t)
  const { request } = identities
  identities.request = () =>
    Promise.reject(Object.assign(new Error('ENOSPC: write'), { syscall: 'write', code: 'ENOSPC' }))
  run()
  await rested(1)
  t.match(reported, [{ type: 'cloud.certificate_failed', code: 'CLOUD_STORE' }])
  identities.request = request
  t.equal((await identities.current())?.serialNumber, first)
})
