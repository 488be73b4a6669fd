/** A Marlin 2 as a Controller: opens, identifies, streams, watches, stops. */
import type { Clock } from '#lib/clock.ts'
import type {
  Controller,
  ControllerEvent,
  ControllerIdentity,
  LineSource,
  LinkStatistics,
  StreamOptions,
  StreamReport,
  Temperatures,
} from '../controller.ts'
import { DriverError } from '../errors.ts'
import { openSerialLink, type SerialLink } from '../serial-link.ts'
import { EMERGENCY_BYTES } from './codec.ts'
import { Conversation } from './conversation.ts'
import { Feed } from './feed.ts'
import { createGreeting, type Greeting } from './handshake.ts'
import { identify, readPosition } from './identity.ts'
import { defaultTuning, type MarlinTuning } from './tuning.ts'
import { startWatch } from './watch.ts'

export interface MarlinOptions {
  /** Device path; by-id or by-path, so that it names the same board after a re-enumeration. */
  readonly port: string
  readonly baud: number
  readonly clock: Clock
  /** Abort gives up opening; it has no effect on an open controller. */
  readonly signal: AbortSignal
  readonly onEvent: (event: ControllerEvent) => void
  readonly tuning?: Partial<MarlinTuning>
}

/**
 * Opens a Marlin 2 controller: port, greeting, numbering, identity, temperature reports.
 * @throws DriverError `DRIVER_PORT_OPEN`, `DRIVER_PORT_LOST`, `DRIVER_SILENT`, `DRIVER_NOT_RECOGNISED`, `DRIVER_RESET`, `DRIVER_HALTED`;
 * `signal.reason`.
 */
export async function openMarlin(options: MarlinOptions): Promise<Controller> {
  const tuning: MarlinTuning = Object.freeze({ ...defaultTuning, ...options.tuning })
  const controller = new MarlinController(options, tuning)
  try {
    await controller.open()
    return controller
  } catch (error) {
    await controller[Symbol.asyncDispose]()
    throw error
  }
}

const UNIDENTIFIED: ControllerIdentity = {
  dialect: 'marlin',
  firmware: '',
  machine: '',
  uuid: undefined,
  capabilities: {},
}

class MarlinController implements Controller {
  readonly #options: MarlinOptions
  readonly #tuning: MarlinTuning
  readonly #clock: Clock
  readonly #greeting: Greeting = createGreeting()
  readonly #closing = new AbortController()
  #link: SerialLink | undefined
  #conversation: Conversation | undefined
  #feed: Feed | undefined
  #bytesReceived = 0
  #lastByteMs = 0
  #onHalted: () => void = () => undefined
  identity: ControllerIdentity = UNIDENTIFIED

  constructor(options: MarlinOptions, tuning: MarlinTuning) {
    this.#options = options
    this.#tuning = tuning
    this.#clock = options.clock
  }

  get temperatures(): Temperatures {
    return this.#conversation?.temperatures ?? {}
  }

  get statistics(): LinkStatistics {
    return this.#talk().statistics(this.#bytesReceived)
  }

  async open(): Promise<void> {
    const { port, baud, signal } = this.#options
    signal.throwIfAborted()
    const clock = this.#clock
    const tuning = this.#tuning
    const link = await openSerialLink(port, baud, {
      onLine: line => this.#onLine(line),
      onBytes: count => {
        this.#bytesReceived += count
        this.#lastByteMs = clock.nowMs()
      },
      onDrain: () => this.#conversation?.onDrain(),
      onLost: cause => this.#onLost(cause),
    })
    this.#link = link
    await this.#greeting.run({ clock, tuning, link, signal })
    const onEvent = (event: ControllerEvent): void => this.#publish(event)
    const conversation = new Conversation({ clock, tuning, link, onEvent })
    this.#conversation = conversation
    this.#watch(conversation, link)
    this.identity = await identify(conversation, tuning, signal)
    if (this.identity.capabilities.EMERGENCY_PARSER === true) conversation.useEmergencyParser()
    if (this.identity.capabilities.AUTOREPORT_TEMP === true)
      await conversation.command(`M155 S${tuning.autoreportS}`, signal)
    else this.#poll(conversation)
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
      conversation.feed(feed)
      await feed.finished
      await conversation.command('M400', signal)
      const position = await readPosition(conversation, this.#tuning, signal)
      await conversation.prove(signal)
      return { lastLine: feed.lastExecuted, lines: feed.executedLines, position }
    } finally {
      signal.removeEventListener('abort', abort)
      this.#feed = undefined
      conversation.feed(undefined)
    }
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

  async emergencyStop(): Promise<void> {
    const link = this.#link
    const conversation = this.#conversation
    if (!link || !conversation || this.#closing.signal.aborted) return
    const isAlreadyHalted = conversation.failure?.code === 'DRIVER_HALTED'
    const halted = new Promise<'halted'>(resolve => {
      this.#onHalted = () => resolve('halted')
    })
    link.write(`${EMERGENCY_BYTES}${conversation.emergencyFrame()}`)
    conversation.fail(new DriverError('DRIVER_HALTED', 'emergency stop'))
    const verified = this.#clock.sleep(this.#tuning.stopVerifyMs, this.#closing.signal)
    const outcome = isAlreadyHalted
      ? 'halted'
      : await Promise.race([halted, verified.then(() => 'unverified' as const)])
    // Last resort of a board that did not answer, be its queue full or its receiver dead: the reset line.
    if (outcome === 'unverified') await link.pulseReset()
    await this[Symbol.asyncDispose]()
    verified.catch(() => undefined)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new DOMException('controller closed', 'AbortError'))
    this.#conversation?.fail(new DriverError('DRIVER_PORT_LOST', 'controller closed'))
    await this.#link?.close()
  }

  #talk(): Conversation {
    if (!this.#conversation) throw new DriverError('DRIVER_BUSY', 'controller is not open')
    return this.#conversation
  }

  #onLine(line: string): void {
    const conversation = this.#conversation
    if (!conversation) this.#greeting.onLine(line)
    else if (conversation.failure === undefined) conversation.onLine(line)
    if (line.includes('Printer halted')) this.#onHalted()
  }

  #onLost(cause: unknown): void {
    const error = new DriverError('DRIVER_PORT_LOST', `${this.#options.port}: port closed`, {
      cause,
    })
    this.#greeting.onLost(error)
    this.#conversation?.fail(error)
    this.#onHalted()
  }

  #publish(event: ControllerEvent): void {
    // Closing is asked for, so nothing is lost by it.
    if (event.kind === 'lost' && this.#closing.signal.aborted) return
    this.#options.onEvent(event)
  }

  #watch(conversation: Conversation, link: SerialLink): void {
    startWatch({
      clock: this.#clock,
      tuning: this.#tuning,
      conversation,
      link,
      lastByteMs: () => this.#lastByteMs,
      signal: this.#closing.signal,
    })
  }

  #poll(conversation: Conversation): void {
    const loop = async (): Promise<void> => {
      for (;;) {
        await conversation.command('M105', this.#closing.signal)
        await this.#clock.sleep(this.#tuning.pollMs, this.#closing.signal)
      }
    }
    // Ends with the conversation, whose failure is told as `lost`.
    loop().catch(() => undefined)
  }
}
