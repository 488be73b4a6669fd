/** A printer gets its certificate with a token, once; renews it with the old one; and nothing else gets one. */

import { createPublicKey, generateKeyPairSync, X509Certificate } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { systemClock } from '#lib/clock.ts'
import { enrolPrinter, recoverIdentity, renewIdentity } from '../../firmware/cloud/enrol.ts'
import { IdentityStore } from '../../firmware/cloud/identity.ts'
import { renewalRetryMs } from '../../firmware/cloud/renewal.ts'
import { certifyPrinter, createAuthority, issueClient, issueServer, pemOf } from '../../fleet/ca.ts'
import { startEstServer } from '../../fleet/est-server.ts'
import { registerPrinter } from '../../fleet/printers.ts'
import { Tokens } from '../../fleet/tokens.ts'
import { fleet, printer, startCourier, startDeskCore, until } from '../fakes/cloud-bench.ts'
import { certifyShort } from '../fakes/cloud-short.ts'

const REGION = 'local'

async function desk(t: Test, more: Record<string, unknown> = {}) {
  const on = await fleet('aedes')
  const server = issueServer(on.tenant.authority, ['localhost'], Date.now())
  const factory = createAuthority('factory', Date.now())
  const refused: string[] = []
  const tokens = new Tokens(join(on.directory, 'tokens.sqlite'))
  const est = await startEstServer({
    ...{ tenant: on.tenant, region: REGION, tokens, server, clock: systemClock },
    ...{ host: '127.0.0.1', port: 0, factoryCa: factory.certPem },
    onRefused: error => refused.push(error.message),
  })
  t.teardown(async () => {
    await est[Symbol.asyncDispose]()
    tokens[Symbol.dispose]()
    await on[Symbol.asyncDispose]()
  })
  const url = `https://localhost:${est.port}`
  const made = await printer(on, 'P-1', { enrolUrl: url, ...more })
  const token = (over: object = {}) =>
    tokens.issue({ serial: 'P-1', tenant: on.tenant.id, region: REGION, ...over }, Date.now())
  return { on, url, made, token, tokens, refused, factory }
}

test('a token gives one certificate, for the key made on the printer', async t => {
  const { url, made, token } = await desk(t)
  const identity = await enrolPrinter(made.config, { url, token: token() })
  const certificate = new X509Certificate(identity.cert)
  t.equal(identity.device, 'P-1')
  t.same(
    certificate.publicKey.export({ format: 'jwk' }),
    createPublicKey(identity.key).export({ format: 'jwk' }),
  )
})

for (const [name, over, message] of [
  ['for another printer', { serial: 'P-2' }, /another printer/],
  ['for another region', { region: 'far' }, /another printer, tenant or region/],
] as const)
  test(`a token ${name} gives nothing`, async t => {
    const { url, made, token, refused } = await desk(t)
    await t.rejects(enrolPrinter(made.config, { url, token: token(over) }), { code: 'CLOUD_ENROL' })
    t.match(refused[0], message)
  })

test('a token gives nothing the second time, after a day, or when nobody issued it', async t => {
  const { url, made, token, tokens, on, refused } = await desk(t)
  const once = token()
  await enrolPrinter(made.config, { url, token: once })
  const old = tokens.issue(
    { serial: 'P-1', tenant: on.tenant.id, region: REGION },
    Date.now() - 86_500_000,
  )
  for (const bad of [once, old, 'guess'])
    await t.rejects(enrolPrinter(made.config, { url, token: bad }), { code: 'CLOUD_ENROL' })
  t.same(refused, ['token used before', 'token expired', 'unknown token'])
})

test('a refused enrolment leaves the identity that was there', async t => {
  const { url, made } = await desk(t)
  const store = new IdentityStore(made.config.cloud?.identityDirectory ?? '')
  const before = await store.current()
  await t.rejects(enrolPrinter(made.config, { url, token: 'guess' }))
  t.equal((await store.current())?.serialNumber, before?.serialNumber)
})

test('the old certificate renews itself into the other slot and stays until the new one is promoted', async t => {
  const { url, made, on } = await desk(t)
  const store = new IdentityStore(made.config.cloud?.identityDirectory ?? '')
  const old = await store.current()
  if (!old) throw new Error('not enrolled')
  const fresh = await renewIdentity(store, old, { url, ca: on.tenant.authority.certPem })
  t.equal(fresh.slot, 'b')
  t.equal((await store.current())?.slot, 'a')
  await store.promote('b')
  t.equal((await store.current())?.serialNumber, fresh.serialNumber)
})

test('a certificate of another authority renews nothing', async t => {
  const { url, made, on } = await desk(t)
  const other = await fleet('aedes')
  t.teardown(() => other[Symbol.asyncDispose]())
  const stranger = await printer(other, 'P-1')
  const store = new IdentityStore(stranger.config.cloud?.identityDirectory ?? '')
  const identity = await store.current()
  if (!identity) throw new Error('not enrolled')
  t.ok(made)
  await t.rejects(renewIdentity(store, identity, { url, ca: on.tenant.authority.certPem }), {
    code: 'CLOUD_ENROL',
  })
})

async function soonEnding(t: Test, days: number, more: Record<string, unknown> = {}) {
  const at = await desk(t, more)
  const store = new IdentityStore(at.made.config.cloud?.identityDirectory ?? '')
  await certifyShort(store, at.on.tenant, 'P-1', days)
  return { ...at, store }
}

test('a courier whose certificate ends soon renews it, proves it at the broker, and records it', async t => {
  const { made, store } = await soonEnding(t, 20)
  await using core = await startDeskCore(made)
  await using _courier = startCourier(made)
  const types = () => core.journal.events(0, 100).map(({ type }) => type)
  await until(() => types().includes('cloud.certificate_renewed'))
  const now = await store.current()
  t.ok((now?.notAfterMs ?? 0) - Date.now() > 80 * 86_400_000)
  t.notOk(types().includes('cloud.certificate_failed'))
})

test('a new certificate that the broker does not accept leaves the old one current, and the end is told', async t => {
  // The proof goes to an address where another fleet's broker refuses it.
  const other = await fleet('aedes')
  t.teardown(() => other[Symbol.asyncDispose]())
  const { made, store } = await soonEnding(t, 6, {
    endpoints: [`mqtts://localhost:${other.broker.port}`],
  })
  const before = await store.current()
  await using core = await startDeskCore(made)
  await using _courier = startCourier(made)
  const found = (type: string) => core.journal.events(0, 100).find(event => event.type === type)
  const failed = await until(() => found('cloud.certificate_failed'))
  t.equal(failed.code, 'CLOUD_TLS_CA')
  const ending = await until(() => found('cloud.certificate_ending'))
  t.equal(ending.detail.days, 7)
  t.equal((await store.current())?.serialNumber, before?.serialNumber)
})

test('a certificate that has ended is recovered with the factory identity, by a printer enrolled before only', async t => {
  const { made, store, factory, token, tokens, on, url, refused } = await soonEnding(t, -1)
  const directory = join(made.config.cloud?.identityDirectory ?? '', 'factory')
  await mkdir(directory)
  const { certPem, keyPem } = issueClient(factory, 'P-1', Date.now(), 3650)
  await writeFile(join(directory, 'cert.pem'), certPem)
  await writeFile(join(directory, 'key.pem'), keyPem, { mode: 0o600 })
  const identity = await store.factory()
  if (!identity) throw new Error('no factory identity')
  const server = { url, ca: on.tenant.authority.certPem }
  await t.rejects(recoverIdentity(store, identity, server), { code: 'CLOUD_ENROL' })
  const bound = { serial: 'P-1', tenant: on.tenant.id, region: REGION }
  tokens.use(token(), bound, Date.now())
  await t.rejects(renewIdentity(store, { ...identity, slot: 'a' }, server), { code: 'CLOUD_ENROL' })
  t.same(refused, ['never enrolled here', 'a client certificate of another authority'])
  await using core = await startDeskCore(made)
  await using _courier = startCourier(made)
  const types = () => core.journal.events(0, 100).map(({ type }) => type)
  const wanted = ['cloud.certificate_renewed', 'cloud.connected']
  await until(() => wanted.every(type => types().includes(type)))
  t.ok(((await store.current())?.notAfterMs ?? 0) > Date.now())
})

test('a printer that was only added, without a token, is recovered with the factory identity too', async t => {
  const { factory, on, url, refused } = await desk(t)
  const place = t.testdir({ factory: {} })
  const { certPem, keyPem } = issueClient(factory, 'P-2', Date.now(), 3650)
  await writeFile(join(place, 'factory', 'cert.pem'), certPem)
  await writeFile(join(place, 'factory', 'key.pem'), keyPem, { mode: 0o600 })
  const store = new IdentityStore(place)
  const identity = await store.factory()
  if (!identity) throw new Error('no factory identity')
  const server = { url, ca: on.tenant.authority.certPem }
  await t.rejects(recoverIdentity(store, identity, server), { code: 'CLOUD_ENROL' })
  t.same(refused, ['never enrolled here'])
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-384' })
  const key = publicKey.export({ type: 'spki', format: 'pem' }).toString()
  await registerPrinter(on.tenant.directory, 'P-2', { key, profile: '{}' })
  t.equal((await recoverIdentity(store, identity, server)).device, 'P-2')
})

test('a slot that is damaged, ended or not accepted gives way to the other', async t => {
  const { on, store } = await soonEnding(t, 20)
  const first = await store.current()
  const csr = await store.request('b', { commonName: 'P-1' })
  const printerOf = { serial: 'P-1', tenant: on.tenant.id }
  const der = certifyPrinter(on.tenant.authority, csr, printerOf, Date.now())
  await store.install('b', pemOf(der))
  const slotAt = async (days: number, unaccepted?: string) =>
    (await store.usable(Date.now() + days * 86_400_000, unaccepted))?.slot
  t.equal(await slotAt(0), 'a')
  t.equal(await slotAt(21), 'b')
  t.equal(await slotAt(0, first?.serialNumber), 'b')
  t.equal(await slotAt(100), undefined)
  await store.request('b', { commonName: 'P-1' })
  t.equal(await slotAt(0, first?.serialNumber), 'a', 'the only one is tried again')
})

test('a failed renewal is tried again after minutes, then less often, never all at once', async t => {
  const waits = [1, 3, 20].map(failures => renewalRetryMs(failures, () => 0.5) / 60_000)
  t.same(waits, [1.5, 6, 270])
  t.equal(
    renewalRetryMs(1, () => 0),
    60_000,
  )
})
