/** `mpf lint`: what a printer would refuse of a G-code program, line by line, without sealing it. */

import type { Command } from '../command.ts'
import { UsageError } from '../errors.ts'
import { readProgram } from '../files.ts'
import {
  createPacker,
  PACK_HELP,
  PACK_OPTIONS,
  policyOf,
  profileOf,
  refuse,
  reportChanges,
} from '../packing.ts'

export const lint: Command = {
  name: 'lint',
  summary: 'say what a printer would refuse of a G-code program, line by line',
  usage: 'mpf lint IN.gcode [--profile FILE] [--strip WORDS]',
  help: `Checks grammar and, with a printer's configuration, its words and limits. Nothing is written.

${PACK_HELP}`,
  options: PACK_OPTIONS,
  async run(context) {
    const [input] = context.operands
    if (input === undefined || context.operands.length !== 1)
      throw new UsageError('expected one G-code file, or -')
    const profile = await profileOf(context)
    const packer = createPacker(context, profile)
    await packer.check(readProgram(input))
    reportChanges(context, packer)
    if (packer.refusedLines > 0) return refuse(context, packer)
    const { words } = policyOf(packer, profile, [])
    if (context.isJson)
      context.print(
        JSON.stringify({
          ok: true,
          lines: packer.lines,
          layers: packer.layers,
          words,
          geometry: packer.geometry(),
        }),
      )
    else context.print(`${input}: ${packer.lines} lines, ${packer.layers} layers, nothing refused`)
    return 0
  },
}
