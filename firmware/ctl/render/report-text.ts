/** What a print will take, in words: the whole, the forecast, the layers the wire is short for. Pure. */

import type { LayerView, PrintReportView } from '#lib/control-protocol.ts'
import { shortId } from './job-text.ts'
import { duration, grouped, lineOf, pad, type Style, type Tone } from './text.ts'

const VERDICT_TONES = {
  flows: 'good',
  tight: 'warn',
  stutters: 'bad',
} as const satisfies Record<LayerView['verdict'], Tone>

const UM_PER_MM = 1000
/** Layers named one by one; the rest is counted. */
const MAX_LAYERS_SHOWN = 10

/** A fact a line, then the layers that do not flow. */
export function renderReport(report: PrintReportView, style: Style): readonly string[] {
  const facts: readonly (readonly [string, string])[] = [
    ['job', shortId(report.job)],
    ['time', `${duration(report.timeS)}, without heating and homing`],
    ['lines', `${grouped(report.lines)}, of them ${grouped(report.commands)} commands`],
    ['moves', movesText(report)],
    ['filament', filamentText(report)],
    ['box', boxText(report)],
  ]
  return [
    ...facts
      .filter(([, text]) => text !== '')
      .map(([label, text]) => lineOf([{ text: pad(label, 10), tone: 'dim' }, { text }], style)),
    ...report.sentences.map((text, i) =>
      lineOf(
        [
          { text: pad(i === 0 ? 'link' : '', 10), tone: 'dim' },
          { text, tone: i === 0 ? VERDICT_TONES[report.verdict] : undefined },
        ],
        style,
      ),
    ),
    ...layerLines(report, style),
  ]
}

function movesText(report: PrintReportView): string {
  return `${grouped(report.extrusionMoves)} extruding, ${grouped(report.travelMoves)} travelling, ${grouped(report.filamentMoves)} of filament alone`
}

function filamentText({ filamentUm }: PrintReportView): string {
  return filamentUm
    .flatMap((um, tool) => (um === 0 ? [] : [`T${tool} ${(um / 1e6).toFixed(2)} m`]))
    .join(', ')
}

function boxText({ boxUm }: PrintReportView): string {
  if (!boxUm) return ''
  const axes = ['X', 'Y', 'Z'].map((axis, i) => {
    const [low, high] = [boxUm.min[i] ?? 0, boxUm.max[i] ?? 0]
    return `${axis} ${(low / UM_PER_MM).toFixed(1)} to ${(high / UM_PER_MM).toFixed(1)}`
  })
  return `${axes.join(', ')} mm`
}

function layerLines({ layers }: PrintReportView, style: Style): readonly string[] {
  const short = layers.filter(({ verdict }) => verdict !== 'flows')
  const shown = short.slice(0, MAX_LAYERS_SHOWN).map(layer =>
    lineOf(
      [
        { text: pad('', 10) },
        {
          text: `layer ${layer.layer}: ${Math.round(layer.neededLinesPerS)} lines/s, densest ${Math.round(layer.peakLinesPerS)}, link ${Math.round(layer.linkLinesPerS)}: ${layer.verdict}`,
        },
      ],
      style,
    ),
  )
  const rest = short.length - shown.length
  return rest > 0 ? [...shown, lineOf([{ text: `${pad('', 10)}and ${rest} more` }], style)] : shown
}
