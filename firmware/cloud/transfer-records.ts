/** Offers as they are remembered on disk: what is coming, what was handed over, what has ended. */

import { mkdir, readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { writeFileAtomically } from '#lib/atomic-file.ts'
import { CloudError } from './errors.ts'
import { offerSchema } from './wire.ts'

const recordSchema = z.strictObject({
  state: z.enum(['coming', 'dropped', 'ended']),
  /** The core's log when it was dropped: what became of it is told after this. */
  after: z.int().min(0).default(0),
  offer: offerSchema,
})
export type TransferRecord = z.infer<typeof recordSchema>

/** Offers remembered, so that a replayed one is not fetched again; an expired one is refused by its time. */
const MAX_REMEMBERED = 1000

export class TransferRecords {
  readonly #directory: string
  readonly #records = new Map<string, TransferRecord>()

  private constructor(directory: string) {
    this.#directory = directory
  }

  /** Reads what an earlier life left. */
  static async open(directory: string): Promise<TransferRecords> {
    const records = new TransferRecords(directory)
    await mkdir(directory, { recursive: true, mode: 0o770 })
    for (const name of await readdir(directory)) {
      if (!name.endsWith('.json')) continue
      const text = await readFile(join(directory, name), 'utf8')
      const record = recordSchema.safeParse(parseJson(text)).data
      if (record) records.#records.set(record.offer.offer, record)
    }
    return records
  }

  get(offer: string): TransferRecord | undefined {
    return this.#records.get(offer)
  }

  in(state: TransferRecord['state']): readonly TransferRecord[] {
    return [...this.#records.values()].filter(record => record.state === state)
  }

  /** Durable when it resolves; the oldest that have ended make room. @throws CloudError CLOUD_STORE */
  async keep(record: TransferRecord): Promise<void> {
    const { offer } = record.offer
    const text = Buffer.from(JSON.stringify(record))
    const path = join(this.#directory, `${offer}.json`)
    await writeFileAtomically(path, text, { mode: 0o640 }).catch((cause: unknown) => {
      throw new CloudError('CLOUD_STORE', 'an offer was not written down', { cause })
    })
    this.#records.set(offer, record)
    for (const [id, old] of this.#records) {
      if (this.#records.size <= MAX_REMEMBERED) break
      if (old.state !== 'ended') continue
      this.#records.delete(id)
      await rm(join(this.#directory, `${id}.json`), { force: true })
    }
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
