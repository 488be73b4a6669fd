/** The one print this printer may run: who may start it, what is checked again, and the verbs that act on it. */

import type { PrinterControllers } from '#drivers'
import type { JobProgress } from '#lib/control-protocol.ts'
import type { OpenedJob } from '../admission/open-job.ts'
import { CoreError } from '../errors.ts'
import type { JobRecord } from '../journal/job-record.ts'
import { isFinal } from '../journal/job-states.ts'
import { CHECKPOINT_MS } from './checkpoints.ts'
import { planContinuation } from './continuation.ts'
import { endReasonOf } from './end-reason.ts'
import type { PrintEngineOptions } from './engine-options.ts'
import { openAgain } from './open-again.ts'
import { PrintRun } from './print-run.ts'
import { Rehearsal } from './rehearsal.ts'

export class PrintEngine {
  readonly #options: PrintEngineOptions
  #run: Run | undefined
  #isStarting = false
  #running: Promise<void> = Promise.resolve()
  readonly #closing = new AbortController()

  constructor(options: PrintEngineOptions) {
    this.#options = options
  }

  /** The running job with its live progress, if any. */
  get current(): { readonly job: string; readonly progress: JobProgress } | undefined {
    const run = this.#run
    return run && { job: run.job, progress: run.progress() }
  }

  get isPaused(): boolean {
    return this.#run?.isPaused === true
  }

  /** True while a print runs or is being started. */
  get isBusy(): boolean {
    return this.#isStarting || this.#run !== undefined
  }

  /**
   * Checks again, charges the use and starts streaming; resolves once the print has begun, or its rehearsal where the printer rehearses.
   * A file that no longer passes is refused for good and the check's error is thrown.
   * @throws CoreError PRINTER_BUSY, PRINTER_OFFLINE, JOB_STATE, JOB_FILE_LOST, JOURNAL_WRITE; MpfError by code.
   */
  async start(id: string): Promise<JobRecord> {
    const { journal, isRehearsed } = this.#options
    this.#expectFree()
    const job = journal.job(id)
    if (job.state !== 'ready')
      throw new CoreError('JOB_STATE', `a job that is ${job.state} cannot be started`)
    if (this.#interrupted)
      throw new CoreError('PRINTER_BUSY', 'an interrupted print waits to be resumed or cancelled')
    return isRehearsed ? this.#rehearse(id) : this.#begin(id, this.#closing.signal)
  }

  /** Nothing is charged: that is for the print, which begins by itself once the controller took every line. */
  async #rehearse(id: string): Promise<JobRecord> {
    const { journal, machine } = this.#options
    const { controller } = machine
    return this.#open(id, async ({ print }) => {
      this.#expectConnected(controller)
      const begin = (signal: AbortSignal) => this.#begin(id, signal)
      const run = new Rehearsal({ ...this.#options, job: id, print, controller, begin })
      return { started: journal.job(id), run }
    })
  }

  async #begin(id: string, signal: AbortSignal): Promise<JobRecord> {
    const { journal, machine } = this.#options
    this.#expectAllowed()
    const { controller } = machine
    return this.#open(id, async ({ print }) => {
      const { id: grantId, usesGranted } = print.facts.grant
      signal.throwIfAborted()
      this.#expectConnected(controller)
      // From here the use counts, whatever happens next: charged durably before the first byte.
      const started = journal.chargeAndStart(id, grantId, usesGranted, {
        stopLayers: machine.stopLayers(),
        firmware: controller.identity.firmware,
      })
      return { started, run: new PrintRun({ ...this.#options, job: id, print, controller }) }
    })
  }

  /**
   * Goes on with an interrupted print: the file is checked again, its use stays the one that was charged.
   * @throws CoreError JOB_NOT_RESUMABLE and as `start`; MpfError by code.
   */
  async #continue(job: JobRecord): Promise<JobRecord> {
    const { journal, machine } = this.#options
    this.#expectFree()
    const { controller } = machine
    return this.#open(job.id, async ({ print }) => {
      const continuation = await planContinuation(job, print, this.#options, this.#closing.signal)
      this.#expectConnected(controller)
      const { line, isSameBoot, isPositionKept, isExact } = continuation
      const kept = isPositionKept ? 'the controller kept its position' : 'X and Y are homed again'
      const repeated = isExact
        ? 'it stands where that line ends'
        : `what was executed after it, at most ${CHECKPOINT_MS / 1000} s, is printed again`
      const started = journal.advance(job.id, 'continued', {
        type: 'job.continued',
        job: job.id,
        message: `after line ${line}; ${kept}; ${repeated}`,
        detail: {
          ...{ use: job.use, ackedLine: job.ackedLine, fromLine: line + 1 },
          ...{ isSameBoot, isPositionKept, isExact },
        },
      })
      const options = { ...this.#options, job: job.id, print, controller, continuation }
      return { started, run: new PrintRun(options) }
    })
  }

  /** @throws CoreError PRINTER_IDLE, JOB_STATE; DriverError. */
  async pause(): Promise<JobRecord> {
    return this.#act(run => run.pause())
  }

  /** Also goes on with an interrupted print. @throws CoreError PRINTER_IDLE, JOB_STATE; DriverError. */
  async resume(): Promise<JobRecord> {
    const interrupted = this.#run ? undefined : this.#interrupted
    return interrupted ? this.#continue(interrupted) : this.#act(run => run.resume())
  }

  /** As `pause`, but resolves at once; whether the machine stands is told by the job's phase, state and events. */
  async requestPause(reason?: string): Promise<JobRecord> {
    return this.#request(run => run.pause(reason), 'job.pause_failed')
  }

  /** As `resume`, but a paused print may still be heating up when it resolves. */
  async requestResume(): Promise<JobRecord> {
    if (!this.#run && this.#interrupted) return this.resume()
    return this.#request(run => run.resume(), 'job.resume_failed')
  }

  /** Ends the running or interrupted print (or takes a ready job out of the queue) and resolves once that is recorded. */
  async cancel(named: string | undefined): Promise<JobRecord> {
    const { journal, onEnded } = this.#options
    const run = this.#run
    const id = named ?? (run ? undefined : this.#interrupted?.id)
    if (run && (id === undefined || id === run.job)) {
      run.end(new CoreError('JOB_CANCELLED', 'cancelled by a person'))
      await this.#running
      return journal.job(run.job)
    }
    if (id === undefined) throw new CoreError('PRINTER_IDLE', 'no print is running')
    const entry = {
      type: 'job.cancelled',
      job: id,
      code: 'JOB_CANCELLED',
      message: 'cancelled by a person while it was not being printed',
    } as const
    const reason = { code: entry.code, message: entry.message }
    const job = journal.advance(id, 'cancelled', entry, { reason })
    onEnded(id)
    return job
  }

  /** Ends whatever runs, safely: a print with `reason`, an idle machine by switching its heaters off. */
  async abandon(reason: CoreError): Promise<void> {
    const run = this.#run
    if (!run) return this.#options.machine.switchHeatersOff()
    run.end(reason)
    await this.#running
  }

  /** The strongest stop there is, for a reason that is not a person's. Without a controller there is nothing left to do. */
  async forceStop(reason: CoreError): Promise<void> {
    const { machine } = this.#options
    // The reason first, or the halt that follows would be taken for it; the bytes go out in the same turn.
    this.#run?.end(reason)
    const stopping = machine.canStop ? machine.emergencyStop() : undefined
    await stopping
    await this.#running
  }

  /** Emergency stop: bytes first, records after. Works without a running print too. @throws CoreError PRINTER_OFFLINE. */
  async stop(): Promise<JobRecord | undefined> {
    const { journal, machine } = this.#options
    const run = this.#run
    if (machine.canStop) run?.end(new CoreError('JOB_STOPPED', 'emergency stop'))
    const report = await machine.emergencyStop()
    journal.record({
      type: 'printer.stopped',
      job: run?.job,
      message: `emergency stop, ${report.outcome} after ${report.latencyMs} ms`,
      detail: { ...report },
    })
    await this.#running
    return run && journal.job(run.job)
  }

  /** Ends a running print safely and lets no other start. Resolves when the machine is safe. */
  async close(): Promise<void> {
    const reason = new CoreError('JOB_INTERRUPTED', 'the core was ended')
    this.#closing.abort(reason)
    this.#run?.end(reason)
    await this.#running
  }

  get #interrupted(): JobRecord | undefined {
    return this.#options.journal.jobs(['interrupted'])[0]
  }

  /** @throws CoreError PRINTER_BUSY, PRINTER_LOCKED; the reason of the end of the core. */
  #expectFree(): void {
    if (this.isBusy) throw new CoreError('PRINTER_BUSY', 'a print is running')
    this.#expectAllowed()
  }

  #expectAllowed(): void {
    this.#closing.signal.throwIfAborted()
    this.#options.expectStartAllowed?.()
  }

  #expectConnected(controller: PrinterControllers): void {
    this.#closing.signal.throwIfAborted()
    const { machine } = this.#options
    if (!machine.isConnected || machine.controller !== controller)
      throw new CoreError('PRINTER_OFFLINE', 'the controller went away before the print began')
  }

  /** Opens the job's file and lets `body` record the start; the run that it names is then launched with the open file. */
  async #open(
    id: string,
    body: (opened: OpenedJob) => Promise<{ readonly started: JobRecord; readonly run: Run }>,
  ): Promise<JobRecord> {
    this.#isStarting = true
    try {
      const opened = await openAgain(id, this.#options)
      await using stack = new AsyncDisposableStack()
      stack.use(opened)
      const { started, run } = await body(opened)
      this.#launch(run, stack.move())
      return started
    } finally {
      this.#isStarting = false
      this.#options.onChange()
    }
  }

  #launch(run: Run, lifetime: AsyncDisposableStack): void {
    this.#run = run
    this.#running = this.#finish(run, lifetime)
    this.#options.keep(this.#running)
  }

  async #finish(run: Run, lifetime: AsyncDisposableStack): Promise<void> {
    await using _ = lifetime
    try {
      await run.run()
    } finally {
      // A rehearsal ends into its print.
      if (this.#run === run) this.#run = undefined
      if (isFinal(this.#options.journal.job(run.job).state)) this.#options.onEnded(run.job)
      this.#options.onChange()
    }
  }

  #request(
    verb: (run: Run) => Promise<void>,
    failure: 'job.pause_failed' | 'job.resume_failed',
  ): JobRecord {
    const { journal, keep, onChange } = this.#options
    const run = this.#run
    if (!run) throw new CoreError('PRINTER_IDLE', 'no print is running')
    const tellFailure = (error: unknown) => {
      if (run.isEnding) return // its end says why
      const { code, message } = endReasonOf(error)
      journal.record({ type: failure, job: run.job, code, message })
    }
    keep(verb(run).catch(tellFailure).finally(onChange))
    onChange()
    return journal.job(run.job)
  }

  async #act(verb: (run: Run) => Promise<void>): Promise<JobRecord> {
    const run = this.#run
    if (!run) throw new CoreError('PRINTER_IDLE', 'no print is running')
    await verb(run)
    this.#options.onChange()
    return this.#options.journal.job(run.job)
  }
}

type Run = PrintRun | Rehearsal
