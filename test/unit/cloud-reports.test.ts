/** Reports to the core: whatever a broker wrote into one, the core can take it. */
import { test } from 'tap'
import { formatRequest, MAX_REQUEST_BYTES } from '#lib/json-rpc.ts'
import type { CoreClient } from '../../firmware/cloud/core-client.ts'
import { type Report, Reports } from '../../firmware/cloud/reports.ts'
import { answer } from '../../firmware/core/control/methods.ts'
import { fakeClock } from '../fakes/core-clock.ts'

test('a topic of 60 KB of control characters is told, cut short', async t => {
  const ending = new AbortController()
  const told: Report[] = []
  const handlers = {
    'cloud.report': (report: Report) => {
      told.push(report)
      ending.abort()
      return { sequence: 1 }
    },
  }
  const core = {
    async request(method: string, params: unknown) {
      t.ok(formatRequest(1, method, params).length < MAX_REQUEST_BYTES)
      return answer(handlers as unknown as Parameters<typeof answer>[0], method, params)
    },
  }
  const reports = new Reports(fakeClock())
  const topic = '\u0001'.repeat(60_000)
  reports.add({ type: 'cloud.forged', code: 'CLOUD_MALFORMED', message: topic, detail: { topic } })
  await reports.run(core as unknown as CoreClient, ending.signal)
  t.match(told, [{ type: 'cloud.forged', message: /^\?{256}$/, detail: { topic: /^\?{256}$/ } }])
})
