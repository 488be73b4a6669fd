/** A controller of any dialect: opens, identifies, streams, watches, survives a lost cable, stops. */
import type { Clock } from '#lib/clock.ts'
import type {
  AuditVerdict,
  ControllerEvent,
  ControllerIdentity,
  FlightEntry,
  LineSource,
  MotionController,
  Position,
  StopOutcome,
  StreamOptions,
  StreamReport,
  StreamStatistics,
  Temperatures,
} from '../controller.ts'
import type { Dialect } from '../dialect.ts'
import { DriverError } from '../errors.ts'
import { comparePositions } from '../position-audit.ts'
import type { Tuning } from '../tuning.ts'
import { inCheckMode } from './check-mode.ts'
import { Conversation } from './conversation.ts'
import { Feed } from './feed.ts'
import { FirstWords } from './first-words.ts'
import { createGreeting, type Greeting } from './greeting.ts'
import { identify, readPosition } from './identify.ts'
import { Line } from './line.ts'
import { startPolling } from './poll.ts'
import { reattach } from './reattach.ts'
import { startWatch } from './watch.ts'

export interface DriverOptions {
  readonly dialect: Dialect
  /** Device path; by-id or by-path, so that it names the same board after a re-enumeration. */
  readonly port: string
  readonly baud: number
  /** How long a lost port is looked for while a program is streamed; 0 = the print ends at once. */
  readonly reattachWithinMs: number
  readonly isCompact: boolean
  readonly clock: Clock
  /** Abort gives up opening; it has no effect on an open controller. */
  readonly signal: AbortSignal
  readonly onEvent: (event: ControllerEvent) => void
  readonly tuning?: Partial<Tuning>
}

/**
 * Opens a controller: port, greeting, numbering, identity, temperature reports.
 * @throws DriverError `DRIVER_PORT_OPEN`, `DRIVER_PORT_LOST`, `DRIVER_SILENT`, `DRIVER_PAUSED_FOR_USER`, `DRIVER_NOT_RECOGNISED`,
 * `DRIVER_RESET`, `DRIVER_HALTED`; `signal.reason`.
 */
export async function openDriver(options: DriverOptions): Promise<MotionController> {
  const controller = new Driver(options)
  try {
    await controller.open()
    return controller
  } catch (error) {
    await controller[Symbol.asyncDispose]()
    throw error
  }
}

class Driver implements MotionController {
  readonly #options: DriverOptions
  readonly #dialect: Dialect
  readonly #tuning: Tuning
  readonly #greeting: Greeting
  readonly #closing = new AbortController()
  readonly #line: Line
  readonly #words: FirstWords
  #conversation: Conversation | undefined
  #feed: Feed | undefined
  #onStopped: (outcome: 'halted' | 'lost') => void = () => undefined
  identity: ControllerIdentity

  constructor(options: DriverOptions) {
    const { dialect, port, baud, clock, tuning, isCompact } = options
    this.#options = options
    this.#dialect = dialect
    this.#tuning = Object.freeze({ ...dialect.tuning, ...tuning })
    this.#greeting = createGreeting(dialect)
    const wanted = [dialect.name]
    this.#words = new FirstWords({ path: port, wanted, clock, tuning: this.#tuning })
    this.identity = {
      dialect: dialect.name,
      firmware: '',
      machine: '',
      uuid: undefined,
      capabilities: {},
    }
    this.#line = new Line({
      ...{ path: port, baud, clock, mayPack: isCompact && dialect.hasMeatPack === true },
      onEvent: event => this.#publish(event),
    })
  }

  get temperatures(): Temperatures {
    return this.#conversation?.temperatures ?? {}
  }

  get statistics(): StreamStatistics {
    const conversation = this.#talk()
    const { linesSent, savedBytes } = conversation.outbox
    const saved = savedBytes + this.#line.savedBytes
    return this.#line.health.statistics(conversation.window, { linesSent, savedBytes: saved })
  }

  async open(): Promise<void> {
    const { clock, signal } = this.#options
    signal.throwIfAborted()
    const [dialect, tuning, words] = [this.#dialect, this.#tuning, this.#words]
    const link = await this.#line.open({
      onLine: line => this.#onLine(line),
      onBatch: readAtMs => this.#conversation?.onBatch(readAtMs),
      onDrain: () => this.#conversation?.onDrain(),
      onLost: cause => this.#onLost(cause),
    })
    await this.#greeting.run({ clock, tuning, dialect, link, words, signal })
    const onEvent = (event: ControllerEvent): void => this.#publish(event)
    const { health } = this.#line
    const conversation = new Conversation({
      ...{ clock, tuning, dialect, link, health, onEvent },
      isCompact: this.#options.isCompact,
    })
    this.#conversation = conversation
    startWatch({
      clock,
      tuning,
      conversation,
      checkPresence: () => this.#line.checkPresence(),
      lastByteMs: () => this.#line.lastByteMs,
      signal: this.#closing.signal,
    })
    const { hasResetLine } = link
    const identity = await words.answerTo(
      limited => identify(conversation, dialect, tuning, limited),
      link,
      signal,
    )
    this.identity = { ...identity, hasResetLine }
    const { capabilities } = this.identity
    health.hasHostActions = capabilities.HOST_ACTION_COMMANDS !== false
    conversation.isEmergencyParsed =
      capabilities.EMERGENCY_PARSER === true || dialect.codec.isEmergencyBare
    if (capabilities.MEATPACK === true) await this.#line.startPacking(signal)
    conversation.isReporting = capabilities.AUTOREPORT_TEMP === true
    if (conversation.isReporting) await conversation.command(`M155 S${tuning.autoreportS}`, signal)
    else startPolling({ clock, tuning, conversation, dialect, signal: this.#closing.signal })
  }

  async stream(source: LineSource, { signal }: StreamOptions): Promise<StreamReport> {
    const conversation = this.#talk()
    if (conversation.failure) throw conversation.failure
    if (this.#feed) throw new DriverError('DRIVER_BUSY', 'a program is being streamed')
    signal.throwIfAborted()
    const feed = new Feed(source, () => conversation.pumpSoon())
    const abort = (): void => feed.stop(signal.reason)
    signal.addEventListener('abort', abort, { once: true })
    this.#feed = feed
    try {
      // The count of acknowledgements is proved before the first line and after the last.
      await conversation.prove(signal)
      this.#line.health.streaming(true)
      conversation.feed(feed)
      await feed.finished
      this.#line.health.streaming(false)
      await conversation.command(this.#dialect.drain, signal)
      const position = await this.#position(signal)
      await conversation.prove(signal)
      return { lastLine: feed.lastExecuted, lines: feed.executedLines, position }
    } finally {
      signal.removeEventListener('abort', abort)
      this.#line.health.streaming(false)
      this.#feed = undefined
      conversation.feed(undefined)
    }
  }

  rehearse(
    script: readonly string[],
    source: LineSource,
    options: StreamOptions,
  ): Promise<StreamReport> {
    const conversation = this.#talk()
    return inCheckMode(conversation, this.#dialect, options.signal, async () => {
      for (const text of script) await conversation.command(text, options.signal)
      return this.stream(source, options)
    })
  }

  hold(): void {
    this.#feed?.hold()
  }

  release(): void {
    this.#feed?.release()
    this.#conversation?.pumpSoon()
  }

  command(
    text: string,
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<readonly string[]> {
    return this.#talk().command(text, options.signal)
  }

  async audit(expected: Partial<Position>, toleranceMm?: number): Promise<AuditVerdict> {
    const reported = await this.#position()
    return comparePositions(expected, reported, toleranceMm)
  }

  #position(signal?: AbortSignal): Promise<Position | undefined> {
    const { clock } = this.#options
    const [dialect, tuning] = [this.#dialect, this.#tuning]
    return readPosition(this.#talk(), { dialect, tuning, clock, ...(signal && { signal }) })
  }

  flightRecord(): readonly FlightEntry[] {
    return this.#line.recorder.entries()
  }

  async emergencyStop(): Promise<StopOutcome> {
    const conversation = this.#conversation
    if (!conversation || this.#closing.signal.aborted) return 'unconfirmed'
    const isAlreadyHalted = conversation.failure?.code === 'DRIVER_HALTED'
    const stopped = new Promise<'halted' | 'lost'>(resolve => {
      this.#onStopped = resolve
    })
    this.#line.write(this.#dialect.stop.bytes(conversation.window.next))
    conversation.fail(new DriverError('DRIVER_HALTED', 'emergency stop'))
    const verified = this.#options.clock.sleep(this.#tuning.stopVerifyMs, this.#closing.signal)
    // Ended by the close where nobody waits for it any more.
    verified.catch(() => undefined)
    const told = isAlreadyHalted
      ? 'halted'
      : await Promise.race([stopped, verified.then(() => 'silent' as const)])
    // Last resort of a board that did not answer, be its queue full or its receiver dead: the reset line.
    const isReset =
      told === 'silent' && this.identity.hasResetLine === true && (await this.#line.pulseReset())
    if (told === 'halted') return 'halted'
    return isReset ? 'reset' : 'unconfirmed'
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new DOMException('controller closed', 'AbortError'))
    this.#conversation?.fail(new DriverError('DRIVER_PORT_LOST', 'controller closed'))
    await this.#line[Symbol.asyncDispose]()
  }

  #talk(): Conversation {
    if (!this.#conversation) throw new DriverError('DRIVER_BUSY', 'controller is not open')
    return this.#conversation
  }

  #onLine(line: string): void {
    if (this.identity.firmware === '') this.#words.hear(line)
    const conversation = this.#conversation
    if (!conversation) this.#greeting.onLine(line)
    else if (conversation.failure === undefined) conversation.onLine(line)
    if (this.#dialect.stop.isHalted(line)) this.#onStopped('halted')
  }

  #onLost(cause: unknown): void {
    const { port, reattachWithinMs } = this.#options
    const error = new DriverError('DRIVER_PORT_LOST', `${port}: port closed`, { cause })
    this.#greeting.onLost(error)
    this.#onStopped('lost')
    const conversation = this.#conversation
    if (!conversation || conversation.failure) return
    const isWorthIt = this.#feed !== undefined && reattachWithinMs > 0
    if (!isWorthIt || this.#dialect.reattach(conversation.window.next) === undefined)
      return conversation.fail(error)
    this.#reattach(conversation, error)
  }

  #reattach(conversation: Conversation, error: DriverError): void {
    conversation.detach()
    this.#publish({ kind: 'detached', error })
    reattach({
      clock: this.#options.clock,
      tuning: this.#tuning,
      dialect: this.#dialect,
      window: conversation.window,
      line: this.#line,
      lost: error,
      withinMs: this.#options.reattachWithinMs,
      lastExecuted: conversation.outbox.lastExecuted,
      signal: this.#closing.signal,
      onBack: (link, from) => {
        this.#line.health.reattachments++
        conversation.attach(link, from)
        this.#publish({ kind: 'reattached', from: from ?? conversation.window.received + 1 })
      },
    }).catch((reason: unknown) => {
      conversation.fail(reason instanceof DriverError ? reason : error)
    })
  }

  #publish(event: ControllerEvent): void {
    // Closing is asked for, so nothing is lost by it.
    if (event.kind === 'lost' && this.#closing.signal.aborted) return
    this.#options.onEvent(event)
  }
}
