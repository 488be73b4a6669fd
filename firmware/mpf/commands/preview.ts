/** `mpf preview`: the toolpath of a sealed file as a small picture. */

import { PreviewDrawer } from '#mpf'
import type { Command } from '../command.ts'
import { UsageError } from '../errors.ts'
import { followProgram, READ_HELP, READ_OPTIONS } from '../reading.ts'

const MAX_PREVIEW_BYTES = 200_000
const MAX_LAYER = 1_000_000

export const preview: Command = {
  name: 'preview',
  summary: 'draw the toolpath of a sealed file as SVG',
  usage: 'mpf preview FILE.mpf --trust BUNDLE.json --key PRINTER.key.pem [--layer N] [--view VIEW]',
  help: `Checks the file as a printer does and writes what is extruded as SVG, at most 200 kB, to standard output.

${READ_HELP}
  --layer N       only this layer, from 1
  --view VIEW     isometric (default) or top`,
  options: { ...READ_OPTIONS, layer: { type: 'string' }, view: { type: 'string' } },
  async run(context) {
    const view = context.text('view') ?? 'isometric'
    if (view !== 'isometric' && view !== 'top') throw new UsageError(`--view ${view}: no such view`)
    const layer = context.integer('layer', [0, MAX_LAYER], 0)
    let drawer: PreviewDrawer | undefined
    await followProgram(context, ({ layers }) => {
      const maxBytes = MAX_PREVIEW_BYTES
      drawer = new PreviewDrawer({ view, layers, maxBytes, layer: layer > 0 ? layer : undefined })
      return drawer.listeners
    })
    const svg = drawer?.finish() ?? ''
    context.print(context.isJson ? JSON.stringify({ ok: true, svg }) : svg.trimEnd())
    return 0
  },
}
