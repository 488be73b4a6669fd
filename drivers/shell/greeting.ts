/** The greeting of a controller: wait out its boot, be understood, leave nothing behind that could be counted. */
import type { Clock } from '#lib/clock.ts'
import type { Dialect } from '../dialect.ts'
import { DriverError } from '../errors.ts'
import type { SerialLink } from '../serial-link.ts'
import type { Tuning } from '../tuning.ts'
import type { FirstWords } from './first-words.ts'

export interface GreetingOptions {
  readonly clock: Clock
  readonly tuning: Tuning
  readonly dialect: Pick<Dialect, 'parseReply' | 'opening'>
  readonly link: SerialLink
  readonly words: FirstWords
  readonly signal: AbortSignal
}

/** Listens while the greeting goes on; `onLine` is fed by whoever owns the link. */
export interface Greeting {
  onLine(line: string): void
  onLost(error: DriverError): void
  /**
   * Resolves once the controller has answered the dialect's opening.
   * @throws DriverError `DRIVER_SILENT` when not a byte came, `DRIVER_PAUSED_FOR_USER`, `DRIVER_NOT_RECOGNISED` when none of them made
   * sense, `DRIVER_HALTED`    * when it said so and answers no more, `DRIVER_PORT_LOST`; `signal.reason`.
   */
  run(options: GreetingOptions): Promise<void>
}

type Heard = 'nothing' | 'answer' | 'start'

/** A greeting, not begun. */
export function createGreeting({ parseReply, opening }: GreetingOptions['dialect']): Greeting {
  let heard: Heard = 'nothing'
  let lines = 0
  let lost: DriverError | undefined
  let halted: DriverError | undefined
  let wake = new AbortController()
  let link: SerialLink | undefined
  /** Its reset is asked for and not heard yet. */
  let isCuring = false
  const hear = (what: Heard): void => {
    heard = what
    wake.abort()
  }
  // Waits until something meaningful is heard, at most `ms`.
  const listen = async (ms: number, { clock, signal }: GreetingOptions): Promise<Heard> => {
    if (heard === 'nothing') {
      wake = new AbortController()
      await clock.sleep(ms, AbortSignal.any([signal, wake.signal])).catch(() => undefined)
    }
    signal.throwIfAborted()
    if (lost) throw lost
    const what = heard
    heard = 'nothing'
    return what
  }
  const fallQuiet = async ({ clock, tuning, signal }: GreetingOptions): Promise<void> => {
    // Who never falls quiet is talked to all the same.
    const endMs = clock.nowMs() + tuning.handshakeRetryMs
    for (let before = -1; before !== lines && clock.nowMs() < endMs; ) {
      before = lines
      await clock.sleep(tuning.quietMs, signal)
      if (lost) throw lost
    }
  }
  return {
    onLine: line => {
      lines++
      const reply = parseReply(line)
      const cure = opening.cure?.(reply)
      if (cure !== undefined) link?.write(cure)
      if (cure !== undefined || reply.kind === 'start' || reply.kind === 'status')
        isCuring = cure !== undefined
      if (reply.kind === 'fatal') halted = new DriverError('DRIVER_HALTED', reply.text)
      // Klipper says that it is not ready, and then in which of many words.
      else if (reply.kind === 'refused' && halted)
        halted = new DriverError('DRIVER_HALTED', `not ready: ${reply.text}`)
      if (opening.isAnswer(reply)) hear('answer')
      else if (reply.kind === 'start') hear('start')
    },
    onLost: error => {
      lost = error
      wake.abort()
    },
    run: async options => {
      const { tuning, words, signal } = options
      link = options.link
      await listen(tuning.greetingMs, options)
      while (words.patienceMs > 0) {
        link.write(opening.bytes)
        if ((await listen(tuning.handshakeRetryMs, options)) !== 'answer') continue
        if (opening.needsQuiet) await fallQuiet(options)
        if (!isCuring) return
      }
      throw await words.refusal(link, signal, halted)
    },
  }
}
