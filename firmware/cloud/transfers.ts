/** Offered jobs: kept across restarts, one at a time by priority, handed to the core's drop directory, and nothing asked twice. */

import { rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { syncDirectory, writeFileAtomically } from '#lib/atomic-file.ts'
import type { Clock } from '#lib/clock.ts'
import type { CourierEvent } from '#lib/courier-protocol.ts'
import type { TrustBundle } from '#mpf'
import { DroppedFiles } from './dropped-files.ts'
import { CloudError, type CloudErrorCode } from './errors.ts'
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

const MAX_WAITING = 32
const RETRY_MIN_MS = 2000
const RETRY_MAX_MS = 60_000

export class Transfers {
  /** What was handed over. */
  readonly dropped: DroppedFiles
  readonly #options: TransfersOptions
  #records: TransferRecords | undefined
  #current: Current | undefined
  #news = Promise.withResolvers<void>()
  /** Whatever opens, writes, hands over or closes the current file, one after the other. */
  #turn: Promise<unknown> = Promise.resolve()
  #isAskedAgain = false

  #loading: Promise<TransferRecords> | undefined

  constructor(options: TransfersOptions) {
    this.#options = options
    this.dropped = new DroppedFiles(options.directory, () => this.#loaded())
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
    // Also what the core has not taken yet: the drop directory is bounded too.
    const waiting = records.in('coming').length + records.in('dropped').length
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
    const records = await this.#loaded()
    await this.#inTurn(async () => {
      const record = records.get(id)
      if (record?.state === 'coming')
        await this.#end(record, 'cloud.transfer_cancelled', 'cancelled')
    })
  }

  /** A block came; false when it is not what was signed: that is reported, and it is asked for again. */
  async block(id: string, offset: number, bytes: Uint8Array): Promise<boolean> {
    // A late one of a complete file does not wait for all of it to be hashed.
    if (this.#current?.id !== id || this.#current.file.isComplete) return true
    return this.#inTurn(() => this.#takeBlock(id, offset, bytes))
  }

  /** Runs until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    await this.#loaded()
    signal.addEventListener('abort', () => this.#news.resolve(), { once: true })
    let retryMs = RETRY_MIN_MS
    let last = -1
    while (!signal.aborted) {
      this.#news = Promise.withResolvers()
      if (await this.#inTurn(() => this.#step(signal))) continue
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
    await this.#inTurn(async () => this.#current?.file[Symbol.asyncDispose]())
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(work)
    this.#turn = done.catch(() => undefined)
    return done
  }

  /** Opens what comes first, hands over what is complete. True when there may be more to do at once. */
  async #step(signal: AbortSignal): Promise<boolean> {
    try {
      return (await this.#choose()) || (await this.#finish(signal))
    } catch (error) {
      if (!signal.aborted) await this.#refused(this.#current?.id, error)
      return false
    }
  }

  /** Tells of it. An offer that can never be admitted has ended; what the disk refused is tried again later. */
  async #refused(id: string | undefined, error: unknown, offset?: number): Promise<CloudErrorCode> {
    const isOurs = error instanceof CloudError
    if (!isOurs && !(error instanceof Error && 'syscall' in error)) throw error
    const code = isOurs ? error.code : 'CLOUD_STORE'
    const detail = { offer: id ?? '', ...(offset !== undefined && { offset }) }
    this.#options.report('cloud.transfer_refused', error.message, detail, code)
    const record = id === undefined ? undefined : this.#records?.get(id)
    if (code === 'CLOUD_OFFER' && record) await this.#end(record)
    return code
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
      if ((await this.#refused(id, error, offset)) !== 'CLOUD_STORE') this.#news.resolve()
      return false
    }
  }

  /** The most urgent offer that is coming: highest priority, then oldest. True when it cannot be: then another is to be chosen. */
  async #choose(): Promise<boolean> {
    const records = await this.#loaded()
    for (const record of records.in('coming'))
      if (record.offer.exp * 1000 < this.#options.nowMs())
        await this.#end(record, 'cloud.transfer_cancelled', 'expired')
    const [best] = records
      .in('coming')
      .toSorted((a, b) => b.offer.priority - a.offer.priority || a.offer.iat - b.offer.iat)
    if (best?.offer.offer === this.#current?.id) return false
    await this.#current?.file[Symbol.asyncDispose]()
    this.#current = undefined
    if (!best) return false
    const { trust, tenant, nowMs } = this.#options
    const { offer } = best
    const path = join(this.#incoming, offer.offer)
    try {
      const file = await IncomingFile.open({ offer, path, trust, tenant, nowMs })
      this.#current = { id: offer.offer, offer, file }
      return false
    } catch (error) {
      return (await this.#refused(offer.offer, error)) === 'CLOUD_OFFER'
    }
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
      await this.#refused(current.id, error)
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
