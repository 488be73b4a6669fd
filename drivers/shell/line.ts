/** One cable over its whole life: the port that is open now, what it carried, and what is remembered when it is opened again. */
import type { Clock } from '#lib/clock.ts'
import type { ControllerEvent } from '../controller.ts'
import { DriverError } from '../errors.ts'
import { openSerialLink, type SerialLink } from '../serial-link.ts'
import { FlightRecorder } from './flight-recorder.ts'
import { Health } from './health.ts'
import { Packing } from './packing.ts'

export interface LineOptions {
  readonly path: string
  readonly baud: number
  /** The dialect has packing and the configuration allows it. */
  readonly mayPack: boolean
  readonly clock: Clock
  readonly onEvent: (event: ControllerEvent) => void
}

/** What the cable tells; swapped while a lost port is looked for. */
export interface LineListener {
  onLine(line: string): void
  /** `readAtMs`: monotonic time at which the bytes of the batch began to be read. */
  onBatch(readAtMs: number): void
  onDrain(): void
  onLost(cause: unknown): void
}

/** Dispose closes the port, without resetting the board; the record stays readable. */
export class Line implements AsyncDisposable {
  readonly path: string
  readonly health: Health
  readonly recorder = new FlightRecorder()
  readonly #options: LineOptions
  readonly #packing: Packing | undefined
  #link: SerialLink | undefined
  /** The same port, past the record and the packing. */
  #raw: SerialLink | undefined
  #listener: LineListener | undefined
  #batchAtMs: number | undefined
  #isDisposed = false
  lastByteMs = 0

  constructor(options: LineOptions) {
    this.path = options.path
    this.#packing = options.mayPack ? new Packing() : undefined
    this.#options = options
    this.health = new Health(options.clock, options.baud, options.onEvent)
  }

  /** Opens the port, or opens it again; tells `listener` until {@link listen} names another. @throws DriverError `DRIVER_PORT_OPEN`. */
  async open(listener: LineListener): Promise<SerialLink> {
    await this.#link?.close()
    const { path, baud, clock } = this.#options
    this.#listener = listener
    this.lastByteMs = clock.nowMs()
    const link = await openSerialLink(path, baud, {
      onBytes: bytes => {
        this.lastByteMs = clock.nowMs()
        this.#batchAtMs ??= this.lastByteMs
        this.health.bytesReceived += bytes.length
        this.recorder.received(bytes, this.lastByteMs)
      },
      onLine: line => {
        if (!this.#packing?.hear(line)) this.#listener?.onLine(line)
      },
      onBatch: () => {
        const readAtMs = this.#batchAtMs ?? clock.nowMs()
        this.#batchAtMs = undefined
        this.#listener?.onBatch(readAtMs)
      },
      onDrain: () => this.#listener?.onDrain(),
      onLost: cause => this.#listener?.onLost(cause),
    })
    if (this.#isDisposed) {
      await link.close()
      throw new DriverError('DRIVER_PORT_LOST', `${path}: closed while it was opened`)
    }
    this.#raw = link
    this.#link = this.#recorded(link)
    return this.#link
  }

  /** Bytes that packing spared the wire. */
  get savedBytes(): number {
    return this.#packing?.savedBytes ?? 0
  }

  /** Packs what is written from now on, where the controller confirms that it unpacks. */
  async startPacking(signal: AbortSignal): Promise<void> {
    await this.#packing?.start(bytes => this.#raw?.write(bytes), this.#options.clock, signal)
  }

  /** Who is told from now on. Returns who was told before. */
  listen(listener: LineListener): LineListener | undefined {
    const before = this.#listener
    this.#listener = listener
    return before
  }

  get listener(): LineListener | undefined {
    return this.#listener
  }

  write(text: string): void {
    this.#link?.write(text)
  }

  checkPresence(): void {
    this.#link?.checkPresence()
  }

  async pulseReset(): Promise<boolean> {
    return (await this.#link?.pulseReset()) ?? false
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isDisposed = true
    this.#raw?.write(this.#packing?.end() ?? '')
    await this.#link?.close()
  }

  #recorded(link: SerialLink): SerialLink {
    const { clock } = this.#options
    return {
      path: link.path,
      hasResetLine: link.hasResetLine,
      checkPresence: () => link.checkPresence(),
      drained: () => link.drained(),
      pulseReset: () => link.pulseReset(),
      close: () => link.close(),
      write: text => {
        this.recorder.sent(text, clock.nowMs())
        const bytes = this.#packing?.encode(text) ?? text
        this.health.sent(bytes.length)
        return link.write(bytes)
      },
    }
  }
}
