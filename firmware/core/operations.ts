/** The verbs and views of the control socket, carried out on the core's parts. */

import type { ControlMethod, ControlMethods, JobView, PrinterView } from '#lib/control-protocol.ts'
import type { PrintReports } from './admission/preflight-report.ts'
import type { CommandLedger } from './commands/ledger.ts'
import type { ControlHandlers } from './control/methods.ts'
import type { ControllerVoice } from './engine/controller-voice.ts'
import type { Machine } from './engine/machine.ts'
import type { PrintEngine } from './engine/print-engine.ts'
import { CoreError } from './errors.ts'
import { type JobRecord, viewOfJob } from './journal/job-record.ts'
import type { Journal } from './journal/journal.ts'
import type { Spool } from './spool.ts'
import type { TrustedTime } from './trusted-time.ts'

export interface OperationParts {
  readonly model: string
  readonly serial: string
  readonly version: string
  readonly journal: Journal
  readonly ledger: CommandLedger
  readonly spool: Spool
  readonly machine: Machine
  readonly engine: PrintEngine
  readonly voice: ControllerVoice
  readonly time: TrustedTime
  readonly reports: PrintReports
  /** What the courier says is wrong. */
  readonly alarms: ReadonlySet<string>
  readonly signal: AbortSignal
}

const PAGE = 100
const RUNNING = ['printing', 'paused', 'interrupted'] as const

/** One handler a method; each throws the coded errors of what it calls. */
export function createOperations(parts: OperationParts): Pick<ControlHandlers, ControlMethod> {
  const { journal, engine, reports, signal } = parts
  const view = (job: JobRecord) => viewOf(job, engine)
  const status = () => printerView(parts)
  return {
    status,
    watch: status,
    'jobs.list': ({ state }) => ({ jobs: journal.jobs(state && [state]).map(view) }),
    'jobs.show': ({ job }) => view(journal.findJob(job)),
    'jobs.report': ({ job }) => reports.report(journal.findJob(job), signal),
    'jobs.preview': async ({ job, view, layer }) => {
      const svg = await reports.preview(
        journal.findJob(job).id,
        { view: view ?? 'isometric', layer },
        signal,
      )
      return { type: 'image/svg+xml', bytes: Buffer.from(svg).toString('base64') }
    },
    'print.start': async ({ job }) => view(await engine.start(chooseReady(journal, job).id)),
    'print.pause': async () => view(await engine.requestPause()),
    'print.resume': async () => view(await engine.requestResume()),
    'print.cancel': async ({ job }) =>
      view(await engine.cancel(job === undefined ? undefined : journal.findJob(job).id)),
    'print.stop': async () => {
      const job = await engine.stop()
      return job ? view(job) : null
    },
    'print.respond': async ({ choice }) => {
      await parts.voice.respond(choice, signal)
      return { choice }
    },
    'events.list': ({ after, limit }) => ({ events: journal.events(after ?? 0, limit ?? PAGE) }),
    'events.verify': () => verify(journal, signal),
  }
}

async function verify(
  journal: Journal,
  signal: AbortSignal,
): Promise<ControlMethods['events.verify']['result']> {
  const { entries, isIntact, brokenAt } = await journal.verifyEvents(signal)
  return { entries, intact: isIntact, brokenAt }
}

/** The job meant by `prefix`, or the only one that is ready. @throws CoreError JOB_NONE_READY, JOB_AMBIGUOUS, JOB_UNKNOWN. */
function chooseReady(journal: Journal, prefix: string | undefined): JobRecord {
  if (prefix !== undefined) return journal.findJob(prefix)
  const [first, second] = journal.jobs(['ready'])
  if (!first) throw new CoreError('JOB_NONE_READY', 'no job is ready')
  if (second) throw new CoreError('JOB_AMBIGUOUS', 'several jobs are ready')
  return first
}

function viewOf(job: JobRecord, engine: PrintEngine): JobView {
  const current = engine.current
  return viewOfJob(job, current?.job === job.id ? current.progress : undefined)
}

function printerView(parts: OperationParts): PrinterView {
  const { journal, spool, machine, engine, time } = parts
  const rehearsed = () => journal.jobs(['ready']).find(({ id }) => id === engine.current?.job)
  const running = journal.jobs(RUNNING)[0] ?? rehearsed()
  const { atMs, quality } = time.now()
  return {
    printer: parts.model,
    serial: parts.serial,
    version: parts.version,
    state: parts.ledger.isSet('wiped') ? 'wiped' : stateOf(running, machine),
    job: running ? viewOf(running, engine) : null,
    controllers: machine.views(),
    queue: { ready: journal.count('ready'), received: journal.count('received') },
    spool: { usedBytes: spool.usedBytes, capBytes: spool.capBytes },
    events: { lastSequence: journal.lastSequence() },
    clock: { nowMs: atMs, quality },
    attention: parts.voice.attention,
    alarms: [...(parts.ledger.isSet('intake-held') ? ['INTAKE_EVENTS_FULL'] : []), ...parts.alarms],
  }
}

function stateOf(running: JobRecord | undefined, machine: Machine): PrinterView['state'] {
  if (running?.state === 'paused' || running?.state === 'interrupted') return running.state
  if (running) return 'printing'
  return machine.isConnected ? 'idle' : 'offline'
}
