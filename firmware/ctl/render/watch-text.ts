/** A running print as `watch` shows it: a block repainted in place, or one plain line now and then. Pure. */

import type { ControllerView, HeaterReadings, JobView, PrinterView } from '#lib/control-protocol.ts'
import {
  layerText,
  lineText,
  percentText,
  STATE_TONES,
  shortId,
  stateText,
  titleOf,
  useText,
} from './job-text.ts'
import {
  bar,
  duration,
  grouped,
  lineOf,
  localTime,
  printable,
  type Span,
  type Style,
  type Tone,
} from './text.ts'

/** One view and when it came, by a monotonic clock. */
export interface Sighting {
  readonly view: PrinterView
  readonly atMs: number
}

const MAX_BAR_CELLS = 48
/** The bar's neighbours: a percentage and a time. */
const BAR_SIDE_CELLS = 32
const MIN_BAR_CELLS = 8
/** Within this of its target a heater has arrived. */
const ARRIVED_C = 2

/** Lines a second between two sightings, or null while it cannot be known. */
export function linesPerSecond(before: Sighting | undefined, now: Sighting): number | null {
  const seconds = before === undefined ? 0 : (now.atMs - before.atMs) / 1000
  const sent = (sighting: Sighting): number =>
    sighting.view.controllers.reduce((sum, { linesSent }) => sum + linesSent, 0)
  if (before === undefined || seconds <= 0 || sent(now) < sent(before)) return null
  return (sent(now) - sent(before)) / seconds
}

/** The block: at most nine lines with one controller, each within the width. */
export function renderWatch(
  view: PrinterView,
  rate: number | null,
  style: Style,
): readonly string[] {
  if (view.job === null)
    return [
      lineOf(idleSpans(view), style),
      ...attentionLines(view, style),
      ...controllerLines(view, rate, style),
    ]
  return [
    lineOf(headSpans(view.job), style),
    lineOf(barSpans(view.job, style), style),
    lineOf([{ text: placeText(view.job) }], style),
    ...attentionLines(view, style),
    ...controllerLines(view, rate, style),
  ]
}

/** The same on one line, for a log or a pipe. */
export function renderWatchLine(view: PrinterView, rate: number | null, style: Style): string {
  const plain: Style = { ...style, columns: Number.POSITIVE_INFINITY, hasColour: false }
  const { job } = view
  const parts =
    job === null
      ? [view.state]
      : [stateText(job), percentText(job.progress.percent), placeText(job), leftText(job)]
  const links = view.controllers.flatMap(controller => [
    ...heaterSpans(controller.temperatures, style).map(({ text }) => text.trimEnd()),
    linkText(controller, rate),
  ])
  return lineOf([{ text: [localTime(view.clock.nowMs), ...parts, ...links].join('  ') }], plain)
}

/** What the controller wants a person for, with the choices `mpfctl respond` takes. */
export function attentionText({ attention }: PrinterView): string {
  if (!attention) return ''
  const { reason, prompt } = attention
  if (!prompt?.isShown) return printable(reason)
  const choices = prompt.choices.map((choice, number) => `${number} ${printable(choice)}`)
  const answers = choices.length === 0 ? '0 read' : choices.join(', ')
  return `${printable(prompt.text)}  [mpfctl respond: ${answers}]`
}

function attentionLines(view: PrinterView, style: Style): readonly string[] {
  const text = attentionText(view)
  return text === '' ? [] : [lineOf([{ text, tone: 'warn' }], style)]
}

function idleSpans(view: PrinterView): readonly Span[] {
  const tone: Tone = view.state === 'offline' ? 'bad' : 'dim'
  return [
    { text: `${view.printer} ${view.serial}  `, tone: 'strong' },
    { text: view.state, tone },
    { text: `  waiting for a print; ${view.queue.ready} ready` },
  ]
}

function headSpans(job: JobView): readonly Span[] {
  const use = useText(job)
  return [
    { text: stateText(job).padEnd(8), tone: STATE_TONES[job.state] },
    { text: `  ${titleOf(job)}`, tone: 'strong' },
    { text: `  job ${shortId(job.id)}${use === '' ? '' : `, ${use}`}`, tone: 'dim' },
  ]
}

function barSpans(job: JobView, style: Style): readonly Span[] {
  const cells = Math.min(MAX_BAR_CELLS, style.columns - BAR_SIDE_CELLS)
  const shown = cells < MIN_BAR_CELLS ? '' : `${bar(job.progress.percent, cells, style)}  `
  return [
    { text: shown, tone: STATE_TONES[job.state] },
    { text: percentText(job.progress.percent), tone: 'strong' },
    { text: `  ${leftText(job)}` },
  ]
}

function leftText(job: JobView): string {
  const { timeLeftS } = job.progress
  return timeLeftS === null ? 'time left unknown' : `${duration(timeLeftS)} left`
}

function placeText(job: JobView): string {
  return [layerText(job.progress), lineText(job.progress)].filter(text => text !== '').join('  ')
}

function controllerLines(view: PrinterView, rate: number | null, style: Style): readonly string[] {
  return view.controllers.flatMap(controller => {
    const heaters = heaterSpans(controller.temperatures, style)
    return [
      ...(heaters.length === 0 ? [] : [lineOf(heaters, style)]),
      lineOf([linkSpan(controller, rate)], style),
      ...healthLines(controller, style),
    ]
  })
}

/** Each heater as `hotend 210.4/210 °C`. */
export function heaterSpans(temperatures: HeaterReadings, style: Style): readonly Span[] {
  const unit = style.isUnicode ? '°C' : 'C'
  return Object.entries(temperatures).map(([heater, { currentC, targetC }]) => {
    const isArrived = Math.abs(currentC - targetC) <= ARRIVED_C
    const heatingTone: Tone | undefined = isArrived ? 'good' : 'warn'
    return {
      text: `${heater} ${currentC.toFixed(1)}/${targetC.toFixed(0)} ${unit}   `,
      tone: targetC === 0 ? 'dim' : heatingTone,
    }
  })
}

/** Latency, use of the wire, planner and stalls, once something was measured. */
function healthLines({ link }: ControllerView, style: Style): readonly string[] {
  if (link === null) return []
  const { okToNextMs, wireUtilisation, plannerFree, plannerBlocks } = link
  const latencies = [okToNextMs.p50, okToNextMs.p99, okToNextMs.p999]
  const isMeasured = latencies.every(ms => ms !== null)
  const planner = plannerFree !== null && plannerBlocks !== null && plannerBlocks > 0
  const parts = [
    ...(isMeasured
      ? [`ok to next ${latencies.map(ms => ms.toFixed(2)).join('/')} ms (p50/p99/p99.9)`]
      : []),
    // More than the configured baud carries: a port without one, as native USB is.
    ...(wireUtilisation === null || wireUtilisation > 1
      ? []
      : [`wire ${Math.round(100 * wireUtilisation)} %`]),
    ...(link.savedBytes > 0 ? [`${grouped(link.savedBytes)} bytes saved`] : []),
    ...(planner ? [`planner ${plannerBlocks - plannerFree}/${plannerBlocks}`] : []),
    ...(link.stalls === 0 ? [] : [`${grouped(link.stalls)} stall${link.stalls === 1 ? '' : 's'}`]),
    ...(link.reattachments === 0
      ? []
      : [`${grouped(link.reattachments)} replug${link.reattachments === 1 ? '' : 's'}`]),
  ]
  return parts.length === 0 ? [] : [lineOf([{ text: parts.join(', '), tone: 'dim' }], style)]
}

function linkSpan(controller: ControllerView, rate: number | null): Span {
  return {
    text: linkText(controller, rate),
    tone: controller.connected ? 'dim' : 'bad',
  }
}

function linkText(controller: ControllerView, rate: number | null): string {
  const why = controller.fault ? `: ${controller.fault.code}` : ''
  if (!controller.connected) return `link ${controller.name} not connected${why}`
  const speed = rate === null ? '' : `${grouped(rate)} lines/s, `
  const window = `window ${controller.inFlightLines}/${controller.windowLines}`
  return `link ${controller.name} ${speed}${grouped(controller.resends)} resends, ${window}`
}
