/** A place for something that comes and goes, and that can be waited for. */

import { unlessAborted } from './unless-aborted.ts'

export class Slot<T> {
  #value: T | undefined
  #arrival = Promise.withResolvers<T>()

  get value(): T | undefined {
    return this.#value
  }

  put(value: T): void {
    this.#value = value
    this.#arrival.resolve(value)
  }

  /** Emptying what is empty changes nothing: whoever waits goes on waiting for the same arrival. */
  clear(): void {
    if (this.#value === undefined) return
    this.#value = undefined
    this.#arrival = Promise.withResolvers()
  }

  /** What is there, as soon as something is. Rejects with `signal.reason`. */
  async when(signal: AbortSignal): Promise<T> {
    return unlessAborted(this.#arrival.promise, signal)
  }
}
