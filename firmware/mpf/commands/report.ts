/** `mpf report`: what a sealed print will take on a printer, and whether its wire keeps up. */

import { loadConfig } from '#config'
import {
  type ForecastLink,
  forecast,
  type Kinematics,
  MARLIN_KINEMATICS,
  type PrintEstimate,
  PrintEstimator,
} from '#mpf'
import type { Command, CommandContext } from '../command.ts'
import { followProgram, READ_HELP, READ_OPTIONS } from '../reading.ts'

const DEFAULT_BAUD = 115_200
/** Marlin: `N`, space, `*`, checksum, line feed beside the number's digits; BUFSIZE; what its parser needs a line. */
const FRAME_BYTES = 7
const LINK = { windowLines: 4, turnaroundMs: 2 } as const
const S_PER_MIN = 60

export const report: Command = {
  name: 'report',
  summary: 'say what a sealed print will take, and whether the wire keeps up',
  usage: 'mpf report FILE.mpf --trust BUNDLE.json --key PRINTER.key.pem [--profile FILE]',
  help: `Checks the file as a printer does and computes its time, filament, box and, layer by layer, the lines a second it needs.
Heating and homing are in no time given.

${READ_HELP}
  --profile FILE  a printer's configuration: its kinematics and baud rate (default: Marlin as it comes, 115200)`,
  options: { ...READ_OPTIONS, profile: { type: 'string' } },
  async run(context) {
    const printer = await printerOf(context)
    const estimator = new PrintEstimator(printer.kinematics)
    const { title } = await followProgram(context, () => estimator.listeners)
    const estimate = estimator.finish()
    const framingBytes = FRAME_BYTES + String(estimate.commands).length
    const link: ForecastLink = { ...LINK, baud: printer.baud, framingBytes }
    const { verdict, sentences, layers } = forecast(estimate.layers, link)
    if (context.isJson)
      context.print(
        JSON.stringify({ ok: true, title, ...estimate, forecast: { verdict, sentences, layers } }),
      )
    else for (const line of textOf(title, estimate, sentences)) context.print(line)
    return 0
  },
}

async function printerOf(
  context: CommandContext,
): Promise<{ readonly kinematics: Kinematics; readonly baud: number }> {
  const file = context.text('profile')
  if (file === undefined) return { kinematics: MARLIN_KINEMATICS, baud: DEFAULT_BAUD }
  const { printer, controllers } = await loadConfig(file)
  const motion = controllers.find(({ role }) => role === 'motion')
  return { kinematics: printer.kinematics, baud: motion?.baud ?? DEFAULT_BAUD }
}

function textOf(
  title: string,
  estimate: PrintEstimate,
  sentences: readonly string[],
): readonly string[] {
  const { timeS, lines, commands, filamentUm, box } = estimate
  const minutes = Math.round(timeS / S_PER_MIN)
  const mm = (um: readonly number[]) => um.map(value => (value / 1000).toFixed(1)).join(' ')
  return [
    `title     ${title}`,
    `time      ${Math.floor(minutes / 60)} h ${minutes % 60} min, without heating and homing`,
    `lines     ${lines}, of them ${commands} commands`,
    `filament  ${filamentUm.map(um => `${(um / 1e6).toFixed(2)} m`).join(', ')} (T0 to T3)`,
    ...(box ? [`box       ${mm(box.minUm)} to ${mm(box.maxUm)} mm`] : []),
    ...sentences.map((sentence, i) => `${i === 0 ? 'link' : '    '}      ${sentence}`),
  ]
}
