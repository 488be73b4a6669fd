import t from 'tap'
import type { JobState } from '#lib/control-protocol.ts'
import {
  isFinal,
  JOB_TABLE,
  type JobEvent,
  stateAfter,
} from '../../firmware/core/journal/job-states.ts'

const EVENTS: readonly JobEvent[] = [
  'admitted',
  'refused',
  'started',
  'paused',
  'resumed',
  'interrupted',
  'continued',
  'finished',
  'cancelled',
  'failed',
]

/** Written by hand, apart from the table: every pair that leads somewhere. Any other pair must be refused. */
const ALLOWED: Readonly<Record<string, JobState>> = {
  'received admitted': 'ready',
  'received refused': 'refused',
  'received failed': 'failed',
  'ready started': 'printing',
  'ready cancelled': 'cancelled',
  'ready refused': 'refused',
  'ready failed': 'failed',
  'printing paused': 'paused',
  'printing interrupted': 'interrupted',
  'paused interrupted': 'interrupted',
  'interrupted continued': 'printing',
  'interrupted cancelled': 'cancelled',
  'interrupted failed': 'failed',
  'printing finished': 'done',
  'printing cancelled': 'cancelled',
  'printing failed': 'failed',
  'paused resumed': 'printing',
  'paused cancelled': 'cancelled',
  'paused failed': 'failed',
}

for (const state of Object.keys(JOB_TABLE) as JobState[])
  for (const event of EVENTS) {
    const following = ALLOWED[`${state} ${event}`]
    t.test(
      following
        ? `a job that is ${state} and is ${event} becomes ${following}`
        : `a job that is ${state} cannot be ${event}`,
      async t => {
        if (following) t.equal(stateAfter(state, event), following)
        else t.throws(() => stateAfter(state, event), { code: 'JOB_STATE' })
      },
    )
  }

t.test('nothing follows done, refused, cancelled and failed', async t => {
  const final = (Object.keys(JOB_TABLE) as JobState[]).filter(isFinal)
  t.strictSame(final, ['done', 'refused', 'cancelled', 'failed'])
})
