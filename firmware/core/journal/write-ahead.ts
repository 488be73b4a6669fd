/** The journal's write-ahead log, made durable off the thread that streams: a disk may take as long to sync as a planner holds moves. */

import { closeSync, fdatasync, fstatSync, openSync, writeSync } from 'node:fs'
import { promisify } from 'node:util'
import { coreFault } from '../errors.ts'
import { PAGE_BYTES } from './database.ts'

const sync = promisify(fdatasync)
/** SQLite begins the log anew once it holds 1000 pages (wal_autocheckpoint): a header of 32 bytes, 24 more a page. */
const LOG_BYTES = 32 + 1000 * (24 + PAGE_BYTES)

export class WriteAhead implements Disposable {
  readonly #path: string
  #fd: number | undefined
  #synced: Promise<unknown> = Promise.resolve()

  /** `path`: of the database. SQLite keeps its log beside it, and keeps the same file while it is open. */
  constructor(path: string) {
    this.#path = `${path}-wal`
  }

  /** Resolves once everything committed before the call is durable. Rejects with CoreError JOURNAL_WRITE. */
  sync(): Promise<void> {
    const synced = this.#synced.then(() => this.#sync())
    this.#synced = synced.catch(() => undefined)
    return synced
  }

  [Symbol.dispose](): void {
    void this.#synced.then(() => this.#fd !== undefined && closeSync(this.#fd))
  }

  async #sync(): Promise<void> {
    try {
      this.#fd ??= openGrown(this.#path)
      await sync(this.#fd)
    } catch (error) {
      throw coreFault('JOURNAL_WRITE', 'the record was not made durable', error)
    }
  }
}

/**
 * The log at its full size, zeros behind its frames: SQLite reads up to the first frame that is none. A file that grows costs the flash
 * 16 kB of the file system's own journal with each sync, one that does not nothing.
 */
function openGrown(path: string): number {
  const fd = openSync(path, 'r+')
  const { size } = fstatSync(fd)
  if (size < LOG_BYTES) writeSync(fd, Buffer.alloc(LOG_BYTES - size), 0, LOG_BYTES - size, size)
  return fd
}
