/** `mpfctl report`: what a print will take, and whether the wire keeps up. */

import { type Command, writeLines } from '../command.ts'
import { CtlError, EXIT } from '../errors.ts'
import { renderReport } from '../render/report-text.ts'
import { jsonLine } from '../render/text.ts'

export const report: Command = {
  name: 'report',
  operands: 'JOB',
  maxOperands: 1,
  summary: 'say what a print will take, and whether the wire keeps up',
  description: [
    'Expected time by the planner settings of this printer, filament, the box of what is extruded, and for each layer the lines a second it needs beside those the link gives. Heating and homing are in no time given.',
    'JOB is the beginning of an id, as long as it fits one job only. With --json every layer is told.',
  ],
  options: {},
  async run({ connect, isJson, terminal, operands: [job] }) {
    if (job === undefined) throw new CtlError('CTL_USAGE', 'report: which job?')
    const core = await connect()
    const view = await core.request('jobs.report', { job })
    if (isJson) terminal.write(jsonLine(view))
    else writeLines(terminal, renderReport(view, terminal.style))
    return EXIT.ok
  },
}
