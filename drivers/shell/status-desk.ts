/** Status reports of a controller that gives them beside its queue: who asks, who waits, and which state they must name. */
import type { Clock } from '#lib/clock.ts'
import type { Dialect } from '../dialect.ts'
import { DriverError } from '../errors.ts'
import type { Reply } from '../reply.ts'
import type { Tuning } from '../tuning.ts'
import type { SendWindow } from '../window/send-window.ts'

export type StatusReply = Extract<Reply, { kind: 'status' }>

export interface StatusDeskOptions {
  readonly clock: Clock
  readonly tuning: Pick<Tuning, 'statusLostMs'>
  readonly dialect: Pick<Dialect, 'probe' | 'checkMode'>
  readonly window: SendWindow<unknown>
  /** True while nothing may be written. */
  readonly isDumb: () => boolean
  readonly write: (bytes: string) => void
}

/** A damaged letter makes no other state of one. */
const STATES = /^(?:Idle|Run|Hold|Jog|Alarm|Door|Check|Home|Sleep|Tool)(?![a-z])/

/** Every waiter gets the next report, or the failure. */
export class StatusDesk {
  readonly #options: StatusDeskOptions
  readonly #waiters: PromiseWithResolvers<StatusReply>[] = []
  #askedMs = 0
  #failure: Error | undefined
  /** In check mode: any other state means that it was left unasked, and that lines are carried out. */
  isChecking = false

  constructor(options: StatusDeskOptions) {
    this.#options = options
  }

  /** Writes the status question of dialects that have one. */
  ask(): void {
    const { clock, dialect, tuning, window, write, isDumb } = this.#options
    if (dialect.probe.kind !== 'bytes' || isDumb()) return
    const nowMs = clock.nowMs()
    // One question at a time: a late answer, taken for that of a later one, would prove lines that are still on their way.
    const isAwaited = window.statusAskedAt !== undefined
    if (isAwaited && nowMs - this.#askedMs < tuning.statusLostMs) return
    this.#askedMs = nowMs
    window.statusAskedAt ??= window.cursor - 1
    write(dialect.probe.bytes)
  }

  /** The next report, asked for. */
  next(): Promise<StatusReply> {
    const waiter = Promise.withResolvers<StatusReply>()
    this.#waiters.push(waiter)
    if (this.#failure === undefined) this.ask()
    else this.fail(this.#failure)
    return waiter.promise
  }

  answer(status: StatusReply): void {
    for (const waiter of this.#waiters.splice(0)) waiter.resolve(status)
  }

  /** A soft limit halts the firmware; where nothing moves, a line is refused by it. */
  reread(reply: Reply): Reply {
    const { checkMode } = this.#options.dialect
    if (!this.isChecking || reply.kind !== 'fatal') return reply
    const { text } = reply
    return checkMode?.isRefusal(text) ? { kind: 'refused', text, isAcknowledgement: true } : reply
  }

  /** The fault that a report is while the controller should only check. */
  faultOf(reply: Reply): DriverError | undefined {
    if (!this.isChecking || reply.kind !== 'status') return undefined
    const [state] = STATES.exec(reply.state) ?? []
    if (state === undefined || state === this.#options.dialect.checkMode?.state) return undefined
    return new DriverError('DRIVER_RESET', `controller left its check mode: it is in ${state}`)
  }

  fail(error: Error): void {
    this.#failure = error
    for (const waiter of this.#waiters.splice(0)) waiter.reject(error)
  }
}
