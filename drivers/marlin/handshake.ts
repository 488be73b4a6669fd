/** The greeting of a Marlin: wait out its boot, set the line counter to zero. */
import type { Clock } from '#lib/clock.ts'
import { DriverError } from '../errors.ts'
import type { SerialLink } from '../serial-link.ts'
import { RESET_NUMBERING } from './codec.ts'
import { parseReply } from './replies.ts'
import type { MarlinTuning } from './tuning.ts'

export interface HandshakeOptions {
  readonly clock: Clock
  readonly tuning: MarlinTuning
  readonly link: SerialLink
  readonly signal: AbortSignal
}

/** Listens while the greeting goes on; `onLine` is fed by whoever owns the link. */
export interface Greeting {
  onLine(line: string): void
  onLost(error: DriverError): void
  /**
   * Resolves once the controller has acknowledged `M110 N0`.
   * @throws DriverError `DRIVER_SILENT` when not a byte came, `DRIVER_NOT_RECOGNISED` when none of them made sense, `DRIVER_PORT_LOST`;
   * `signal.reason`.
   */
  run(options: HandshakeOptions): Promise<void>
}

type Heard = 'nothing' | 'ok' | 'start'

/** A greeting, not begun. */
export function createGreeting(): Greeting {
  let heard: Heard = 'nothing'
  let isAnyHeard = false
  let lost: DriverError | undefined
  let wake = new AbortController()
  const hear = (what: Heard): void => {
    heard = what
    wake.abort()
  }
  // Waits until something meaningful is heard, at most `ms`.
  const listen = async (ms: number, { clock, signal }: HandshakeOptions): Promise<Heard> => {
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
  return {
    onLine: line => {
      isAnyHeard = true
      const reply = parseReply(line)
      if (reply.kind === 'start') hear('start')
      else if (reply.kind === 'ok') hear('ok')
    },
    onLost: error => {
      lost = error
      wake.abort()
    },
    run: async options => {
      const { link, tuning } = options
      await listen(tuning.greetingMs, options)
      for (let attempt = 0; attempt < tuning.handshakeAttempts; attempt++) {
        // The line feed ends whatever half line the port's last user left.
        link.write(`\n${RESET_NUMBERING}`)
        if ((await listen(tuning.handshakeRetryMs, options)) === 'ok') return
      }
      throw isAnyHeard
        ? new DriverError(
            'DRIVER_NOT_RECOGNISED',
            `${link.path}: no answer to M110 that makes sense`,
          )
        : new DriverError(
            'DRIVER_SILENT',
            `${link.path}: no byte in ${tuning.handshakeAttempts} tries`,
          )
    },
  }
}
