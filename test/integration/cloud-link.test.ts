/** A printer and its cloud over a broker nobody trusts: the same tests over the embedded broker and over Mosquitto with the shipped configuration. */
import { type Test, test } from 'tap'
import {
  type Fleet,
  fleet,
  printer,
  startCourier,
  startDeskCore,
  until,
} from '../fakes/cloud-bench.ts'
import { hasMosquitto } from '../fakes/cloud-broker.ts'

const BROKERS = ['aedes', 'mosquitto'] as const

function eachBroker(title: string, body: (t: Test, on: Fleet) => Promise<void>): void {
  for (const kind of BROKERS) {
    if (kind === 'mosquitto' && !hasMosquitto) {
      process.stderr.write(`mosquitto is not installed: "${title}" runs over aedes only\n`)
      continue
    }
    test(`${kind}: ${title}`, async t => {
      await using on = await fleet(kind)
      await body(t, on)
    })
  }
}

eachBroker(
  'events arrive once, proven and cosigned, and leave the outbox when acknowledged',
  async (t, on) => {
    const desk = await printer(on, 'P-1')
    await using core = await startDeskCore(desk)
    for (let i = 0; i < 120; i++)
      core.journal.record({ type: 'job.received', message: `event ${i}` })
    await using _ingest = await on.startIngest()
    await using _courier = startCourier(desk)
    const log = await until(() => {
      const found = on.store.log('P-1')
      return found && found.proven >= 121 && found
    })
    t.match(log.note, /^mpfd\/log\/P-1\n/)
    t.match(on.store.items('P-1', 'evt', 0, 1), [
      { seq: 1, value: { class_uid: 1001, unmapped: { e: 'E16' } } },
    ])
    await until(
      () => (on.store.fact('P-1', 'birth') as { session?: number } | undefined)?.session === 1,
    )
    t.match(on.store.fact('P-1', 'state'), { online: true })
    t.same(on.store.alerts('P-1'), [])
  },
)
