/** `mpfctl pause`, `resume`, `cancel`, `stop`: one request each, and one line about what became of it. */

import type { JobView } from '#lib/control-protocol.ts'
import { type Command, type CommandContext, writeLines } from '../command.ts'
import { EXIT, type ExitCode } from '../errors.ts'
import { lineText, STATE_TONES, shortId, stateText, titleOf } from '../render/job-text.ts'
import { jsonLine, lineOf } from '../render/text.ts'

/** Tells the job's new state. */
export function tellJob({ isJson, terminal }: CommandContext, job: JobView | null): ExitCode {
  if (isJson) terminal.write(jsonLine(job))
  else writeLines(terminal, [job === null ? 'stopped; no print was running' : jobLine(job)])
  return EXIT.ok

  function jobLine(view: JobView): string {
    return lineOf(
      [
        { text: stateText(view), tone: STATE_TONES[view.state] },
        { text: `  ${shortId(view.id)} ${titleOf(view)}, ${lineText(view.progress)}` },
      ],
      terminal.style,
    )
  }
}

export const pause: Command = {
  name: 'pause',
  operands: '',
  maxOperands: 0,
  summary: 'pause the running print',
  description: [
    'No further line is sent; the controller finishes what it holds, then the printer runs its pause script. Heaters stay as they are.',
    'Answers at once; `mpfctl watch` shows when the machine stands.',
  ],
  options: {},
  async run(context) {
    const core = await context.connect()
    return tellJob(context, await core.request('print.pause', {}))
  },
}

export const resume: Command = {
  name: 'resume',
  operands: '',
  maxOperands: 0,
  summary: 'go on with the paused or interrupted print',
  description: [
    'Runs the resume script and goes on with the line after the last one acknowledged.',
    'A print that was interrupted by a power cut, a crash or a lost controller goes on too: its file is checked again, the heat is put back, X and Y are homed (never Z), and the same use is continued. Leave the part where it is.',
    'Where the controller kept its position and the core crashed, that position tells the line it stopped at, exactly. Otherwise the print goes on from the line kept last: what was executed after it, at most 5 s, is printed again. The event job.continued says which (isExact). A machine that can not be told its height after a restart (grbl) is not resumed: JOB_NOT_RESUMABLE.',
  ],
  options: {},
  async run(context) {
    const core = await context.connect()
    return tellJob(context, await core.request('print.resume', {}))
  },
}

export const cancel: Command = {
  name: 'cancel',
  operands: '[JOB]',
  maxOperands: 1,
  summary: 'end the running print in order, or take a job out of the queue',
  description: [
    'Without JOB ends the running, paused or interrupted print: what the controller holds is carried out, then the cancel script runs. A print that was started stays charged.',
    'JOB is the beginning of an id, as long as it fits one job only.',
  ],
  options: {},
  async run(context) {
    const [job] = context.operands
    const core = await context.connect()
    return tellJob(context, await core.request('print.cancel', job === undefined ? {} : { job }))
  },
}

export const stop: Command = {
  name: 'stop',
  operands: '',
  maxOperands: 0,
  summary: 'EMERGENCY: stop the machine now',
  description: [
    'Sends the strongest stop the controller has. The print is lost, the position too; the controller may need a reset. It asks nothing back. It does not replace the red button.',
  ],
  options: {},
  async run(context) {
    const core = await context.connect()
    return tellJob(context, await core.request('print.stop', {}))
  },
}
