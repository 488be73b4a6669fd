/** `mpfctl print`: starts a job that passed every check. */

import type { Command } from '../command.ts'
import { watchJob } from '../watch-job.ts'
import { tellJob } from './steer.ts'

export const print: Command = {
  name: 'print',
  operands: '[JOB]',
  maxOperands: 1,
  summary: 'start a job',
  description: [
    'Starts JOB, or the only job that is ready. One use of its grant is charged before the first line is sent.',
    'JOB is the beginning of an id, as long as it fits one job only.',
  ],
  options: {
    watch: { type: 'boolean', help: 'go on as mpfctl watch does, until the job ends' },
  },
  async run(context) {
    const [job] = context.operands
    const core = await context.connect()
    const params = job === undefined ? {} : { job }
    if (context.options.watch !== true)
      return tellJob(context, await core.request('print.start', params))
    // Watching first: a short print could end before a later watch began.
    await core.request('watch', {})
    const started = await core.request('print.start', params)
    return await watchJob(context, core, { jobId: started.id, firstView: undefined })
  },
}
