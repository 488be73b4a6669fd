/** `mpfctl respond`: a person's answer to what the controller asks. */

import { type Command, writeLines } from '../command.ts'
import { CtlError, EXIT } from '../errors.ts'
import { jsonLine } from '../render/text.ts'

export const respond: Command = {
  name: 'respond',
  operands: 'N',
  maxOperands: 1,
  summary: 'answer what the controller asks',
  description: [
    '`mpfctl status` and `mpfctl watch` show the question and its choices, numbered from 0. Without choices 0 means that it was read.',
    'A print that was paused for the question stays paused: go on with `mpfctl resume`.',
  ],
  options: {},
  async run({ operands, connect, isJson, terminal }) {
    const [choice = ''] = operands
    if (!/^\d$/.test(choice)) throw new CtlError('CTL_USAGE', 'respond: the number of a choice')
    const core = await connect()
    const result = await core.request('print.respond', { choice: Number(choice) })
    if (isJson) terminal.write(jsonLine(result))
    else writeLines(terminal, [`answered ${result.choice}`])
    return EXIT.ok
  },
}
