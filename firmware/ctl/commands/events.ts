/** `mpfctl events`: the event log, as kept and as it grows; and whether it is intact. */

import type { EventView } from '#lib/control-protocol.ts'
import { syslogText } from '#lib/syslog.ts'
import type { CtlClient } from '../client.ts'
import { type Command, type CommandContext, numberOption, writeLines } from '../command.ts'
import { CtlError, EXIT, type ExitCode } from '../errors.ts'
import { renderEvent } from '../render/status-text.ts'
import { grouped, jsonLine, lineOf } from '../render/text.ts'

const LAST_EVENTS = 20
const PAGE_EVENTS = 500

export const events: Command = {
  name: 'events',
  operands: '',
  maxOperands: 0,
  summary: 'show the event log, or verify it',
  description: [
    `Shows the last ${LAST_EVENTS} events, or with --after all events after number N.`,
    'Each event is chained to the one before by a hash; --verify has the core recompute the whole chain. Exit status 6 means that the log was changed or damaged.',
    'docs/events.md describes every type of event.',
  ],
  options: {
    after: { type: 'string', value: 'N', help: 'all events after number N' },
    follow: { type: 'boolean', help: 'then show each new event, until interrupted' },
    syslog: { type: 'boolean', help: 'as RFC 5424 lines, for a log collector' },
    verify: { type: 'boolean', help: 'only recompute the chain and say whether it is intact' },
  },
  async run(context) {
    const after = numberOption(context, 'after')
    const isFollowing = context.options.follow === true
    if (isFollowing && context.options.verify === true)
      throw new CtlError('CTL_USAGE', '--follow and --verify exclude each other')
    if (context.isJson && context.options.syslog === true)
      throw new CtlError('CTL_USAGE', '--json and --syslog exclude each other')
    const core = await context.connect()
    if (context.options.verify === true) return await verifyLog(context, core)
    return isFollowing ? await followLog(context, core, after) : await listLog(context, core, after)
  },
}

async function verifyLog({ isJson, terminal }: CommandContext, core: CtlClient): Promise<ExitCode> {
  const verdict = await core.request('events.verify', {})
  const exitCode = verdict.intact ? EXIT.ok : EXIT.unverified
  if (isJson) {
    terminal.write(jsonLine(verdict))
    return exitCode
  }
  const line = verdict.intact
    ? lineOf([{ text: 'intact', tone: 'good' }, countSpan(verdict.entries)], terminal.style)
    : lineOf(
        [
          { text: 'NOT INTACT', tone: 'bad' },
          countSpan(verdict.entries),
          { text: `, broken at event ${verdict.brokenAt ?? 'unknown'}` },
        ],
        terminal.style,
      )
  writeLines(terminal, [line])
  return exitCode
}

function countSpan(entries: number): { readonly text: string } {
  return { text: `  ${grouped(entries)} events` }
}

async function listLog(
  context: CommandContext,
  core: CtlClient,
  after: number | undefined,
): Promise<ExitCode> {
  const found: EventView[] = []
  const { events: log, serial } = await core.request('status', {})
  const first = after ?? log.lastSequence - LAST_EVENTS
  for await (const event of eventsAfter(core, Math.max(0, first))) {
    if (context.isJson) found.push(event)
    else writeLines(context.terminal, [textOf(context, event, serial)])
  }
  if (context.isJson) context.terminal.write(jsonLine({ events: found }))
  return EXIT.ok
}

/** Subscribes first and lists then, so that nothing falls between; what comes twice is shown once. */
async function followLog(
  context: CommandContext,
  core: CtlClient,
  after: number | undefined,
): Promise<never> {
  const { terminal, isJson } = context
  const view = await core.request('watch', {})
  let last = Math.max(0, after ?? view.events.lastSequence - LAST_EVENTS)
  const show = (event: EventView): void => {
    if (event.sequence <= last) return
    last = event.sequence
    terminal.write(isJson ? jsonLine(event) : `${textOf(context, event, view.serial)}\n`)
  }
  for await (const event of eventsAfter(core, last)) show(event)
  for (;;) {
    const notice = await core.nextNotice()
    if (notice.kind === 'event') show(notice.event)
  }
}

/** RFC 5424 severities. */
const SYSLOG_SEVERITY = { critical: 2, error: 3, warning: 4, notice: 5, info: 6 } as const

function textOf({ options, terminal }: CommandContext, event: EventView, serial: string): string {
  if (options.syslog !== true) return renderEvent(event, terminal.style)
  const { sequence, type, severity, job, code, hash, clock, atMs, message } = event
  return syslogText({
    severity: SYSLOG_SEVERITY[severity],
    ...{ atMs, hostname: serial, app: 'mpfd', messageId: type, element: 'mpfd', message },
    data: { seq: sequence, job: job ?? '-', code: code ?? '-', clock: clock ?? '-', hash },
  })
}

/** Every event after a number, a page at a time. */
async function* eventsAfter(core: CtlClient, first: number): AsyncGenerator<EventView> {
  let after = first
  for (;;) {
    const { events } = await core.request('events.list', { after, limit: PAGE_EVENTS })
    yield* events
    const last = events.at(-1)
    // The core may keep its pages shorter; one that does not move on would be asked for forever.
    if (last === undefined || last.sequence <= after) return
    after = last.sequence
  }
}
