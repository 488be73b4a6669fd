/** `mpfctl explain`: what a code means and what to do, from docs/errors.md. Needs no core. */

import type { Advice } from '#lib/advice.ts'
import { type Command, writeLines } from '../command.ts'
import { CtlError, EXIT } from '../errors.ts'
import { wrap } from '../help.ts'
import { jsonLine, lineOf, type Style } from '../render/text.ts'

export const explain: Command = {
  name: 'explain',
  operands: '[CODE]',
  maxOperands: 1,
  summary: 'say what a code means and what to do about it',
  description: [
    'Tells what happened and what to do for any code mpfd or mpfctl shows. Without CODE lists them all. Works without a running core.',
  ],
  options: {},
  async run({ operands, advisor, isJson, terminal }) {
    const [wanted] = operands
    const known = await advisor.list()
    if (wanted === undefined) {
      if (isJson) terminal.write(jsonLine(known))
      else writeLines(terminal, renderAll(known, terminal.style))
      return EXIT.ok
    }
    const advice = await advisor.find(wanted.toUpperCase())
    if (advice === undefined) throw new CtlError('CTL_USAGE', `no such code: ${wanted}`)
    if (isJson) terminal.write(jsonLine(advice))
    else writeLines(terminal, renderOne(advice, terminal.style))
    return EXIT.ok
  },
}

function renderAll(known: readonly Advice[], style: Style): readonly string[] {
  return known.map(({ code, happened }) =>
    lineOf([{ text: `${code.padEnd(24)}  `, tone: 'strong' }, { text: happened }], style),
  )
}

function renderOne({ code, section, happened, action }: Advice, style: Style): readonly string[] {
  const width = Math.min(76, style.columns - 3)
  return [
    lineOf(
      [
        { text: code, tone: 'strong' },
        { text: `  ${section}`, tone: 'dim' },
      ],
      style,
    ),
    ...wrap(happened, width).map(line => `  ${line}`),
    '',
    lineOf([{ text: 'What to do', tone: 'strong' }], style),
    ...wrap(action, width).map(line => `  ${line}`),
  ]
}
