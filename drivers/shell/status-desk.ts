/** Who waits for the next status report of a controller that gives one beside its queue. */
import type { Reply } from '../reply.ts'

export type StatusReply = Extract<Reply, { kind: 'status' }>

/** Every waiter gets the next report, or the failure. */
export class StatusDesk {
  readonly #waiters: PromiseWithResolvers<StatusReply>[] = []

  wait(): Promise<StatusReply> {
    const waiter = Promise.withResolvers<StatusReply>()
    this.#waiters.push(waiter)
    return waiter.promise
  }

  answer(status: StatusReply): void {
    for (const waiter of this.#waiters.splice(0)) waiter.resolve(status)
  }

  fail(error: unknown): void {
    for (const waiter of this.#waiters.splice(0)) waiter.reject(error)
  }
}
