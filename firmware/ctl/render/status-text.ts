/** The printer on one page, and its events a line each. Pure. */

import type { ControllerView, EventView, PrinterView } from '#lib/control-protocol.ts'
import { layerText, lineText, percentText, shortId, stateText, titleOf } from './job-text.ts'
import {
  bytes,
  duration,
  grouped,
  lineOf,
  localTime,
  pad,
  type Span,
  type Style,
  type Tone,
} from './text.ts'
import { attentionText, heaterSpans } from './watch-text.ts'

const STATE_TONES = {
  idle: 'good',
  printing: 'good',
  paused: 'warn',
  interrupted: 'warn',
  offline: 'bad',
  wiped: 'bad',
} as const satisfies Record<PrinterView['state'], Tone>

const SEVERITY_TONES: Readonly<Record<EventView['severity'], Tone | undefined>> = {
  info: 'dim',
  notice: undefined,
  warning: 'warn',
  error: 'bad',
  critical: 'bad',
}

/** The printer, its job, its controllers, its stores. */
export function renderStatus(view: PrinterView, style: Style): readonly string[] {
  const fact = (label: string, ...spans: readonly Span[]): string =>
    lineOf([{ text: pad(label, 10), tone: 'dim' }, ...spans], style)
  return [
    fact(
      'printer',
      { text: `${view.printer} ${view.serial}  `, tone: 'strong' },
      { text: view.state, tone: STATE_TONES[view.state] },
    ),
    ...(view.job === null ? [] : [fact('job', { text: jobText(view.job) })]),
    ...(attentionText(view) === ''
      ? []
      : [fact('asks', { text: attentionText(view), tone: 'warn' })]),
    ...(view.alarms ?? []).map(code =>
      fact('alarm', { text: code, tone: 'bad' }, { text: `  [mpfctl explain ${code}]` }),
    ),
    ...view.controllers.flatMap(controller => [
      fact(controller.name, ...controllerSpans(controller, style)),
      ...(controller.fault ? [fact('', { text: controller.fault.message, tone: 'dim' })] : []),
    ]),
    fact('queue', {
      text: `${view.queue.ready} ready, ${view.queue.received} not yet checked`,
    }),
    fact('spool', { text: `${bytes(view.spool.usedBytes)} of ${bytes(view.spool.capBytes)}` }),
    fact('events', { text: `${grouped(view.events.lastSequence)} recorded` }),
    fact('clock', { text: `${localTime(view.clock.nowMs)} (${view.clock.quality})` }),
    fact('version', { text: `mpfd ${view.version}` }),
  ]
}

function jobText(job: NonNullable<PrinterView['job']>): string {
  const { timeLeftS } = job.progress
  return [
    `${shortId(job.id)} ${titleOf(job)}: ${stateText(job)} ${percentText(job.progress.percent)}`,
    layerText(job.progress),
    lineText(job.progress),
    timeLeftS === null ? '' : `${duration(timeLeftS)} left`,
  ]
    .filter(text => text !== '')
    .join(', ')
}

function controllerSpans(controller: ControllerView, style: Style): readonly Span[] {
  const { connected, fault } = controller
  if (!connected) {
    const why = fault ? `: ${fault.code}  [mpfctl explain ${fault.code}]` : ''
    return [{ text: 'not connected', tone: 'bad' }, { text: why }]
  }
  return [
    ...heaterSpans(controller.temperatures, style),
    {
      text: `${grouped(controller.linesSent)} lines, ${grouped(controller.resends)} resends`,
    },
    { text: `  ${controller.firmware ?? 'unknown firmware'}`, tone: 'dim' },
  ]
}

/** Below this a line has no room for the date. */
const DATE_COLUMNS = 100

/** One event: number, time, severity, type, job, what, code. */
export function renderEvent(event: EventView, style: Style): string {
  const about = event.job === null ? '' : `job ${shortId(event.job)}: `
  const code = event.code === null ? '' : ` (${event.code})`
  const isNarrow = style.columns < DATE_COLUMNS
  const time = isNarrow ? localTime(event.atMs).slice(-8) : localTime(event.atMs)
  return lineOf(
    [
      { text: `${event.sequence.toString().padStart(6)}  ${time}  `, tone: 'dim' },
      { text: pad(event.severity, 10), tone: SEVERITY_TONES[event.severity] },
      { text: isNarrow ? `${event.type}  ` : pad(event.type, 26) },
      { text: `${isNarrow ? '' : about}${event.message}${code}` },
    ],
    style,
  )
}
