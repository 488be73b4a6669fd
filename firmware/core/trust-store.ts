/** Whom this printer believes, as it is now: the trust bundle's file read again when it changes, never replaced by an older one. */

import { stat } from 'node:fs/promises'
import type { Clock } from '#lib/clock.ts'
import { MpfError, parseTrustBundle } from '#mpf'
import { CoreError } from './errors.ts'
import type { Journal } from './journal/journal.ts'
import { loadTrustBundle } from './keys.ts'

const WATCH_MS = 5000

export interface TrustStoreOptions {
  readonly path: string
  readonly journal: Journal
}

export class TrustStore {
  readonly #options: TrustStoreOptions
  #bytes: Uint8Array = new Uint8Array()
  #stamp = ''

  private constructor(options: TrustStoreOptions) {
    this.#options = options
  }

  /**
   * Reads the bundle and raises the floor of its epoch. A malformed one is kept: every file is then refused with the reason.
   * @throws CoreError KEYS_UNREADABLE; TRUST_ROLLBACK for an epoch below the floor.
   */
  static async open(options: TrustStoreOptions): Promise<TrustStore> {
    const store = new TrustStore(options)
    const { journal, path } = options
    store.#stamp = await stampOf(path)
    const bytes = await loadTrustBundle(path)
    const epoch = epochOf(bytes)
    if (typeof epoch === 'number') {
      const floor = journal.floor('trust-epoch')
      if (epoch < floor) {
        store.#refuse('TRUST_ROLLBACK', `epoch ${epoch}, at least ${floor} was believed before`)
        throw new CoreError('TRUST_ROLLBACK', `trust bundle of epoch ${epoch}, floor ${floor}`)
      }
      journal.raiseFloor({ kind: 'trust-epoch', key: '', value: epoch })
    }
    store.#bytes = bytes
    return store
  }

  /** The file's bytes as last believed. */
  get bytes(): Uint8Array {
    return this.#bytes
  }

  /** Takes a changed file over, or refuses it with an event and keeps what was believed. */
  async refresh(): Promise<void> {
    const { path, journal } = this.#options
    const stamp = await stampOf(path)
    if (stamp === this.#stamp || stamp === '') return
    const bytes = await loadTrustBundle(path).catch(() => undefined)
    if (bytes === undefined) return // being replaced: looked at again
    this.#stamp = stamp
    if (Buffer.compare(bytes, this.#bytes) === 0) return
    const epoch = epochOf(bytes)
    if (epoch instanceof MpfError) return this.#refuse(epoch.code, epoch.message)
    const floor = journal.floor('trust-epoch')
    if (epoch <= floor)
      return this.#refuse('TRUST_ROLLBACK', `epoch ${epoch} does not follow ${floor}`)
    journal.raiseFloor({ kind: 'trust-epoch', key: '', value: epoch })
    this.#bytes = bytes
    journal.record({ type: 'trust.changed', message: `epoch ${epoch}`, detail: { epoch } })
  }

  /** Refreshes every five seconds until the signal aborts. */
  async watch(clock: Clock, signal: AbortSignal): Promise<void> {
    for (;;) {
      await clock.sleep(WATCH_MS, signal)
      await this.refresh()
    }
  }

  #refuse(code: string, message: string): void {
    this.#options.journal.record({ type: 'trust.refused', code, message })
  }
}

function epochOf(bytes: Uint8Array): number | MpfError {
  try {
    return parseTrustBundle(bytes).epoch
  } catch (error) {
    if (error instanceof MpfError) return error
    throw error
  }
}

/** Changes whenever the file was replaced or written; empty while there is none. */
async function stampOf(path: string): Promise<string> {
  const found = await stat(path, { bigint: true }).catch(() => undefined)
  return found === undefined ? '' : [found.ino, found.size, found.mtimeNs].join(' ')
}
