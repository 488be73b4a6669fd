/** A job by the HTTPS URL of its offer: once, to its printer only, resumed where it ended; whatever is wrong with the URL, the broker still brings it. */
import { createHash, generateKeyPairSync } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { test } from 'tap'
import { type Link, openLink, requestSchema, STATEMENT, topicOf } from '#cloud'
import { systemClock } from '#lib/clock.ts'
import { signStatement } from '#lib/dsse.ts'
import { HttpsBlocks } from '../../firmware/cloud/https-blocks.ts'
import { IdentityStore } from '../../firmware/cloud/identity.ts'
import { createAuthority, issueServer } from '../../fleet/ca.ts'
import { startDownloadServer } from '../../fleet/download-server.ts'
import { makeOffer, sendBlocks } from '../../fleet/jobs.ts'
import {
  type Fleet,
  fleet,
  type Printer,
  printer,
  startCourier,
  startDeskCore,
  until,
} from '../fakes/cloud-bench.ts'
import { type DeskPrinter, program, seal } from '../fakes/core-printer.ts'

/** The fleet end's voice; counts the bytes that printers ask for over the broker. */
async function voice(on: Fleet): Promise<Link & { readonly asked: () => number }> {
  let asked = 0
  const link: Link = await openLink({
    ...{ host: 'localhost', port: on.broker.port, ca: on.tenant.authority.certPem },
    ...{ identity: on.tenant.identity, clientId: 'voice', protocol: 4, sessionExpiryS: 0 },
    subscriptions: ['mpf/v1/+/req'],
    onMessage: async (_topic, payload) => {
      const { ranges } = requestSchema.parse(JSON.parse(Buffer.from(payload).toString()))
      asked += ranges.reduce((sum, [, length]) => sum + length, 0)
      void sendBlocks(on.store, 'P-1', payload, link)
    },
    signal: AbortSignal.timeout(10_000),
  })
  return Object.assign(link, { asked: () => asked })
}

async function sealed(on: Fleet): Promise<string> {
  const { privateKey: recipient } = generateKeyPairSync('ec', { namedCurve: 'P-384' })
  const signer = await on.tenant.key('publisher')
  const path = join(on.directory, 'part.mpf')
  const parts = { signer, tenant: on.tenant.id, recipient }
  await writeFile(path, await seal({} as DeskPrinter, program(30_000), parts))
  return path
}

const offerOf = async (on: Fleet, path: string, downloads: string) =>
  makeOffer(on.store, {
    ...{ path, device: 'P-1', tenant: on.tenant.id, atMs: Date.now(), downloads },
    publisher: await on.tenant.key('publisher'),
  })

const server = (on: Fleet) => issueServer(on.tenant.authority, ['localhost'], Date.now())
const downloadsOf = (on: Fleet) =>
  startDownloadServer({
    ...{ tenant: on.tenant, store: on.store, server: server(on), clock: systemClock },
    ...{ host: '127.0.0.1', port: 0 },
  })

async function arrived(desk: Printer, offer: string): Promise<string> {
  const path = join(desk.directory, 'drop', `${offer}.mpf`)
  const bytes = await until(() => readFile(path).catch(() => undefined))
  return createHash('sha256').update(bytes).digest('hex')
}

test('arrives by HTTPS alone, and the URL does not work again, nor for anybody else', async t => {
  await using on = await fleet('aedes')
  const desk = await printer(on, 'P-1')
  const other = await printer(on, 'P-2')
  await using core = await startDeskCore(desk)
  await using downloads = await downloadsOf(on)
  const base = `https://localhost:${downloads.port}`
  const { offer, envelope } = await offerOf(on, await sealed(on), base)
  using https = new HttpsBlocks()
  const first = async (of: Printer, url: string) => {
    const identity = await new IdentityStore(join(of.directory, 'identity')).current()
    if (!identity) throw new Error('not enrolled')
    const source = { url, ca: on.tenant.authority.certPem, identity }
    const { value } = await https.blocks(source, [0, 100]).next()
    return value && [value[0], value[1].length]
  }
  const url = offer.url ?? ''
  await t.rejects(first(other, url), { code: 'CLOUD_DOWNLOAD', reason: 'status 403' })
  await t.rejects(first(desk, `${url.slice(0, -1)}_`), { code: 'CLOUD_DOWNLOAD' })
  t.same(await first(desk, url), [0, 100])
  await using link = await voice(on)
  await using _courier = startCourier(desk)
  await until(() => core.journal.events(0, 100).some(({ type }) => type === 'cloud.connected'))
  await link.publish({ topic: topicOf('P-1', 'job'), payload: envelope })
  t.equal(await arrived(desk, offer.offer), offer.sha256)
  t.equal(link.asked(), 0)
  await t.rejects(
    until(async () => (await first(desk, url)) === undefined),
    { code: 'CLOUD_DOWNLOAD', reason: 'status 403' },
    'used up',
  )
  t.match(on.store.alerts('P-2'), [{ code: 'FLEET_TOKEN' }])
})

test('an expired URL is refused, and the broker brings the file', async t => {
  await using on = await fleet('aedes')
  const desk = await printer(on, 'P-1')
  await using core = await startDeskCore(desk)
  const late = { ...systemClock, wallMs: () => Date.now() + 30 * 86_400_000 }
  await using downloads = await startDownloadServer({
    ...{ tenant: on.tenant, store: on.store, server: server(on), clock: late },
    ...{ host: '127.0.0.1', port: 0 },
  })
  const made = await offerOf(on, await sealed(on), `https://localhost:${downloads.port}`)
  await using link = await voice(on)
  await using _courier = startCourier(desk)
  await until(() => core.journal.events(0, 100).some(({ type }) => type === 'cloud.connected'))
  await link.publish({ topic: topicOf('P-1', 'job'), payload: made.envelope })
  t.equal(await arrived(desk, made.offer.offer), made.offer.sha256)
  t.equal(link.asked(), made.offer.sizeBytes)
  await until(() => core.journal.events(0, 100).some(({ code }) => code === 'CLOUD_DOWNLOAD'))
})

/** What a server, or whoever stands in its place, may answer instead. */
const LIES = {
  'a redirect to http': { status: 302, headers: { location: 'http://localhost:1/part' }, body: '' },
  'more than was asked for': { status: 200, headers: {}, body: 'x'.repeat(1 << 20) },
  'the right range of other bytes': { status: 206, headers: {}, body: '' },
} as const

for (const [name, lie] of Object.entries(LIES))
  test(`${name}: refused at once, and the broker brings the file`, async t => {
    await using on = await fleet('aedes')
    const desk = await printer(on, 'P-1')
    await using core = await startDeskCore(desk)
    const { certPem: cert, keyPem: key } = server(on)
    let requests = 0
    const liar = createServer({ cert, key }, (request, response) => {
      requests += 1
      const [, from, to] = /bytes=(\d+)-(\d+)/.exec(request.headers.range ?? '') ?? []
      const length = Number(to) - Number(from) + 1
      const range = { 'content-range': `bytes ${from}-${to}/9`, 'content-length': length }
      response.writeHead(lie.status, lie.status === 206 ? range : lie.headers)
      response.end(lie.status === 206 ? Buffer.alloc(length, 1) : lie.body)
    })
    t.teardown(() => {
      liar.closeAllConnections()
      liar.close()
    })
    await new Promise<void>(resolve => liar.listen(0, '127.0.0.1', resolve))
    const { port } = liar.address() as AddressInfo
    const made = await offerOf(on, await sealed(on), `https://localhost:${port}`)
    await using link = await voice(on)
    await using _courier = startCourier(desk)
    await until(() => core.journal.events(0, 100).some(({ type }) => type === 'cloud.connected'))
    await link.publish({ topic: topicOf('P-1', 'job'), payload: made.envelope })
    t.equal(await arrived(desk, made.offer.offer), made.offer.sha256)
    t.ok(requests <= 4, `${requests} requests`)
    await until(() => core.journal.events(0, 100).some(({ code }) => code === 'CLOUD_DOWNLOAD'))
  })

test('a server of another authority is named as the event of a refused endpoint', async t => {
  await using on = await fleet('aedes')
  const desk = await printer(on, 'P-1')
  await using core = await startDeskCore(desk)
  const stranger = issueServer(createAuthority('stranger', Date.now()), ['localhost'], Date.now())
  await using downloads = await startDownloadServer({
    ...{ tenant: on.tenant, store: on.store, server: stranger, clock: systemClock },
    ...{ host: '127.0.0.1', port: 0 },
  })
  const made = await offerOf(on, await sealed(on), `https://localhost:${downloads.port}`)
  await using link = await voice(on)
  await using _courier = startCourier(desk)
  await until(() => core.journal.events(0, 100).some(({ type }) => type === 'cloud.connected'))
  await link.publish({ topic: topicOf('P-1', 'job'), payload: made.envelope })
  const refused = await until(() =>
    core.journal.events(0, 100).find(({ type }) => type === 'cloud.refused'),
  )
  t.match(refused, { code: 'CLOUD_TLS_CA' })
  t.equal(await arrived(desk, made.offer.offer), made.offer.sha256)
})

test('an offer with any other kind of URL is no offer', async t => {
  await using on = await fleet('aedes')
  const desk = await printer(on, 'P-1')
  await using core = await startDeskCore(desk)
  const { offer } = await offerOf(on, await sealed(on), 'https://localhost:1')
  await using link = await voice(on)
  await using _courier = startCourier(desk)
  await until(() => core.journal.events(0, 100).some(({ type }) => type === 'cloud.connected'))
  const payload = signStatement(STATEMENT.offer, { ...offer, url: 'http://localhost:1/x' }, [
    await on.tenant.key('publisher'),
  ])
  await link.publish({ topic: topicOf('P-1', 'job'), payload })
  await until(() => core.journal.events(0, 100).some(({ code }) => code === 'CLOUD_MALFORMED'))
  t.notOk(core.journal.events(0, 100).some(({ type }) => type === 'cloud.transfer_started'))
})
