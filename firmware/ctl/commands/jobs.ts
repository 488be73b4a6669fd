/** `mpfctl jobs`: the queue as a table, or one job in full. */

import type { JobState } from '#lib/control-protocol.ts'
import { type Command, textOption, writeLines } from '../command.ts'
import { CtlError, EXIT } from '../errors.ts'
import { renderJob, renderJobs, STATE_TONES } from '../render/job-text.ts'
import { jsonLine } from '../render/text.ts'

export const jobs: Command = {
  name: 'jobs',
  operands: '[JOB]',
  maxOperands: 1,
  summary: 'list the jobs, or show one',
  description: [
    'Without JOB lists every job the journal holds, with its state and, for one that was refused or failed, the code that says why.',
    'JOB is the beginning of an id, as long as it fits one job only.',
  ],
  options: {
    state: {
      type: 'string',
      value: 'STATE',
      help: `only jobs that are STATE: ${Object.keys(STATE_TONES).join(', ')}`,
    },
  },
  async run(context) {
    const { connect, isJson, terminal, operands } = context
    const [job] = operands
    const state = stateOption(textOption(context, 'state'))
    const core = await connect()
    if (job !== undefined) {
      const view = await core.request('jobs.show', { job })
      if (isJson) terminal.write(jsonLine(view))
      else writeLines(terminal, renderJob(view, terminal.style))
      return EXIT.ok
    }
    const list = await core.request('jobs.list', state === undefined ? {} : { state })
    if (isJson) terminal.write(jsonLine(list))
    else writeLines(terminal, renderJobs(list.jobs, terminal.style))
    return EXIT.ok
  },
}

function stateOption(value: string | undefined): JobState | undefined {
  if (value === undefined || isJobState(value)) return value
  throw new CtlError('CTL_USAGE', `--state: no such state: ${value}`)
}

function isJobState(value: string): value is JobState {
  return Object.hasOwn(STATE_TONES, value)
}
