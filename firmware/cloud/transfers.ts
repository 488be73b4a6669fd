/** Offered jobs: kept across restarts, one at a time by priority, handed to the core's drop directory, and nothing asked twice. */

import { rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { syncDirectory, writeFileAtomically } from '#lib/atomic-file.ts'
import type { Clock } from '#lib/clock.ts'
import type { CourierEvent, EventView } from '#lib/control-protocol.ts'
import type { TrustBundle } from '#mpf'
import { CloudError } from './errors.ts'
import { IncomingFile } from './incoming-file.ts'
import { type TransferRecord, TransferRecords } from './transfer-records.ts'
import type { BlockRequest, OfferStatement } from './wire.ts'

export interface TransfersOptions {
  /** The core's drop directory. */
  readonly directory: string
  readonly maxFileBytes: number
  readonly trust: TrustBundle
  readonly tenant: string
  readonly clock: Clock
  readonly nowMs: () => number
  /** The number of the newest event known. */
  readonly lastEvent: () => number
  /** Asks the fleet end for blocks; false while they cannot come. */
  readonly ask: (ranges: BlockRequest['ranges'], offer: OfferStatement) => Promise<boolean>
  readonly report: (
    type: CourierEvent,
    message: string,
    detail: Readonly<Record<string, string | number>>,
    code?: string,
  ) => void
}

interface Current {
  readonly id: string
  readonly offer: OfferStatement
  readonly file: IncomingFile
}

type EventReader = (after: number) => Promise<readonly EventView[]>

const MAX_WAITING = 32
const RETRY_MIN_MS = 2000
const RETRY_MAX_MS = 60_000

export class Transfers {
  readonly #options: TransfersOptions
  #records: TransferRecords | undefined
  #current: Current | undefined
  #news = Promise.withResolvers<void>()
  /** Blocks are taken one after the other: a file has one writer. */
  #taking: Promise<unknown> = Promise.resolve()
  #isAskedAgain = false

  #loading: Promise<TransferRecords> | undefined

  constructor(options: TransfersOptions) {
    this.#options = options
  }

  /** What an earlier life left, read once. */
  #loaded(): Promise<TransferRecords> {
    this.#loading ??= this.#load()
    return this.#loading
  }

  get #incoming(): string {
    return join(this.#options.directory, '.incoming')
  }

  /** How far the current one is. */
  get progress(): { readonly offer: string; readonly bytes: number } | undefined {
    return this.#current && { offer: this.#current.id, bytes: this.#current.file.prefixBytes }
  }

  /** What was asked for does not come any more: a link is new, or a URL failed. */
  askAgain(): void {
    this.#isAskedAgain = true
    this.#news.resolve()
  }

  /** A signed offer. @throws CloudError CLOUD_OFFER */
  async offered(offer: OfferStatement): Promise<void> {
    const records = await this.#loaded()
    if (records.get(offer.offer)) return
    const waiting = records.in('coming').length
    if (offer.exp * 1000 < this.#options.nowMs()) throw new CloudError('CLOUD_OFFER', 'expired')
    if (offer.sizeBytes > this.#options.maxFileBytes || offer.frontBytes > offer.sizeBytes)
      throw new CloudError('CLOUD_OFFER', `${offer.sizeBytes} bytes`)
    if (waiting >= MAX_WAITING) throw new CloudError('CLOUD_OFFER', `${waiting} offers wait`)
    await records.keep({ state: 'coming', after: 0, offer })
    const detail = { offer: offer.offer, sizeBytes: offer.sizeBytes }
    this.#options.report('cloud.transfer_started', 'offer accepted', detail)
    this.#news.resolve()
  }

  async cancelled(id: string): Promise<void> {
    const record = this.#records?.get(id)
    if (record?.state !== 'coming') return
    await this.#end(record, 'cloud.transfer_cancelled', 'cancelled')
  }

  /** A block came; false when it is not what was signed: that is reported, and it is asked for again. */
  block(id: string, offset: number, bytes: Uint8Array): Promise<boolean> {
    const taken = this.#taking.then(() => this.#takeBlock(id, offset, bytes))
    this.#taking = taken
    return taken
  }

  /** The core's log says what became of a dropped file: it need not lie there any more. */
  async saw(events: readonly EventView[]): Promise<void> {
    for (const { type, detail } of events) {
      if (!type.startsWith('intake.') && type !== 'job.received') continue
      for (const record of this.#records?.in('dropped') ?? []) {
        const { offer, sha256 } = record.offer
        const isMeant = detail.sha256 === sha256 || detail.name === `${offer}.mpf`
        if (isMeant && type !== 'intake.spool_refused') await this.#forgetFile(record)
      }
    }
  }

  /** The core was connected anew: what it told of dropped files in the meantime. */
  async reconcile(read: EventReader): Promise<void> {
    const dropped = (await this.#loaded()).in('dropped')
    if (dropped.length === 0) return
    for (let after = Math.min(...dropped.map(record => record.after)); ; ) {
      const events = await read(after)
      await this.saw(events)
      const last = events.at(-1)
      if (!last) return
      after = last.sequence
    }
  }

  /** Runs until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    await this.#loaded()
    signal.addEventListener('abort', () => this.#news.resolve(), { once: true })
    let retryMs = RETRY_MIN_MS
    let last = -1
    while (!signal.aborted) {
      this.#news = Promise.withResolvers()
      await this.#taking
      await this.#choose()
      if (await this.#finish(signal)) continue
      const at = this.#current?.file.prefixBytes ?? -1
      retryMs = at > last ? RETRY_MIN_MS : retryMs
      last = at
      const isAsked = await this.#ask()
      if (!(await this.#rest(isAsked ? retryMs : RETRY_MAX_MS, signal))) {
        // Nothing came for a while: ask again for all that is missing, less often each time.
        this.#current?.file.forgetAsked()
        retryMs = Math.min(retryMs * 2, RETRY_MAX_MS)
      }
    }
    await this.#taking
    await this.#current?.file[Symbol.asyncDispose]()
  }

  async #ask(): Promise<boolean> {
    const current = this.#current
    if (!current) return false
    if (this.#isAskedAgain) {
      this.#isAskedAgain = false
      current.file.forgetAsked()
    }
    const ranges = current.file.nextRanges()
    if (ranges.length === 0) return true
    const isAsked = await this.#options.ask(
      ranges.map(([offset, length]) => [offset, length]),
      current.offer,
    )
    if (!isAsked) current.file.forgetAsked()
    return isAsked
  }

  /** True when there were news, false when the time was up. */
  async #rest(ms: number, signal: AbortSignal): Promise<boolean> {
    const woken = new AbortController()
    const sleep = this.#options.clock.sleep(ms, AbortSignal.any([woken.signal, signal]))
    const isNews = await Promise.race([
      this.#news.promise.then(() => true),
      sleep.then(() => false).catch(() => true),
    ])
    woken.abort()
    return isNews
  }

  async #takeBlock(id: string, offset: number, bytes: Uint8Array): Promise<boolean> {
    const current = this.#current
    if (current?.id !== id) return true
    try {
      if (await current.file.take(offset, bytes)) this.#news.resolve()
      return true
    } catch (error) {
      if (!(error instanceof CloudError)) throw error
      const { code, message } = error
      const detail = { offer: id, offset }
      this.#options.report('cloud.transfer_refused', message, detail, code)
      const record = this.#records?.get(id)
      if (code === 'CLOUD_OFFER' && record) await this.#end(record)
      this.#news.resolve()
      return false
    }
  }

  /** The most urgent offer that is coming: highest priority, then oldest. */
  async #choose(): Promise<void> {
    const records = await this.#loaded()
    for (const record of records.in('coming'))
      if (record.offer.exp * 1000 < this.#options.nowMs())
        await this.#end(record, 'cloud.transfer_cancelled', 'expired')
    const [best] = records
      .in('coming')
      .toSorted((a, b) => b.offer.priority - a.offer.priority || a.offer.iat - b.offer.iat)
    if (best?.offer.offer === this.#current?.id) return
    await this.#current?.file[Symbol.asyncDispose]()
    this.#current = undefined
    if (!best) return
    const { trust, tenant, nowMs } = this.#options
    const { offer } = best
    const path = join(this.#incoming, offer.offer)
    const file = await IncomingFile.open({ offer, path, trust, tenant, nowMs })
    this.#current = { id: offer.offer, offer, file }
  }

  /** Hands a complete file over. True when there was one. */
  async #finish(signal: AbortSignal): Promise<boolean> {
    const current = this.#current
    const record = current && this.#records?.get(current.id)
    if (!current?.file.isComplete || !record) return false
    try {
      await current.file.expectWhole(signal)
    } catch (error) {
      if (!(error instanceof CloudError)) throw error
      const detail = { offer: current.id }
      this.#options.report('cloud.transfer_refused', error.message, detail, error.code)
      return true
    }
    const { offer } = record
    const { directory, report } = this.#options
    for (const [i, grant] of offer.grants.entries())
      await writeFileAtomically(
        join(directory, `${offer.offer}-${i}.mpfg`),
        Buffer.from(grant, 'base64'),
        { mode: 0o640 },
      )
    // Written down first: if this life ends in between, the next one finds the file complete again.
    await this.#records?.keep({ state: 'dropped', after: this.#options.lastEvent(), offer })
    await rename(join(this.#incoming, `${offer.offer}.part`), join(directory, `${offer.offer}.mpf`))
    await syncDirectory(directory)
    await rm(join(this.#incoming, `${offer.offer}.done`), { force: true })
    const detail = { offer: offer.offer, sizeBytes: offer.sizeBytes, sha256: offer.sha256 }
    report('cloud.transfer_finished', 'every block verified', detail)
    return true
  }

  async #end(record: TransferRecord, type?: CourierEvent, message = ''): Promise<void> {
    const { offer } = record.offer
    await this.#records?.keep({ ...record, state: 'ended' })
    if (this.#current?.id === offer) {
      await this.#current.file[Symbol.asyncDispose]()
      this.#current = undefined
    }
    for (const suffix of ['.part', '.done'])
      await rm(join(this.#incoming, `${offer}${suffix}`), { force: true })
    if (type) this.#options.report(type, message, { offer })
    this.#news.resolve()
  }

  async #forgetFile(record: TransferRecord): Promise<void> {
    const { offer, grants } = record.offer
    await this.#records?.keep({ ...record, state: 'ended' })
    const names = [`${offer}.mpf`, ...grants.map((_, i) => `${offer}-${i}.mpfg`)]
    for (const name of names) await rm(join(this.#options.directory, name), { force: true })
  }

  /** Between the note and the rename the last life may have ended. */
  async #load(): Promise<TransferRecords> {
    const records = await TransferRecords.open(this.#incoming)
    this.#records = records
    for (const { offer } of records.in('dropped')) {
      const part = join(this.#incoming, `${offer.offer}.part`)
      await rename(part, join(this.#options.directory, `${offer.offer}.mpf`)).catch(() => undefined)
    }
    return records
  }
}
