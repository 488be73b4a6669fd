/** A stretch of the log asked for by signed command: sent in segments, verified, stored, acknowledged. */
import { join } from 'node:path'
import { test } from 'tap'
import { type Link, topicOf } from '#cloud'
import { Outbox } from '../../firmware/cloud/outbox.ts'
import { signCommand } from '../../fleet/commands.ts'
import { readSegment } from '../../fleet/segments.ts'
import { fleet, printer, startCourier, startDeskCore, until } from '../fakes/cloud-bench.ts'
import { hasMosquitto } from '../fakes/cloud-broker.ts'

for (const kind of ['aedes', 'mosquitto'] as const)
  test(`${kind}: the log is exported in verified segments, which leave the outbox when acknowledged`, async t => {
    if (kind === 'mosquitto' && !hasMosquitto)
      return t.comment('not tried: mosquitto is not installed')
    await using on = await fleet(kind)
    const desk = await printer(on, 'P-1')
    await using core = await startDeskCore(desk)
    for (let i = 0; i < 150; i += 1) core.journal.record({ type: 'job.done', message: `part ${i}` })
    let link: Link | undefined
    await using _ingest = await on.startIngest({ onLink: opened => (link = opened) })
    await using _courier = startCourier(desk)
    await until(() => (on.store.log('P-1')?.proven ?? 0) >= 150)
    const { envelope } = signCommand(
      {
        ...{ device: 'P-1', tenant: on.tenant.id, verb: 'log.export', issuer: 'test' },
        ...{ args: { from: 11, to: 150 }, atMs: Date.now() },
      },
      [await on.tenant.key('security')],
    )
    await link?.publish({ topic: topicOf('P-1', 'cmd'), payload: envelope })
    const segments = await until(() => {
      const items = on.store.items('P-1', 'seg', 0, 10)
      return items.length === 3 && items
    })
    const read = segments.map(({ value }) => readSegment(on.store, 'P-1', value))
    t.same(
      read.map(segment => [segment?.from, segment?.to]),
      [
        [11, 74],
        [75, 138],
        [139, 150],
      ],
    )
    t.equal(read[0]?.before, core.journal.events(9, 1)[0]?.hash)
    t.equal(read[2]?.after, core.journal.events(149, 1)[0]?.hash)
    t.same(on.store.alerts('P-1'), [])
    const limits = { eventBytes: 1 << 20, telemetryBytes: 1 << 20 }
    using outbox = new Outbox(join(desk.directory, 'cloud', 'outbox.sqlite'), limits)
    await until(() => outbox.ackedOf('seg') === 3)
  })
