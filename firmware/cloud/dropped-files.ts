/** Files that were handed to the core: cleared away once its log says what became of them. */

import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { EventView } from '#lib/control-protocol.ts'
import type { TransferRecord, TransferRecords } from './transfer-records.ts'

type EventReader = (after: number) => Promise<readonly EventView[]>

export class DroppedFiles {
  readonly #directory: string
  readonly #records: () => Promise<TransferRecords>

  /** `directory`: the core's drop directory. */
  constructor(directory: string, records: () => Promise<TransferRecords>) {
    this.#directory = directory
    this.#records = records
  }

  /** The core's log says what became of a dropped file: it need not lie there any more. @throws CloudError CLOUD_STORE */
  async saw(events: readonly EventView[]): Promise<void> {
    const records = await this.#records()
    for (const { type, detail } of events) {
      if (!type.startsWith('intake.') && type !== 'job.received') continue
      for (const record of records.in('dropped')) {
        const { offer, sha256 } = record.offer
        const isMeant = detail.sha256 === sha256 || detail.name === `${offer}.mpf`
        if (isMeant && type !== 'intake.spool_refused') await this.#forget(records, record)
      }
    }
  }

  /** The core was connected anew: what it told of dropped files in the meantime. */
  async reconcile(read: EventReader): Promise<void> {
    const dropped = (await this.#records()).in('dropped')
    if (dropped.length === 0) return
    for (let after = Math.min(...dropped.map(record => record.after)); ; ) {
      const events = await read(after)
      await this.saw(events)
      const last = events.at(-1)
      if (!last) return
      after = last.sequence
    }
  }

  async #forget(records: TransferRecords, record: TransferRecord): Promise<void> {
    const { offer, grants } = record.offer
    await records.keep({ ...record, state: 'ended' })
    const names = [`${offer}.mpf`, ...grants.map((_, i) => `${offer}-${i}.mpfg`)]
    for (const name of names) await rm(join(this.#directory, name), { force: true })
  }
}
