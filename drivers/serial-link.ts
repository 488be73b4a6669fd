/** The serial port as a source of lines and a sink of bytes: the only file that knows serialport. */
import { EventEmitter } from 'node:events'
import { existsSync, readSync, writeSync } from 'node:fs'
import { SerialPort } from 'serialport'
import { DriverError } from './errors.ts'
import { createLineSplitter } from './line-splitter.ts'

/** What a link tells its owner; all calls come from the event loop, never from inside `write`. */
export interface LinkListener {
  /** One read's bytes, before the lines they complete. The buffer is reused after the call. */
  onBytes(bytes: Uint8Array): void
  /** One line without its `\n`; latin1, so that no damaged byte is lost or merged. */
  onLine(line: string): void
  /** Every line of the bytes that were waiting has been told. */
  onBatch(): void
  /** The kernel takes bytes again after `write` returned false. */
  onDrain(): void
  /** The port is gone; not called after `close()`. */
  onLost(cause: unknown): void
}

/** An open port. `close()` leaves DTR alone, so that the board is not reset by the next open. */
export interface SerialLink {
  readonly path: string
  /** The adapter has modem lines; a pseudo-terminal has none. */
  readonly hasResetLine: boolean
  /** Hands `text` (latin1) to the kernel in one write. Returns false when the caller should wait for `onDrain`. */
  write(text: string): boolean
  /** Reports the port lost when its device is gone: a hung-up tty reads as endlessly empty and would not say so. */
  checkPresence(): void
  /** Resolves when everything written has left the kernel, or the port is gone. */
  drained(): Promise<void>
  /** Pulses DTR: resets the boards wired that way. Resolves with whether the port took it; never throws. */
  pulseReset(): Promise<boolean>
  /** Idempotent; never throws. */
  close(): Promise<void>
}

const READ_BYTES = 16 * 1024
/** Reads of one wake-up: a controller that floods us must not keep the event loop. */
const READS_PER_WAKE = 8
/** libuv's UV_READABLE and UV_WRITABLE, as serialport's poller takes them. */
const READABLE = 1
const WRITABLE = 2

/** serialport's own watcher of one file descriptor: one-shot, armed by `poll`. */
interface Poller extends EventEmitter {
  poll(events: number): void
}

/**
 * Opens `path` raw, 8N1, exclusively, without XON/XOFF and with HUPCL cleared (a close does not drop DTR and reset the board).
 * @throws DriverError `DRIVER_PORT_OPEN`.
 */
export async function openSerialLink(
  path: string,
  baud: number,
  listener: LinkListener,
): Promise<SerialLink> {
  const port = new SerialPort({ path, baudRate: baud, autoOpen: false, hupcl: false, lock: true })
  await new Promise<void>((resolve, reject) => {
    port.open(cause => {
      if (cause) reject(new DriverError('DRIVER_PORT_OPEN', `${path}: ${cause.message}`, { cause }))
      else resolve()
    })
  })
  requestLowLatency(port)
  const hasResetLine = await new Promise<boolean>(resolve => port.get(error => resolve(!error)))
  return new FdLink(port, path, hasResetLine, listener)
}

/**
 * Reads and writes the descriptor itself, on serialport's poller. Its own stream takes a trip through the thread pool for each
 * read, each EAGAIN and each write, which on a pseudo-terminal was two thirds of the processor time of a line.
 */
class FdLink implements SerialLink {
  readonly path: string
  readonly hasResetLine: boolean
  readonly #port: SerialPort
  readonly #listener: LinkListener
  readonly #fd: number
  readonly #poller: Poller
  readonly #buffer = Buffer.allocUnsafe(READ_BYTES)
  readonly #split: (bytes: Buffer) => void
  #unwritten = ''
  #isClosing = false

  constructor(port: SerialPort, path: string, hasResetLine: boolean, listener: LinkListener) {
    this.path = path
    this.hasResetLine = hasResetLine
    this.#port = port
    this.#listener = listener
    const { fd, poller } = descriptorOf(port)
    this.#fd = fd
    this.#poller = poller
    this.#split = createLineSplitter(line => listener.onLine(line))
    port.on('error', cause => this.#lose(cause))
    port.on('close', () => this.#lose(undefined))
    poller.on('readable', () => this.#read())
    poller.on('writable', () => this.#flush())
    poller.poll(READABLE)
  }

  write(text: string): boolean {
    if (this.#isClosing) return false
    if (this.#unwritten !== '') {
      this.#unwritten += text
      return false
    }
    return this.#put(text)
  }

  checkPresence(): void {
    if (!existsSync(this.path)) this.#lose(new Error(`${this.path} is gone`))
  }

  drained(): Promise<void> {
    return new Promise(resolve => {
      if (this.#port.isOpen) this.#port.drain(() => resolve())
      else resolve()
    })
  }

  async pulseReset(): Promise<boolean> {
    return (await this.#setDtr(false)) && (await this.#setDtr(true))
  }

  close(): Promise<void> {
    this.#isClosing = true
    return new Promise(resolve => {
      if (this.#port.isOpen) this.#port.close(() => resolve())
      else resolve()
    })
  }

  #put(text: string): boolean {
    try {
      const written = writeSync(this.#fd, text, null, 'latin1')
      if (written === text.length) return true
      this.#unwritten = text.slice(written)
    } catch (error) {
      if (!isRetryable(error)) {
        // Told from the event loop, never from inside a write.
        setImmediate(() => this.#lose(error))
        return false
      }
      this.#unwritten = text
    }
    this.#poller.poll(WRITABLE)
    return false
  }

  #flush(): void {
    if (this.#isClosing || this.#unwritten === '') return
    const text = this.#unwritten
    this.#unwritten = ''
    if (!this.#put(text)) return
    this.#listener.onDrain()
    wakeLoop()
  }

  #read(): void {
    if (this.#isClosing) return
    wakeLoop()
    for (let reads = 0; reads < READS_PER_WAKE && !this.#isClosing; reads++)
      if (!this.#readOnce()) break
    if (this.#isClosing) return
    this.#listener.onBatch()
    this.#poller.poll(READABLE)
  }

  /** True when there may be more. */
  #readOnce(): boolean {
    let count = 0
    try {
      count = readSync(this.#fd, this.#buffer, 0, READ_BYTES, null)
    } catch (error) {
      if (!isRetryable(error)) this.#lose(error)
      return false
    }
    // VMIN is 1: nothing at all means that the other end hung up.
    if (count === 0) this.#lose(new Error(`${this.path}: hung up`))
    if (count === 0) return false
    const bytes = this.#buffer.subarray(0, count)
    this.#listener.onBytes(bytes)
    this.#split(bytes)
    return count === READ_BYTES
  }

  #lose(cause: unknown): void {
    if (this.#isClosing) return
    this.#isClosing = true
    this.#listener.onLost(cause)
  }

  #setDtr(isAsserted: boolean): Promise<boolean> {
    return new Promise(resolve => {
      if (this.#port.isOpen) this.#port.set({ dtr: isAsserted }, error => resolve(!error))
      else resolve(false)
    })
  }
}

function descriptorOf(port: SerialPort): { readonly fd: number; readonly poller: Poller } {
  const binding = port.port
  if (binding && 'fd' in binding && 'poller' in binding) {
    const { fd, poller } = binding
    if (typeof fd === 'number' && poller instanceof EventEmitter && 'poll' in poller)
      return { fd, poller: poller as Poller }
  }
  throw new DriverError('DRIVER_PORT_OPEN', `${port.path}: no descriptor to read from`)
}

function isRetryable(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  return code === 'EAGAIN' || code === 'EWOULDBLOCK' || code === 'EINTR'
}

// FTDI chips keep each short reply back for 16 ms unless asked not to; CDC-ACM and pseudo-terminals refuse the question, harmlessly.
function requestLowLatency(port: SerialPort): void {
  port.set({ lowLatency: true } as Parameters<SerialPort['set']>[0], () => undefined)
}

// serialport 13 calls back from its poller outside any Node callback scope, so promises settled there run only when something
// else wakes the event loop. An immediate is such a wake, at once.
function wakeLoop(): void {
  setImmediate(() => undefined)
}
