/** The journal's write-ahead log, made durable off the thread that streams: a disk may take as long to sync as a planner holds moves. */

import { closeSync, fdatasync, openSync } from 'node:fs'
import { promisify } from 'node:util'
import { coreFault } from '../errors.ts'

const sync = promisify(fdatasync)

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
      this.#fd ??= openSync(this.#path, 'r')
      await sync(this.#fd)
    } catch (error) {
      throw coreFault('JOURNAL_WRITE', 'the record was not made durable', error)
    }
  }
}
