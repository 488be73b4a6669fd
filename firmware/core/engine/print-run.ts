/** One print, from the charged use to the drained report: streaming, pausing, and every way it can end. */

import type { ControllerEvent, Position, PrinterControllers } from '#drivers'
import type { Clock } from '#lib/clock.ts'
import type { JobProgress, PrintPhase } from '#lib/control-protocol.ts'
import type { ProgramCommand } from '#mpf'
import type { OpenedPrint } from '../admission/opened-print.ts'
import { CoreError } from '../errors.ts'
import type { Journal } from '../journal/journal.ts'
import { ActiveTime } from './active-time.ts'
import { Checkpoints } from './checkpoints.ts'
import { type Continuation, continuationCommands } from './continuation.ts'
import { wordsOf } from './dialect-words.ts'
import { endReasonOf, isForeseen, isInterruption } from './end-reason.ts'
import { CheckedLineSource } from './line-source.ts'
import { linkDetail } from './link-view.ts'
import type { Machine } from './machine.ts'
import { ModalTracker } from './modal-tracker.ts'
import { PositionWatch } from './position-watch.ts'
import { type LayerMark, progressAt } from './progress.ts'
import type { PrintScripts } from './scripts.ts'
import { waitFor } from './time-limit.ts'

export interface PrintRunOptions {
  readonly job: string
  readonly print: OpenedPrint
  readonly machine: Machine
  readonly controller: PrinterControllers
  readonly scripts: PrintScripts
  readonly onInterruption: 'fail' | 'ask'
  /** Set for a print that goes on after an interruption. */
  readonly continuation?: Continuation | undefined
  readonly journal: Journal
  readonly clock: Clock
  readonly onChange: () => void
}

export class PrintRun {
  readonly job: string
  readonly #options: PrintRunOptions
  readonly #abort = new AbortController()
  readonly #modal = new ModalTracker()
  readonly #place: PositionWatch
  readonly #checkpoints: Checkpoints
  readonly #active: ActiveTime
  readonly #layers: LayerMark[] = []
  /** The start script is over. */
  readonly #prepared = Promise.withResolvers<void>()
  /** From the call for a pause until the print goes on. */
  #pause: PromiseWithResolvers<void> | undefined
  #phase: PrintPhase = 'printing'
  #ackedLine = 0
  #position: Position | undefined

  constructor(options: PrintRunOptions) {
    this.job = options.job
    this.#options = options
    this.#place = new PositionWatch(expected => options.machine.audit(expected))
    this.#checkpoints = new Checkpoints(options.clock)
    this.#active = new ActiveTime(options.clock)
    this.#ackedLine = options.continuation?.line ?? 0
    if (options.continuation) this.#phase = 'resuming'
  }

  /** True once the print was told to end. */
  get isEnding(): boolean {
    return this.#abort.signal.aborted
  }

  get isPaused(): boolean {
    return this.#phase === 'paused'
  }

  progress(): JobProgress {
    const { facts } = this.#options.print
    const { feedMmPerMin = null, fanPercent = null } = this.#modal
    return {
      ...progressAt(facts, this.#layers, this.#ackedLine, this.#active.ms),
      ...{ feedMmPerMin, fanPercent, phase: this.#phase },
    }
  }

  /** Prints to the end, whatever the end is. Rejects only when the end could not be recorded. */
  async run(): Promise<void> {
    const { journal, machine, controller, print, scripts } = this.#options
    const { signal } = this.#abort
    using _ = machine.onEvent(event => this.#take(event))
    using _park = machine.parkOnLoss(scripts.abnormalEnd)
    await using source = new CheckedLineSource(
      print.blocks(signal),
      command => this.#noteHandedOver(command),
      async () => void (await this.#place.check()),
    )
    try {
      await this.#prepare(source, signal)
      this.#prepared.resolve()
      await this.#untilResumed()
      const report = await controller.stream(source, { signal })
      await this.#untilResumed()
      this.#phase = 'ending'
      this.#ackedLine = Math.max(this.#ackedLine, report.lastLine)
      const isEndCompared = (await this.#place.check()) === 'compared'
      await machine.finish(scripts.end, this.job, signal)
      journal.advance(
        this.job,
        'finished',
        {
          type: 'job.done',
          job: this.job,
          message: `${report.lines} commands executed, the last is line ${report.lastLine}${isEndCompared ? '' : '; where it stands could not be compared'}`,
          detail: {
            ...{ lines: report.lines, lastLine: report.lastLine },
            ...{ audits: this.#place.audits, isEndCompared },
            ...linkDetail(controller.statistics),
          },
        },
        { ackedLine: this.#ackedLine },
      )
    } catch (error) {
      // Whoever pauses or resumes it just now ends too. An earlier reason stands.
      this.#abort.abort(error)
      await this.#endAbnormally(signal.reason)
    }
  }

  /** A pause that was asked for before the first line is written, or after the last, is lived out there. */
  async #untilResumed(): Promise<void> {
    while (this.#pause) await waitFor(this.#pause.promise, this.#abort.signal)
  }

  /** The start script, or what brings the machine back to where the print was cut off. */
  async #prepare(source: CheckedLineSource, signal: AbortSignal): Promise<void> {
    const { machine, scripts, continuation, controller } = this.#options
    await machine.prepare(signal)
    if (continuation === undefined) return machine.run(scripts.start, signal)
    // Everything up to there is verified and checked once more before anything heats.
    await source.skipTo(continuation.line)
    const words = wordsOf(controller.identity)
    const commands = continuationCommands(continuation, this.#modal, scripts.recover, words)
    await machine.run(commands, signal)
    this.#phase = 'printing'
  }

  /** Ends the print with `reason`; `run` resolves once the machine is safe and the end is recorded. */
  end(reason: CoreError): void {
    this.#abort.abort(reason)
  }

  /** Holds the stream, waits until the machine stands, parks it. @throws CoreError JOB_STATE at once; DriverError. */
  pause(reason?: string): Promise<void> {
    this.#expectPhase('printing', 'paused')
    this.#phase = 'pausing'
    this.#pause = Promise.withResolvers()
    return this.#drainAndPark(reason)
  }

  async #drainAndPark(reason: string | undefined): Promise<void> {
    const { controller, journal, machine, scripts } = this.#options
    const { signal } = this.#abort
    this.#position = undefined
    controller.hold()
    try {
      await waitFor(this.#prepared.promise, signal)
      await machine.drain(signal)
      this.#position = await machine.position(signal)
      // Without it nobody could bring the head back: better to go on than to park for good.
      if (!this.#position) throw new CoreError('PRINTER_SCRIPT', 'no position was reported')
      await machine.run(scripts.pause, signal)
      signal.throwIfAborted()
    } catch (error) {
      if (!signal.aborted) this.#phase = 'printing'
      this.#release()
      throw error
    }
    this.#active.stop()
    this.#phase = 'paused'
    this.#keep(() =>
      journal.advance(
        this.job,
        'paused',
        {
          type: 'job.paused',
          job: this.job,
          message: `after line ${this.#ackedLine}${reason === undefined ? '' : `: ${reason}`}`,
        },
        { ackedLine: this.#ackedLine },
      ),
    )
  }

  #release(): void {
    this.#options.controller.release()
    this.#pause?.resolve()
    this.#pause = undefined
  }

  /** A print nobody can record any more does not go on. */
  #keep(write: () => unknown): void {
    try {
      write()
    } catch (error) {
      this.#abort.abort(error)
      throw error
    }
  }

  /** Puts heat, place and modes back, then lets the stream go on. @throws CoreError JOB_STATE at once; DriverError. */
  resume(): Promise<void> {
    this.#expectPhase('paused', 'resumed')
    this.#phase = 'resuming'
    return this.#restoreAndRelease()
  }

  async #restoreAndRelease(): Promise<void> {
    const { journal, machine, scripts } = this.#options
    const words = wordsOf(this.#options.controller.identity)
    const restore = this.#position ? this.#modal.restoreCommands(this.#position, words) : []
    try {
      await machine.run([...scripts.resume, ...restore], this.#abort.signal)
    } catch (error) {
      if (!this.#abort.signal.aborted) this.#phase = 'paused'
      throw error
    }
    this.#keep(() =>
      journal.advance(this.job, 'resumed', {
        type: 'job.resumed',
        job: this.job,
        message: `after line ${this.#ackedLine}`,
      }),
    )
    this.#active.start()
    this.#phase = 'printing'
    this.#release()
  }

  #expectPhase(phase: PrintPhase, wanted: string): void {
    if (this.#phase !== phase)
      throw new CoreError('JOB_STATE', `a print that is ${this.#phase} cannot be ${wanted}`)
  }

  #take(event: ControllerEvent): void {
    // A program that was executed is done, whatever becomes of the link afterwards.
    if (event.kind === 'lost' && this.#phase !== 'ending') this.#abort.abort(event.error)
    if (event.kind === 'acked') this.#acknowledge(event.line)
    this.#options.onChange()
  }

  #noteHandedOver({ line, text, layer }: ProgramCommand): void {
    this.#modal.note(text)
    this.#place.note(text)
    if (layer !== this.#layers.at(-1)?.layer) this.#layers.push({ firstLine: line, layer })
  }

  #acknowledge(line: number): void {
    this.#ackedLine = Math.max(this.#ackedLine, line)
    if (!this.#checkpoints.isDue()) return
    // Never awaited here: the driver's loop waits for no disk.
    void this.#options.journal
      .checkpoint(this.job, this.#ackedLine)
      .catch(error => this.#abort.abort(error))
  }

  #endOf(error: unknown): 'cancelled' | 'failed' | 'interrupted' {
    if (endReasonOf(error).code === 'JOB_CANCELLED') return 'cancelled'
    const isKept = this.#options.onInterruption === 'ask' && this.#ackedLine > 0
    return isKept && isInterruption(error) ? 'interrupted' : 'failed'
  }

  async #endAbnormally(error: unknown): Promise<void> {
    const { journal, machine, scripts } = this.#options
    this.#phase = 'ending'
    const { code, message, line } = endReasonOf(error)
    const isCancelled = code === 'JOB_CANCELLED'
    // After an emergency stop nothing more is sent: the board has halted, and its restart is cold.
    if (code !== 'JOB_STOPPED')
      await machine.safeStop(
        isCancelled ? scripts.cancel : scripts.abnormalEnd,
        this.job,
        !isCancelled && code !== 'JOB_INTERRUPTED', // an end in order is no fault
      )
    const event = this.#endOf(error)
    const entry = {
      type: `job.${event}`,
      job: this.job,
      code,
      message: `${message}; at least line ${this.#ackedLine} acknowledged`,
      detail: { ackedLine: this.#ackedLine, ...(line === undefined ? {} : { line }) },
    } as const
    const reason = { code, message: entry.message }
    journal.advance(this.job, event, entry, { reason, ackedLine: this.#ackedLine })
    // Recorded and safe; what nobody foresaw ends the core as well.
    if (!isForeseen(error)) throw error
  }
}
