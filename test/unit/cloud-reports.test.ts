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

test('what is wrong is told at each connection to a core, also that nothing is, and again when it changes', async t => {
  const reports = new Reports(fakeClock())
  const told: unknown[] = []
  const life = async (during: () => void) => {
    const ending = new AbortController()
    const request = async (method: string, params: unknown) => {
      t.equal(method, 'cloud.alarms')
      // One that comes while the core is being told is not forgotten.
      if (told.push(params) % 2 === 1) during()
      else ending.abort()
      return params
    }
    const core = { request, isEnded: false } as unknown as CoreClient
    await reports.run(core, ending.signal)
  }
  await life(() => reports.alarm(['CLOUD_STORE']))
  await life(() => reports.alarm([]))
  const [none, full] = [{ codes: [] }, { codes: ['CLOUD_STORE'] }]
  t.same(told, [none, full, full, none])
})
