/** The serial port as a source of lines and a sink of bytes: the only file that knows serialport. */
import { EventEmitter } from 'node:events'
import { existsSync } from 'node:fs'
import { ReadlineParser } from '@serialport/parser-readline'
import { SerialPort } from 'serialport'
import { DriverError } from './errors.ts'

/** What a link tells its owner; all calls come from the event loop, never from inside `write`. */
export interface LinkListener {
  /** One line without its `\n`; latin1, so that no damaged byte is lost or merged. */
  onLine(line: string): void
  /** Any bytes arrived, before the lines they hold. */
  onBytes(count: number): void
  /** The kernel takes bytes again after `write` returned false. */
  onDrain(): void
  /** The port is gone; not called after `close()`. */
  onLost(cause: unknown): void
}

/** An open port. `close()` leaves DTR alone, so that the board is not reset by the next open. */
export interface SerialLink {
  readonly path: string
  /** Queues `text` (latin1) in one write. Returns false when the caller should wait for `onDrain`. */
  write(text: string): boolean
  /** Reports the port lost when its device is gone: a hung-up tty reads as endlessly empty and would not say so. */
  checkPresence(): void
  /** Resolves when everything written has left the kernel, or the port is gone. */
  drained(): Promise<void>
  /** Pulses DTR: resets the boards wired that way. Best effort, never throws. */
  pulseReset(): Promise<void>
  /** Idempotent; never throws. */
  close(): Promise<void>
}

/** A line of printable replies is never this long: past it the bytes are noise (wrong baud rate) and are cut. */
const MAX_LINE_BYTES = 4096
const LINE_FEED = 0x0a

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
  wakePromptly(port)
  readLines(port, listener)
  return serialLinkOf(port, path, listener)
}

function readLines(port: SerialPort, listener: LinkListener): void {
  const parser = new ReadlineParser({ delimiter: '\n', encoding: 'latin1' })
  parser.on('data', (line: string) => listener.onLine(line))
  let unterminatedBytes = 0
  port.on('data', (chunk: Buffer) => {
    listener.onBytes(chunk.length)
    const lastLineFeed = chunk.lastIndexOf(LINE_FEED)
    unterminatedBytes =
      lastLineFeed < 0 ? unterminatedBytes + chunk.length : chunk.length - lastLineFeed - 1
    parser.write(chunk)
    if (unterminatedBytes <= MAX_LINE_BYTES) return
    unterminatedBytes = 0
    parser.write('\n')
  })
}

function serialLinkOf(port: SerialPort, path: string, listener: LinkListener): SerialLink {
  let isClosing = false
  const lose = (cause: unknown): void => {
    if (isClosing) return
    isClosing = true
    listener.onLost(cause)
  }
  port.on('drain', () => listener.onDrain())
  port.on('error', lose)
  port.on('close', lose)
  return {
    path,
    write: text => port.isOpen && port.write(text, 'latin1'),
    checkPresence: () => {
      if (!existsSync(path)) lose(new Error(`${path} is gone`))
    },
    drained: () =>
      new Promise(resolve => {
        if (port.isOpen) port.drain(() => resolve())
        else resolve()
      }),
    pulseReset: async () => {
      await setDtr(port, false)
      await setDtr(port, true)
    },
    close: () => {
      isClosing = true
      return closePort(port)
    },
  }
}

function setDtr(port: SerialPort, isAsserted: boolean): Promise<void> {
  return new Promise(resolve => {
    if (port.isOpen) port.set({ dtr: isAsserted }, () => resolve())
    else resolve()
  })
}

// FTDI chips keep each short reply back for 16 ms unless asked not to; CDC-ACM and pseudo-terminals refuse the question, harmlessly.
function requestLowLatency(port: SerialPort): void {
  port.set({ lowLatency: true } as Parameters<SerialPort['set']>[0], () => undefined)
}

// serialport 13 calls back from its poller outside any Node callback scope, so the promise that reads the bytes runs only when
// something else wakes the event loop: measured, an `ok` waited up to the next timer. An immediate is such a wake, at once.
function wakePromptly(port: SerialPort): void {
  const poller = port.port && 'poller' in port.port ? port.port.poller : undefined
  if (!(poller instanceof EventEmitter)) return
  const wake = (): void => {
    setImmediate(() => undefined)
  }
  poller.on('readable', wake)
  poller.on('writable', wake)
}

function closePort(port: SerialPort): Promise<void> {
  return new Promise(resolve => {
    if (port.isOpen) port.close(() => resolve())
    else resolve()
  })
}
