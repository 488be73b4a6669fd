/** The event log of mpfctl as a log collector takes it. */
import { test } from 'tap'
import { ctl, serverFor } from '../fakes/ctl-run.ts'
import { eventView, printerView } from '../fakes/ctl-server.ts'

test('events as syslog: one RFC 5424 line each, with number and hash to hold against the log', async t => {
  const hash = 'ab'.repeat(32)
  const one = eventView({ sequence: 1, type: 'job.done', severity: 'notice', code: null, hash })
  const server = await serverFor(t, {
    status: () => printerView({ serial: 'T-1' }),
    'events.list': params => ({
      events: JSON.stringify(params).includes('"after":0') ? [one] : [],
    }),
  })
  const { out, code } = await ctl(server, 'events --after 0 --syslog')
  t.equal(code, 0)
  t.match(
    out,
    new RegExp(`^<109>1 \\S+Z T-1 mpfd - job\\.done \\[mpfd@32473 seq="1" .*hash="${hash}"\\] `),
  )
  t.match(await ctl(server, 'events --syslog --json'), { code: 2 })
})
