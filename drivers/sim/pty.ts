/** A real pseudo-terminal for the simulated board: the only file that knows node-pty. */
import { openSync } from 'node:fs'
import { ReadStream } from 'node:tty'
import * as nodePty from '@lydell/node-pty'

/** The board's end of a pseudo-terminal; `path` is the end a host opens. Closing and reopening `path` does not disturb it. */
export interface Pty {
  readonly path: string
  /** Bytes the host wrote. One listener. */
  onData(listener: (chunk: Buffer) => void): void
  /** Drops bytes when no host has read for a long time, as a UART does. */
  write(bytes: Buffer): void
  /** Hangs up: the host sees its port vanish. Idempotent. */
  close(): void
}

/** What nobody reads is dropped past this, so that a board without a host does not grow. */
const MAX_UNREAD_BYTES = 64 * 1024

// node-pty does not declare `open()`, the form of a terminal without a process.
const { open } = nodePty as unknown as { open(options: { readonly encoding: null }): Pair }

interface Pair {
  readonly ptsName: string
  readonly master: ReadStream & NodeJS.WritableStream & { readonly writableLength: number }
  readonly slave: ReadStream
}

/** Opens a pseudo-terminal, raw and without echo. */
export function openPty(): Pty {
  const pair = open({ encoding: null })
  const path = pair.ptsName
  const { master } = pair
  // Its own reader of the host's end would eat the bytes meant for the host.
  pair.slave.destroy()
  // Without any open host end the master reads EIO and dies: this one stays open, raw, and is never read.
  const holdFd = openSync(path, 'r+')
  const hold = new ReadStream(holdFd)
  hold.setRawMode(true)
  hold.pause()
  master.pause()
  let isOpen = true
  master.on('error', () => undefined)
  hold.on('error', () => undefined)
  return {
    path,
    onData: listener => {
      master.on('data', (chunk: Buffer) => listener(chunk))
      master.resume()
    },
    write: bytes => {
      if (isOpen && master.writableLength < MAX_UNREAD_BYTES) master.write(bytes)
    },
    close: () => {
      if (!isOpen) return
      isOpen = false
      master.destroy()
      hold.destroy()
    },
  }
}
