/** The life of a job, as a table. Nothing else decides which state follows which. */

import type { JobState } from '#lib/control-protocol.ts'
import { next, type Table } from '#lib/state-table.ts'
import { CoreError } from '../errors.ts'

export type JobEvent =
  | 'admitted'
  | 'refused'
  | 'started'
  | 'paused'
  | 'resumed'
  | 'interrupted'
  | 'continued'
  | 'finished'
  | 'cancelled'
  | 'failed'

/** `failed` before printing means one thing: the spool no longer holds the file. */
export const JOB_TABLE = {
  received: { admitted: 'ready', refused: 'refused', failed: 'failed' },
  ready: { started: 'printing', cancelled: 'cancelled', refused: 'refused', failed: 'failed' },
  printing: {
    paused: 'paused',
    interrupted: 'interrupted',
    finished: 'done',
    cancelled: 'cancelled',
    failed: 'failed',
  },
  paused: {
    resumed: 'printing',
    interrupted: 'interrupted',
    cancelled: 'cancelled',
    failed: 'failed',
  },
  interrupted: { continued: 'printing', cancelled: 'cancelled', failed: 'failed' },
  done: {},
  refused: {},
  cancelled: {},
  failed: {},
} as const satisfies Table<JobState, JobEvent>

/** The state after `event`. @throws CoreError JOB_STATE when the table has no such row. */
export function stateAfter(state: JobState, event: JobEvent): JobState {
  const following = next<JobState, JobEvent>(JOB_TABLE, state, event)
  if (following === undefined)
    throw new CoreError('JOB_STATE', `a job that is ${state} cannot be ${event}`)
  return following
}

/** True once nothing can happen to a job any more. */
export function isFinal(state: JobState): boolean {
  return Object.keys(JOB_TABLE[state]).length === 0
}
