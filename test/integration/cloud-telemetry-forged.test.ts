/** A broker that invents, alters or repeats telemetry is found out; what the printer measured arrives all the same. */
import { generateKeyPairSync, X509Certificate } from 'node:crypto'
import { test } from 'tap'
import {
  type BatchHeader,
  decodeBatch,
  encodeBatch,
  isSignedBy,
  signBatch,
  signerOf,
  streamTopic,
} from '#cloud'
import { createAuthority, issueClient } from '../../fleet/ca.ts'
import { fleet, printer, startCourier, startDeskCore, until } from '../fakes/cloud-bench.ts'

const HEADER: BatchHeader = {
  ...{ v: 1, dev: 'P-1', ten: 'test', boot: 'b', ses: 1, str: 'tele', seq0: 1, n: 1 },
  ...{ ts: 1, clk: 'rtc', enc: 'json+deflate' },
}
const item = (text: string) => Buffer.from(JSON.stringify(text))

test('a signature holds for exactly these bytes under exactly this certificate', async t => {
  const { certPem, keyPem } = issueClient(createAuthority('one', Date.now()), 'P-1', Date.now())
  const certificate = new X509Certificate(certPem)
  const { serialNumber } = certificate
  const signed = signBatch(encodeBatch(HEADER, [item('a')]), { serialNumber, key: keyPem })
  t.equal(signerOf(signed), serialNumber)
  t.ok(isSignedBy(signed, certificate))
  t.same(decodeBatch(signed).items, ['a'])
  for (let at = 0; at < signed.length; at++) {
    const altered = Buffer.from(signed)
    altered[at] = (altered[at] ?? 0) ^ 1
    t.notOk(isSignedBy(altered, certificate), `byte ${at}`)
  }
  t.equal(signerOf(encodeBatch(HEADER, [item('a')])), undefined)
  const other = issueClient(createAuthority('two', Date.now()), 'P-1', Date.now())
  t.notOk(isSignedBy(signed, new X509Certificate(other.certPem)))
})

test('invented, altered and repeated batches are refused by name; the real ones arrive', async t => {
  await using on = await fleet('aedes')
  const desk = await printer(on, 'P-1', { sampleIntervalMs: 1000, batchSamples: 1 })
  await using _core = await startDeskCore(desk)
  await using ingest = await on.startIngest()
  const real = ingest.value.take.bind(ingest.value)
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const key = privateKey.export({ type: 'pkcs8', format: 'pem' }) as string
  let lies = 0
  ingest.value.take = async (topic, payload) => {
    if (topic.endsWith('/tele') && lies < 3 && on.store.fact('P-1', 'birth') !== undefined) {
      const { header, items } = decodeBatch(payload)
      const { by = '', sig: _, ...plain } = header
      const lie = items.map(() => Buffer.from('{"t0":1,"dt":[],"c":[-666.125]}'))
      const invented = encodeBatch(plain, lie)
      if (lies === 0) await real(topic, invented)
      if (lies === 1) await real(topic, signBatch(invented, { serialNumber: by, key }))
      // An old batch under the number of a new one: its signature covers the number.
      if (lies === 2) {
        const text = Buffer.from(payload).toString('latin1')
        const later = text.replace(`"seq0":${header.seq0},`, `"seq0":${header.seq0 + 1},`)
        await real(topic, Buffer.from(later, 'latin1'))
      }
      lies += 1
    }
    await real(topic, payload)
  }
  await using _courier = startCourier(desk)
  await until(() => lies === 3 && on.store.contiguous('P-1', 'tele') >= 3)
  const alerts = on.store.alerts('P-1').map(({ code }) => code)
  t.same(alerts, ['CLOUD_FORGED', 'CLOUD_FORGED', 'CLOUD_FORGED'])
  t.notMatch(JSON.stringify(on.store.items('P-1', 'tele', 0, 100)), /-666\.125/)
})

test('a birth that shows the certificate of somebody else is refused, and the real one stays', async t => {
  await using on = await fleet('aedes')
  const desk = await printer(on, 'P-1')
  await using _core = await startDeskCore(desk)
  await using ingest = await on.startIngest()
  await using _courier = startCourier(desk)
  const born = (await until(() => on.store.fact('P-1', 'birth'))) as { certificate: object }
  const stranger = issueClient(createAuthority('stranger', Date.now()), 'P-1', Date.now())
  const serial = new X509Certificate(stranger.certPem).serialNumber
  const forged = { ...born, certificate: { ...born.certificate, serial, pem: stranger.certPem } }
  await ingest.value.take('mpf/v1/P-1/birth', Buffer.from(JSON.stringify(forged)))
  t.match(on.store.alerts('P-1'), [{ code: 'CLOUD_FORGED' }])
  t.same(on.store.fact('P-1', 'birth'), born)
})

for (const stream of ['resp', 'seg'] as const)
  test(`${stream}: numbers that a broker tells as lost move nothing`, async t => {
    await using on = await fleet('aedes')
    const desk = await printer(on, 'P-1')
    await using _core = await startDeskCore(desk)
    await using ingest = await on.startIngest()
    await using _courier = startCourier(desk)
    await until(() => on.store.fact('P-1', 'birth'))
    const lost: [number, number] = [1, 1000]
    const lie = encodeBatch({ ...HEADER, str: stream, seq0: 1001, lost }, [item('x')])
    await ingest.value.take(streamTopic('P-1', stream), lie)
    t.match(on.store.alerts('P-1'), [{ code: 'CLOUD_FORGED' }])
    t.equal(on.store.contiguous('P-1', stream), 0)
  })
