/** Whoever owns the printer reads what left it: the bytes mpfctl shows are those the fleet end took. */
import { join } from 'node:path'
import { test } from 'tap'
import { decodeBatch } from '#cloud'
import { Outbox } from '../../firmware/cloud/outbox.ts'
import { fleet, printer, startCourier, startDeskCore, until } from '../fakes/cloud-bench.ts'
import { ctl } from '../fakes/ctl-run.ts'

test('mpfctl telemetry --raw shows exactly the bytes that were sent, telemetry and alarms, signature and all', async t => {
  await using on = await fleet('aedes')
  const desk = await printer(on, 'P-1', { sampleIntervalMs: 1000, batchSamples: 1 })
  const limits = { eventBytes: 1 << 20, telemetryBytes: 1 << 20 }
  {
    // An alarm from before the courier started waits in its outbox.
    await using _courier = startCourier(desk)
    await until(() => {
      try {
        using outbox = new Outbox(join(desk.directory, 'cloud/outbox.sqlite'), limits)
        return outbox.append('alm', [Buffer.from('{"metric":"m","state":"raised"}')]) > 0
      } catch {
        return false
      }
    })
  }
  await using _core = await startDeskCore(desk)
  await using ingest = await on.startIngest()
  const real = ingest.value.take.bind(ingest.value)
  const taken: string[] = []
  ingest.value.take = async (topic, payload) => {
    if (/\/(?:tele|alm)$/.test(topic)) taken.push(Buffer.from(payload).toString('base64'))
    await real(topic, payload)
  }
  {
    await using _courier = startCourier(desk)
    await until(
      () => on.store.contiguous('P-1', 'tele') >= 3 && on.store.contiguous('P-1', 'alm') >= 1,
    )
  }
  const file = join(desk.directory, 'cloud/sent.sqlite')
  const run = (line: string) => ctl({ path: '/nowhere' }, `${line} --file ${file}`)
  const { code, out } = await run('telemetry --raw --json')
  t.equal(code, 0)
  const shown = out
    .trim()
    .split('\n')
    .map(line => JSON.parse(line) as { topic: string; sent: string })
  for (const sent of taken)
    t.ok(
      shown.some(message => message.sent === sent),
      'shown as it came',
    )
  t.ok(shown.some(({ topic }) => topic === 'mpf/v1/P-1/alm'))
  const { header } = decodeBatch(Buffer.from(shown[0]?.sent ?? '', 'base64'))
  t.match(header, { dev: 'P-1', by: /^[0-9A-F]+$/, sig: /^.{86}$/ })
  t.match((await run('telemetry')).out, /"metric":"m","state":"raised"/)
  const missing = await ctl({ path: '/nowhere' }, 'telemetry --raw --file /nowhere/sent.sqlite')
  t.match(missing, { code: 3, err: /CTL_TELEMETRY/ })
})
