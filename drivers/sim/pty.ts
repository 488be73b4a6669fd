/** A real pseudo-terminal for the simulated board: the only file that knows node-pty. */
import { openSync, writeSync } from 'node:fs'
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
/** A host that reads has emptied the kernel's few KiB by then. */
const RETRY_MS = 5

// node-pty does not declare `open()`, the form of a terminal without a process.
const { open } = nodePty as unknown as { open(options: { readonly encoding: null }): Pair }

interface Pair {
  readonly ptsName: string
  /** Of the master, non-blocking. */
  readonly fd: number
  readonly master: ReadStream
  readonly slave: ReadStream
}

/** Opens a pseudo-terminal, raw and without echo. */
export function openPty(): Pty {
  const pair = open({ encoding: null })
  const path = pair.ptsName
  const { master, fd } = pair
  // Its own reader of the host's end would eat the bytes meant for the host.
  pair.slave.destroy()
  // Without any open host end the master reads EIO and dies: this one stays open, raw, and is never read.
  const holdFd = openSync(path, 'r+')
  const hold = new ReadStream(holdFd)
  hold.setRawMode(true)
  hold.pause()
  master.pause()
  let isOpen = true
  let unread: Buffer = Buffer.alloc(0)
  let retry: NodeJS.Timeout | undefined
  // Not by the stream: libuv writes to a master until it is taken, and where no host reads that loop never ends.
  const flush = (): void => {
    retry = undefined
    try {
      unread = unread.subarray(writeSync(fd, unread))
    } catch (error) {
      if (!isFull(error)) unread = Buffer.alloc(0)
    }
    if (unread.length > 0) retry = setTimeout(flush, RETRY_MS)
  }
  master.on('error', () => undefined)
  hold.on('error', () => undefined)
  return {
    path,
    onData: listener => {
      master.on('data', (chunk: Buffer) => listener(chunk))
      master.resume()
    },
    write: bytes => {
      if (!isOpen || unread.length > MAX_UNREAD_BYTES) return
      unread = unread.length === 0 ? bytes : Buffer.concat([unread, bytes])
      if (!retry) flush()
    },
    close: () => {
      if (!isOpen) return
      isOpen = false
      clearTimeout(retry)
      master.destroy()
      hold.destroy()
    },
  }
}

function isFull(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EAGAIN'
}
