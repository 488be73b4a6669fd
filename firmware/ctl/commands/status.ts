/** `mpfctl status`: the printer on one page. */

import { type Command, writeLines } from '../command.ts'
import { EXIT } from '../errors.ts'
import { renderStatus } from '../render/status-text.ts'
import { jsonLine } from '../render/text.ts'

export const status: Command = {
  name: 'status',
  operands: '',
  maxOperands: 0,
  summary: 'show the printer, its job, its controllers and its stores',
  description: [
    'Shows the state of the printer, the job it is printing, each motion controller with its temperatures, the queue, the spool, the event log and the quality of the clock.',
  ],
  options: {},
  async run({ connect, isJson, terminal }) {
    const core = await connect()
    const view = await core.request('status', {})
    if (isJson) terminal.write(jsonLine(view))
    else writeLines(terminal, renderStatus(view, terminal.style))
    return EXIT.ok
  },
}
