/** `mpfctl preview`: the toolpath of a job as a small picture on standard output. */

import { writeFile } from 'node:fs/promises'
import { type Command, type CommandContext, numberOption, textOption } from '../command.ts'
import { CtlError, EXIT } from '../errors.ts'
import { svgToPng } from '../render/png.ts'
import { jsonLine } from '../render/text.ts'

export const preview: Command = {
  name: 'preview',
  operands: 'JOB',
  maxOperands: 1,
  summary: 'draw the toolpath of a print as SVG or PNG',
  description: [
    'Writes an SVG of what is extruded, at most 200 kB, to standard output: mpfctl preview JOB > part.svg; with --png the same picture as pixels to a file. It is drawn from the verified file and shows its shape; treat it as you would the part.',
    'JOB is the beginning of an id, as long as it fits one job only.',
  ],
  options: {
    layer: { type: 'string', value: 'N', help: 'only this layer, from 1' },
    png: { type: 'string', value: 'FILE', help: 'write FILE as PNG instead' },
    view: { type: 'string', value: 'VIEW', help: 'isometric (default) or top' },
  },
  async run(context) {
    const { connect, isJson, terminal, operands } = context
    const [job] = operands
    if (job === undefined) throw new CtlError('CTL_USAGE', 'preview: which job?')
    const layer = numberOption(context, 'layer')
    const view = viewOption(context)
    const core = await connect()
    const picture = await core.request('jobs.preview', {
      job,
      ...(view !== undefined && { view }),
      ...(layer !== undefined && { layer }),
    })
    const svg = Buffer.from(picture.bytes, 'base64').toString('utf8')
    const file = textOption(context, 'png')
    if (file !== undefined) await writePng(file, svg)
    else if (isJson) terminal.write(jsonLine(picture))
    else terminal.write(svg)
    return EXIT.ok
  },
}

function viewOption(context: CommandContext): 'isometric' | 'top' | undefined {
  const view = textOption(context, 'view')
  if (view === undefined || view === 'isometric' || view === 'top') return view
  throw new CtlError('CTL_USAGE', `--view: no such view: ${view}`)
}

/** @throws CtlError CTL_USAGE */
async function writePng(file: string, svg: string): Promise<void> {
  try {
    await writeFile(file, svgToPng(svg), { mode: 0o600 })
  } catch (error) {
    throw new CtlError(
      'CTL_USAGE',
      `--png ${file}: ${error instanceof Error ? error.message : 'not written'}`,
    )
  }
}
