/** One rehearsal: the whole program through the controller's own check mode, before a use is charged and before anything heats or moves. */

import type { ControllerEvent, StreamReport } from '#drivers'
import type { JobProgress } from '#lib/control-protocol.ts'
import type { ProgramCommand } from '#mpf'
import { CoreError } from '../errors.ts'
import type { EndReason } from '../journal/job-record.ts'
import { ActiveTime } from './active-time.ts'
import { endReasonOf, isForeseen } from './end-reason.ts'
import { CheckedLineSource } from './line-source.ts'
import type { PrintRunOptions } from './print-run.ts'
import { type LayerMark, progressAt } from './progress.ts'

export interface RehearsalOptions
  extends Pick<
    PrintRunOptions,
    'job' | 'print' | 'machine' | 'controller' | 'scripts' | 'journal' | 'clock' | 'onChange'
  > {
  /** Checks everything again, charges the use and begins the print. Rejects with what kept it from that. */
  readonly begin: (signal: AbortSignal) => Promise<unknown>
}

/** What judges the program, or the file: that job will never be printed. Anything else leaves it ready. */
const REFUSALS: ReadonlySet<string> = new Set([
  'PRINTER_REFUSED_PROGRAM',
  'DRIVER_LINE_REFUSED',
  'MPF_CHANGED_MEDIA',
])

export class Rehearsal {
  readonly job: string
  readonly isPaused = false
  readonly #options: RehearsalOptions
  readonly #abort = new AbortController()
  readonly #active: ActiveTime
  readonly #layers: LayerMark[] = []
  #ackedLine = 0

  constructor(options: RehearsalOptions) {
    this.job = options.job
    this.#options = options
    this.#active = new ActiveTime(options.clock)
  }

  /** True once it was told to end. */
  get isEnding(): boolean {
    return this.#abort.signal.aborted
  }

  progress(): JobProgress {
    // The slicer's estimate is of the print.
    const extent = { ...this.#options.print.facts, estimatedS: undefined }
    const progress = progressAt(extent, this.#layers, this.#ackedLine, this.#active.ms)
    return { ...progress, phase: 'rehearsing' }
  }

  /** To its end, whatever that is, and then into the print. Rejects only when its end could not be recorded. */
  async run(): Promise<void> {
    const { begin, journal } = this.#options
    const { signal } = this.#abort
    try {
      const { lines, lastLine } = await this.#rehearse(signal)
      signal.throwIfAborted()
      journal.record({
        type: 'job.rehearsed',
        job: this.job,
        message: `${lines} commands taken, the last is line ${lastLine}`,
        detail: { lines, lastLine },
      })
      await begin(signal)
    } catch (error) {
      // An earlier reason stands.
      this.#abort.abort(error)
      this.#end(signal.reason)
    }
  }

  /** Ends it with `reason`; `run` resolves once the controller is out of its check mode and the end is recorded. */
  end(reason: CoreError): void {
    this.#abort.abort(reason)
  }

  /** @throws CoreError JOB_STATE: there is nothing to park. */
  pause(_reason?: string): never {
    throw new CoreError('JOB_STATE', 'a print that is rehearsing cannot be paused')
  }

  /** @throws CoreError JOB_STATE */
  resume(): never {
    throw new CoreError('JOB_STATE', 'a print that is rehearsing cannot be resumed')
  }

  async #rehearse(signal: AbortSignal): Promise<StreamReport> {
    const { machine, controller, print, scripts } = this.#options
    using _ = machine.onEvent(event => this.#take(event))
    await using source = new CheckedLineSource(print.blocks(signal), command => this.#note(command))
    await machine.prepare(signal)
    return await controller.rehearse(scripts.start, source, { signal })
  }

  #take(event: ControllerEvent): void {
    if (event.kind === 'acked') this.#ackedLine = Math.max(this.#ackedLine, event.line)
    this.#options.onChange()
  }

  #note({ line, layer }: ProgramCommand): void {
    if (layer !== this.#layers.at(-1)?.layer) this.#layers.push({ firstLine: line, layer })
  }

  #end(error: unknown): void {
    const { journal } = this.#options
    const reason = reasonOf(error)
    const { code, message, line } = reason
    const entry = { job: this.job, code, message, detail: { ...(line && { line }) } }
    if (journal.job(this.job).state !== 'ready') {
      // Opened anew for its print the file was refused, and that is recorded.
    } else if (code === 'JOB_CANCELLED')
      journal.advance(this.job, 'cancelled', { type: 'job.cancelled', ...entry }, { reason })
    else if (REFUSALS.has(code))
      journal.advance(this.job, 'refused', { type: 'job.rehearsal_failed', ...entry }, { reason })
    else journal.record({ type: 'job.rehearsal_failed', ...entry })
    // Recorded; what nobody foresaw ends the core as well.
    if (!isForeseen(error)) throw error
  }
}

/** A line that the controller does not take is the program's; a script is the printer's own. */
function reasonOf(error: unknown): EndReason {
  const reason = endReasonOf(error)
  const isProgram = reason.code === 'DRIVER_COMMAND_REFUSED' && reason.line !== undefined
  return isProgram ? { ...reason, code: 'PRINTER_REFUSED_PROGRAM' } : reason
}
