/** mpfctl and the event log: a page at a time, followed, verified. */
import { test } from 'tap'
import type { EventView } from '#lib/control-protocol.ts'
import { ctl, serverFor } from '../fakes/ctl-run.ts'
import { eventView, printerView, type startCtlServer } from '../fakes/ctl-server.ts'

/** A log of 60 events that answers 25 at a time. */
function eventLog(): Parameters<typeof startCtlServer>[1] {
  const log: readonly EventView[] = Array.from({ length: 60 }, (_, index) =>
    eventView({ sequence: index + 1 }),
  )
  return {
    status: () => printerView({ events: { lastSequence: 60 } }),
    'events.list': ({ after }) => ({
      events: log.filter(({ sequence }) => sequence > Number(after)).slice(0, 25),
    }),
    watch: (_, peer) => {
      setImmediate(() => {
        peer.notify('event', eventView({ sequence: 60 }))
        peer.notify('event', eventView({ sequence: 61 }))
      })
      return printerView({ events: { lastSequence: 60 } })
    },
  }
}

test('lists the last events, or all after a number, a page at a time', async t => {
  const server = await serverFor(t, eventLog())
  t.equal((await ctl(server, 'events')).out.trimEnd().split('\n').length, 20)
  t.equal((await ctl(server, 'events --after 0')).out.trimEnd().split('\n').length, 60)
  const { events } = JSON.parse((await ctl(server, 'events --after 58 --json')).out)
  t.same(
    events.map(({ sequence }: EventView) => sequence),
    [59, 60],
  )
})

test('follows the log without gap or repetition', async t => {
  const interrupt = new AbortController()
  const server = await serverFor(t, eventLog())
  const { out } = await ctl(server, 'events --follow --after 57 --json', {
    signal: interrupt.signal,
    onOutput: text => {
      if (text.includes('"sequence":61')) interrupt.abort(new DOMException('', 'AbortError'))
    },
  })
  const sequences = out
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line).sequence)
  t.same(sequences, [58, 59, 60, 61])
})

test('verifies the log: 0 when intact, 6 when not', async t => {
  const intact = await serverFor(t, {
    'events.verify': () => ({ entries: 1234, intact: true, brokenAt: null }),
  })
  t.match(await ctl(intact, 'events --verify'), { code: 0, out: 'intact  1,234 events\n' })
  const broken = await serverFor(t, {
    'events.verify': () => ({ entries: 1234, intact: false, brokenAt: 17 }),
  })
  t.match(await ctl(broken, 'events --verify'), {
    code: 6,
    out: 'NOT INTACT  1,234 events, broken at event 17\n',
  })
})
