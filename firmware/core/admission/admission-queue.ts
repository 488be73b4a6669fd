/** Received jobs on their way through admission: one at a time, in order of arrival. */

import type { JobRecord } from '../journal/job-record.ts'
import { type AdmissionOptions, admitJob } from './admission.ts'

export interface AdmissionQueueOptions extends AdmissionOptions {
  /** Told of each decision; the queue waits for it. */
  readonly onDecided: (job: JobRecord) => Promise<void>
}

export class AdmissionQueue {
  readonly #options: AdmissionQueueOptions
  readonly #waiting: string[] = []
  #arrival = Promise.withResolvers<void>()

  constructor(options: AdmissionQueueOptions) {
    this.#options = options
  }

  /** Adds a job that is `received`. */
  push(id: string): void {
    this.#waiting.push(id)
    this.#arrival.resolve()
  }

  /** Decides about job after job until the signal aborts. Rejects only when a decision cannot be recorded. */
  async run(signal: AbortSignal): Promise<void> {
    signal.addEventListener('abort', () => this.#arrival.resolve(), { once: true })
    while (!signal.aborted) {
      const id = this.#waiting.shift()
      if (id === undefined) {
        await this.#arrival.promise
        this.#arrival = Promise.withResolvers()
        if (signal.aborted) return
        continue
      }
      const job = await admitJob(id, this.#options, signal)
      await this.#options.onDecided(job)
    }
  }
}
