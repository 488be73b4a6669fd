/** Follows one job to its end: asks the core whenever it may have ended, shows the rest as it comes. */

import type { EventView, JobView, PrinterView } from '#lib/control-protocol.ts'
import type { CtlClient, Notice } from './client.ts'
import { type CommandContext, numberOption } from './command.ts'
import { EXIT, type ExitCode } from './errors.ts'
import { hasEnded, renderEnd } from './render/job-text.ts'
import { renderEvent } from './render/status-text.ts'
import { jsonLine } from './render/text.ts'
import { linesPerSecond, renderWatch, renderWatchLine, type Sighting } from './render/watch-text.ts'
import { createLivePainter, type Terminal } from './terminal.ts'

const DEFAULT_EVERY_S = 5

/** Where progress and events go: a live block, plain lines, or JSON lines. */
interface WatchDisplay {
  progress(view: PrinterView): void
  event(event: EventView): void
  end(job: JobView): void
}

/** What to follow: without an id, the first job that prints. */
export interface WatchTarget {
  readonly jobId: string | undefined
  readonly firstView: PrinterView | undefined
}

/** Resolves with the exit code the job's end deserves. @throws CtlError when the connection ends before. */
export async function watchJob(
  context: CommandContext,
  core: CtlClient,
  target: WatchTarget,
): Promise<ExitCode> {
  const display = displayFor(context)
  let { jobId } = target
  let notice: Notice | undefined =
    target.firstView && ({ kind: 'progress', view: target.firstView } as const)
  for (;;) {
    if (notice) showNotice(display, notice)
    jobId ??= notice && jobIn(notice)
    const ended = jobId && (await endOf(core, jobId, notice))
    if (ended) {
      display.end(ended)
      return ended.state === 'done' ? EXIT.ok : EXIT.jobEnded
    }
    notice = await core.nextNotice()
  }
}

function showNotice(display: WatchDisplay, notice: Notice): void {
  if (notice.kind === 'progress') display.progress(notice.view)
  else display.event(notice.event)
}

/** The job once it has ended; asked only when the notice leaves it open. */
async function endOf(
  core: CtlClient,
  jobId: string,
  notice: Notice | undefined,
): Promise<JobView | undefined> {
  if (notice && !mayHaveEnded(notice, jobId)) return undefined
  const job = await core.request('jobs.show', { job: jobId })
  return hasEnded(job.state) || isNotPrinted(notice) ? job : undefined
}

/** The job stays ready: nobody prints it until it is started again. */
function isNotPrinted(notice: Notice | undefined): boolean {
  return notice?.kind === 'event' && notice.event.type === 'job.rehearsal_failed'
}

function jobIn(notice: Notice): string | undefined {
  return notice.kind === 'progress' ? notice.view.job?.id : undefined
}

/** Pure: false only while the notice shows the job still on the machine. */
export function mayHaveEnded(notice: Notice, jobId: string): boolean {
  if (notice.kind === 'event') return notice.event.job === jobId
  const { job } = notice.view
  return job?.id !== jobId || hasEnded(job.state)
}

function displayFor(context: CommandContext): WatchDisplay {
  if (context.isJson) return jsonDisplay(context.terminal)
  return context.terminal.isLive ? liveDisplay(context) : plainDisplay(context)
}

function jsonDisplay(terminal: Terminal): WatchDisplay {
  return {
    progress: view => terminal.write(jsonLine({ kind: 'progress', printer: view })),
    event: event => terminal.write(jsonLine({ kind: 'event', event })),
    end: job => terminal.write(jsonLine({ kind: 'end', job })),
  }
}

/** Remembers the last sighting, for the rate. */
function sightings({ clock }: CommandContext): (view: PrinterView) => number | null {
  let last: Sighting | undefined
  let rate: number | null = null
  return view => {
    const now: Sighting = { view, atMs: clock.nowMs() }
    // Over less than half a second the rate is noise.
    if (last === undefined || now.atMs - last.atMs >= 500) {
      rate = linesPerSecond(last, now)
      last = now
    }
    return rate
  }
}

function liveDisplay(context: CommandContext): WatchDisplay {
  const { terminal } = context
  const rateOf = sightings(context)
  const painter = createLivePainter(terminal)
  let last: PrinterView | undefined
  return {
    progress(view) {
      painter.paint(renderWatch(view, rateOf(view), terminal.style))
      last = view
    },
    event(event) {
      if (event.severity !== 'info') painter.printAbove(renderEvent(event, terminal.style))
    },
    end(job) {
      if (last) painter.paint(renderWatch({ ...last, job }, null, terminal.style))
      terminal.write(`${renderEnd(job, terminal.style)}\n`)
    },
  }
}

function plainDisplay(context: CommandContext): WatchDisplay {
  const { terminal, clock } = context
  const everyMs = (numberOption(context, 'every') ?? DEFAULT_EVERY_S) * 1000
  const rateOf = sightings(context)
  let shownAtMs = Number.NEGATIVE_INFINITY
  let shownState = ''
  return {
    progress(view) {
      const rate = rateOf(view)
      const state = `${view.state} ${view.job?.state}`
      if (state === shownState && clock.nowMs() - shownAtMs < everyMs) return
      shownAtMs = clock.nowMs()
      shownState = state
      terminal.write(`${renderWatchLine(view, rate, terminal.style)}\n`)
    },
    event(event) {
      if (event.severity !== 'info') terminal.write(`${renderEvent(event, terminal.style)}\n`)
    },
    end: job => terminal.write(`${renderEnd(job, terminal.style)}\n`),
  }
}
