/** `mpfctl watch`: the running print, live, until it ends. */

import { type Command, numberOption } from '../command.ts'
import { watchJob } from '../watch-job.ts'

export const watch: Command = {
  name: 'watch',
  operands: '[JOB]',
  maxOperands: 1,
  summary: 'follow a print until it ends',
  description: [
    'Shows percent, layer, line, time left, temperatures and the link: a display repainted in place on a terminal, plain lines otherwise. Without JOB follows the running print, or waits for the next one.',
    'Ends when the job ends: exit status 0 when it is done, 5 when it failed, was refused or was cancelled. Ending watch does not end the print.',
    'With --json each line is one object: {"kind":"progress"}, {"kind":"event"}, and last {"kind":"end"}.',
  ],
  options: {
    every: {
      type: 'string',
      value: 'S',
      help: 'seconds between plain lines when it is not a terminal (default 5)',
    },
  },
  async run(context) {
    numberOption(context, 'every')
    const [wanted] = context.operands
    const core = await context.connect()
    const firstView = await core.request('watch', {})
    const jobId =
      wanted === undefined
        ? firstView.job?.id
        : (await core.request('jobs.show', { job: wanted })).id
    return await watchJob(context, core, { jobId, firstView })
  },
}
