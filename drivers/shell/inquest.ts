/** A halt that tells no reason is asked for it before it ends the conversation. */
import type { Clock } from '#lib/clock.ts'
import { DriverError } from '../errors.ts'
import type { Reply } from '../reply.ts'
import { restartError } from './reports.ts'

/** So long it is given. Klipper answers within a few milliseconds. */
const REASON_MS = 500

export interface InquestOptions {
  readonly clock: Clock
  readonly write: (bytes: string) => void
  /** Ends the conversation; called once or more. */
  readonly end: (error: DriverError) => void
}

/** Of one conversation. */
export class Inquest {
  readonly #options: InquestOptions
  #isOpen = false

  constructor(options: InquestOptions) {
    this.#options = options
  }

  /** Takes the fault that `reply` is: ends with it, or asks first. */
  open(reply: Reply, fault: DriverError): void {
    const { clock, write, end } = this.#options
    const question = reply.kind === 'fatal' ? reply.question : undefined
    if (question === undefined) return end(fault)
    this.#isOpen = true
    write(question)
    void clock.sleep(REASON_MS).then(() => end(fault))
  }

  /** True once a reason is waited for: nothing acknowledges anything then, and what is refused is refused for that reason. */
  hears(reply: Reply): boolean {
    if (!this.#isOpen) return false
    const { end } = this.#options
    if (reply.kind === 'start') end(restartError('after it had halted', 0))
    else if (reply.kind === 'refused' || (reply.kind === 'fatal' && reply.question === undefined))
      end(new DriverError('DRIVER_HALTED', reply.text))
    return true
  }
}
