/** The signed head of the log is told until it is cosigned: a publish that nobody took proves nothing. */
import { test } from 'tap'
import { isHeadDue } from '../../firmware/cloud/presence.ts'
import { fleet, printer, startCourier, startDeskCore, until } from '../fakes/cloud-bench.ts'

test('when a head is due', async t => {
  const told = { size: 10, atMs: 0, times: 1 }
  const at = (nowMs: number, size: number, cosigned: number, quietMs = 0) => ({
    ...{ nowMs, size, cosigned, quietMs },
  })
  t.notOk(isHeadDue(at(0, 0, 0), undefined), 'an empty log has none')
  t.ok(isHeadDue(at(0, 1, 0), undefined), 'the first of a link')
  t.notOk(isHeadDue(at(600_000, 10, 10), told), 'cosigned and nothing new')
  t.ok(isHeadDue(at(1000, 60, 10), told), 'fifty new events')
  t.notOk(isHeadDue(at(1000, 11, 10), told), 'more may follow at once')
  t.ok(isHeadDue(at(4000, 11, 10, 3000), told), 'the log is quiet')
  t.ok(isHeadDue(at(60_000, 11, 10), told), 'a trickle, for a minute')
  t.notOk(isHeadDue(at(4999, 10, 9), told))
  t.ok(isHeadDue(at(5000, 10, 9), told), 'not cosigned: again')
  t.notOk(isHeadDue(at(5000, 10, 9), { ...told, times: 2 }), 'later each time')
  t.ok(isHeadDue(at(60_000, 10, 9), { ...told, times: 99 }), 'but not later than a minute')
})

test('a head that was lost is told again until it is proven', async t => {
  await using on = await fleet('aedes')
  const desk = await printer(on, 'P-1')
  await using core = await startDeskCore(desk)
  await using ingest = await on.startIngest()
  const real = ingest.value.take.bind(ingest.value)
  let lost = 0
  ingest.value.take = async (topic, payload) => {
    if (topic.endsWith('/audit/cp') && lost++ < 2) return
    await real(topic, payload)
  }
  core.journal.record({ type: 'job.received', message: 'one' })
  await using _courier = startCourier(desk)
  await until(() => (on.store.log('P-1')?.proven ?? 0) > 0)
  t.equal(on.store.log('P-1')?.proven, core.journal.lastSequence())
  t.equal(lost, 3)
})
