/** After a lost cable: finds the port again, makes sure the controller did not restart, and learns what it received last. */
import type { Clock } from '#lib/clock.ts'
import type { Dialect } from '../dialect.ts'
import { DriverError } from '../errors.ts'
import type { Reply } from '../reply.ts'
import type { SerialLink } from '../serial-link.ts'
import type { Tuning } from '../tuning.ts'
import type { SendWindow } from '../window/send-window.ts'
import type { Line, LineListener } from './line.ts'

export interface ReattachOptions {
  readonly clock: Clock
  readonly tuning: Tuning
  readonly dialect: Dialect
  readonly window: SendWindow<unknown>
  readonly line: Pick<Line, 'open' | 'listen' | 'listener'>
  /** The loss that began it. */
  readonly lost: DriverError
  readonly withinMs: number
  /** The program line acknowledged last, for the message of a reset. */
  readonly lastExecuted: number
  readonly signal: AbortSignal
  /** The controller is back and has received every line before `from`; `undefined`: the ordinary probe will tell. The line's listener is the old one again. */
  readonly onBack: (link: SerialLink, from: number | undefined) => void
}

/** What the controller's first words say. */
type Answer =
  | { readonly kind: 'from'; readonly from: number | undefined }
  | { readonly kind: 'restarted' }
  | { readonly kind: 'none' }

/** Between two questions to a controller that has not answered. */
const ASK_AGAIN_MS = 400

/**
 * Resolves once `onBack` was called.
 * @throws DriverError `DRIVER_PORT_LOST` when the port does not come back in time, `DRIVER_RESET` when the controller restarted (its
 * `line` is the last one acknowledged), `DRIVER_SILENT` when it does not answer.
 */
export async function reattach(options: ReattachOptions): Promise<void> {
  const { clock, tuning, line, lost, withinMs, signal } = options
  const listener = line.listener
  if (!listener) throw lost
  const endMs = clock.nowMs() + withinMs
  while (clock.nowMs() < endMs) {
    await clock.sleep(tuning.reattachRetryMs, signal)
    const hearing = createHearing(options)
    const link = await line.open(hearing.listener).catch(() => undefined)
    if (!link) continue
    const answer = await ask(link, hearing, options)
    if (answer.kind === 'restarted') throw resetError(options)
    if (answer.kind === 'none') continue
    line.listen(listener)
    options.onBack(link, answer.from)
    return
  }
  throw lost
}

function resetError({ window, lastExecuted }: ReattachOptions): DriverError {
  return new DriverError(
    'DRIVER_RESET',
    `controller restarted while the port was away, after numbered line ${window.acked}`,
    lastExecuted > 0 ? { line: lastExecuted } : {},
  )
}

interface Hearing {
  readonly listener: LineListener
  /** Resolves with the first answer, whole; with `none` when the port was lost again. */
  readonly answered: Promise<Answer>
}

async function ask(
  link: SerialLink,
  { answered }: Hearing,
  options: ReattachOptions,
): Promise<Answer> {
  const { clock, tuning, dialect, window, signal } = options
  const question = dialect.reattach(window.next)
  // The ordinary probe will tell; what matters here is only that nobody greets.
  const isBySilence = question === 'probe' || question === undefined
  const endMs = clock.nowMs() + tuning.reattachListenMs
  while (clock.nowMs() < endMs) {
    if (!isBySilence) link.write(question)
    const answer = await Promise.race([answered, clock.sleep(ASK_AGAIN_MS, signal)])
    if (answer) return answer
  }
  return isBySilence ? { kind: 'from', from: undefined } : { kind: 'none' }
}

function createHearing({ dialect, window }: ReattachOptions): Hearing {
  const { promise, resolve } = Promise.withResolvers<Answer>()
  let asked: Answer | undefined
  return {
    answered: promise,
    listener: {
      onLine: line => {
        // The line after a Resend is its bare ok, which acknowledges nothing: not for whoever listens next.
        if (asked) return resolve(asked)
        const answer = answerOf(dialect.parseReply(line), window)
        if (answer?.kind === 'from') asked = answer
        else if (answer) resolve(answer)
      },
      onBatch: () => undefined,
      onDrain: () => undefined,
      onLost: () => resolve({ kind: 'none' }),
    },
  }
}

function answerOf(reply: Reply, window: SendWindow<unknown>): Answer | undefined {
  if (reply.kind === 'start' || reply.kind === 'fatal') return { kind: 'restarted' }
  if (reply.kind !== 'resend') return undefined
  // A counter that stands before what was acknowledged began anew, whether or not its greeting was heard.
  const isSane = reply.from > window.acked && reply.from <= window.next
  return isSane ? { kind: 'from', from: reply.from } : { kind: 'restarted' }
}
