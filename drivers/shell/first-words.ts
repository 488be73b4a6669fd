/** What a controller says before it is known: how long it is worth waiting for more, and what is told of it where nobody understands it. */
import type { Clock } from '#lib/clock.ts'
import type { DialectName } from '../dialect.ts'
import { DriverError, type DriverErrorCode } from '../errors.ts'
import { parseFields } from '../marlin/replies.ts'
import type { SerialLink } from '../serial-link.ts'
import type { Tuning } from '../tuning.ts'
import { isOpenReply } from './flight-recorder.ts'

/** Lines kept: a boot says fewer, and whoever floods us gets no more. */
const MAX_LINES = 256
const PRINTABLE = /^[ -~]*[!-~][ -~]*$/
const BUSY = /^echo:busy: (.*)$/
const NAME = 'FIRMWARE_NAME:'
/** What a message tells. */
const TOLD_LINES = 3
const TOLD_CHARS = 60

/** What Marlin and Prusa say each two seconds while somebody has to answer on their own screen, the first-run wizard of an MK3 included. */
const PAUSED = /^paused for (?:user|input)/
/** How a question ends that was put to somebody else. */
const MISUNDERSTOOD: readonly DriverErrorCode[] = [
  'DRIVER_SILENT',
  'DRIVER_ACK_TIMEOUT',
  'DRIVER_PROTOCOL',
  'DRIVER_COMMAND_REFUSED',
  'DRIVER_HALTED',
]
/** What nearly every firmware answers by its name, or a grbl by its version; twice, because only then a name is believed. */
const NAME_QUESTION = '\nM115\nM115\n$I\n'
/** A halt in any firmware's words. What else begins with `Error:` is how another refuses a line (Repetier: `Error:expected line 58 got 1`). */
const HALT = /halt|kill|shutdown|emergency|alarm|runaway|temp|heat|not ready|^!!/i

/** The same, by words that nobody says of anything else: in front of whatever dialect they are believed. */
const HALTED = /Printer (?:halted|stopped)|kill\(\) called|to exit HALT state|^!!/i

export interface FirstWordsOptions {
  readonly path: string
  /** The dialects it could be. */
  readonly wanted: readonly DialectName[]
  readonly clock: Clock
  readonly tuning: Pick<Tuning, 'handshakeAttempts' | 'handshakeRetryMs' | 'bootMs'>
}

/** From the opening of the port. */
export class FirstWords {
  readonly #options: FirstWordsOptions
  readonly #times = new Map<string, number>()
  readonly #shapes = new Set<string>()
  readonly #endMs: number
  #newsMs: number
  #busyReason = ''
  /** Lines heard, repeated ones included. */
  count = 0

  constructor(options: FirstWordsOptions) {
    this.#options = options
    this.#newsMs = options.clock.nowMs()
    this.#endMs = this.#newsMs + options.tuning.bootMs
  }

  hear(line: string): void {
    const text = line.endsWith('\r') ? line.slice(0, -1) : line
    const times = this.#times.get(text) ?? 0
    const [oldest] = this.#times.keys()
    if (times === 0 && this.#times.size === MAX_LINES && oldest !== undefined)
      this.#times.delete(oldest)
    this.#times.set(text, times + 1)
    this.count++
    this.#busyReason = BUSY.exec(text)?.[1] ?? this.#busyReason
    if (this.#isNews(text)) this.#newsMs = this.#options.clock.nowMs()
  }

  /** Milliseconds left: the handshake's from the last news on, so that a boot may take its time, but no boot takes longer than its own. */
  get patienceMs(): number {
    const { clock, tuning } = this.#options
    const handshakeMs = tuning.handshakeAttempts * tuning.handshakeRetryMs
    return Math.min(this.#newsMs + handshakeMs, this.#endMs) - clock.nowMs()
  }

  /**
   * What `ask` resolves with, asked no longer than there is patience.
   * @throws DriverError as {@link refusal} tells; what else `ask` throws; `signal.reason`.
   */
  async answerTo<T>(
    ask: (signal: AbortSignal) => Promise<T | undefined>,
    link: Pick<SerialLink, 'write'>,
    signal: AbortSignal,
  ): Promise<T> {
    const ended = new AbortController()
    const limited = AbortSignal.any([signal, ended.signal])
    // Ends by its signal at the latest.
    this.#outlast(limited).then(
      () => ended.abort(new DriverError('DRIVER_ACK_TIMEOUT', 'no answer that is understood')),
      () => undefined,
    )
    let cause: DriverError | undefined
    try {
      const answer = await ask(limited)
      if (answer !== undefined) return answer
    } catch (error) {
      if (!(error instanceof DriverError && MISUNDERSTOOD.includes(error.code))) throw error
      cause = error
    } finally {
      ended.abort()
    }
    throw await this.refusal(link, signal, cause)
  }

  async #outlast(signal: AbortSignal): Promise<void> {
    for (let leftMs = this.patienceMs; leftMs > 0; leftMs = this.patienceMs)
      await this.#options.clock.sleep(leftMs, signal)
  }

  /** Figures make nothing new: what a foreign firmware answers to each try is the same but for them. */
  #isNews(text: string): boolean {
    const shape = text.replace(/\d+/g, '#')
    if (!PRINTABLE.test(text) || this.#shapes.has(shape) || this.#shapes.size === MAX_LINES)
      return BUSY.test(text)
    this.#shapes.add(shape)
    return true
  }

  forget(): void {
    this.#times.clear()
  }

  /** The different lines, in the order in which they were first said. */
  get lines(): readonly string[] {
    return [...this.#times.keys()]
  }

  /** What it calls itself, once it said so twice: a damaged letter makes another name of none. */
  get name(): string | undefined {
    for (const [text, times] of this.#times) {
      const at = text.indexOf(NAME)
      if (at < 0 || times < 2 || !PRINTABLE.test(text)) continue
      const { FIRMWARE_NAME = '', FIRMWARE_VERSION = '' } = parseFields(text.slice(at))
      return shortened(`${FIRMWARE_NAME.replace(/,$/, '')} ${FIRMWARE_VERSION}`.trim())
    }
    return undefined
  }

  /** Why it is given up, once it was asked for its name where it has not told it. @throws `signal.reason`. */
  async refusal(
    link: Pick<SerialLink, 'write'>,
    signal: AbortSignal,
    cause?: DriverError,
  ): Promise<DriverError> {
    const { clock, tuning } = this.#options
    const error = this.giveUp(cause)
    if (error.code !== 'DRIVER_NOT_RECOGNISED' || this.name !== undefined) return error
    link.write(NAME_QUESTION)
    await clock.sleep(tuning.handshakeRetryMs, signal)
    return this.giveUp(cause)
  }

  /** Why it is given up: it said nothing, waits for its user, or is of no dialect that was wanted; `cause` where that is a halt. */
  giveUp(cause?: DriverError): DriverError {
    if (cause?.code === 'DRIVER_HALTED' && HALT.test(cause.message)) return cause
    const { path, wanted } = this.#options
    if (this.count === 0)
      return new DriverError('DRIVER_SILENT', `${path}: no byte to any question`)
    if (PAUSED.test(this.#busyReason) && this.name === undefined)
      return new DriverError('DRIVER_PAUSED_FOR_USER', `${path} is ${this.#busyReason}`, { cause })
    const halt = this.#halt()
    if (halt !== undefined && this.name === undefined)
      return new DriverError('DRIVER_HALTED', redacted(halt), { cause })
    const what =
      wanted.length === 1
        ? `does not answer as ${wanted[0]} does`
        : `is none of ${wanted.join(', ')}`
    const message = `${this.#told()} and ${what} (${path})`
    return new DriverError('DRIVER_NOT_RECOGNISED', message, { cause })
  }

  /** Why it halted, where it said that it did: the first of what it calls an error. */
  #halt(): string | undefined {
    const halted = this.lines.find(line => HALTED.test(line))
    if (halted === undefined) return undefined
    return this.lines.find(line => /^(?:Error:|!!)/.test(line) && HALT.test(line)) ?? halted
  }

  #told(): string {
    if (this.name !== undefined) return `it calls itself "${this.name}"`
    const texts = this.lines.filter(text => PRINTABLE.test(text)).map(redacted)
    if (texts.length === 0) return `it says nothing readable in ${this.count} lines`
    const told = [...new Set(texts)].slice(-TOLD_LINES).map(text => `"${shortened(text)}"`)
    return `it says ${told.join(', ')} in ${this.count} lines`
  }
}

/** What a firmware did not understand of a print before ours is the print's: quoted text and figures are left out. */
function redacted(text: string): string {
  return isOpenReply(text) ? text : text.replace(/"[^"]*"?/g, '…').replace(/\d/g, '#')
}

function shortened(text: string): string {
  return text.length > TOLD_CHARS ? `${text.slice(0, TOLD_CHARS)}…` : text
}
