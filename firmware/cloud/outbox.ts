/** What was measured and recorded and not yet acknowledged by the fleet end: numbered, bounded, on disk; telemetry first in memory. */

import { CloudError } from './errors.ts'
import { type OutboxItem, OutboxRows, type OutboxSlice } from './outbox-rows.ts'
import { isStored } from './stored.ts'
import type { Stream } from './wire.ts'

export type { OutboxItem, OutboxSlice } from './outbox-rows.ts'

export interface OutboxLimits {
  readonly eventBytes: number
  readonly telemetryBytes: number
}

/** Numbers of telemetry thinned at a time when there is no room: one item in six stays; or dropped, where that was done already. */
const THIN_ITEMS = 600
const THIN_TO_ONE_IN = 6
/**
 * Telemetry that is acknowledged within seconds never touches the flash: a batch a minute cost it 100 MB a day. What waits for longer,
 * some eight minutes at 1 Hz, is written; a power cut loses what is not.
 */
const IN_MEMORY_BYTES = 16 * 1024
/** Numbers of telemetry set aside on disk at a time: none is given twice, whatever ends the process. Those left over are told as lost. */
const RESERVED_NUMBERS = 64
/** Of the streams that are not bounded by their bytes the oldest go; the gap is told as lost. */
const KEPT_ITEMS = { alm: 10_000, resp: 10_000, seg: 4000 } as const

export class Outbox implements Disposable {
  readonly #rows: OutboxRows
  readonly #limits: OutboxLimits
  readonly #onFault: (fault: CloudError | undefined) => void
  #fault: CloudError | undefined
  /** Numbers of telemetry up to this one are set aside on disk; undefined while none was given. */
  #reservedTo: number | undefined

  /** `onFault` is told when a write fails, and when one succeeds again. @throws CloudError CLOUD_STORE */
  constructor(
    path: string,
    limits: OutboxLimits,
    onFault: (fault: CloudError | undefined) => void = () => undefined,
  ) {
    this.#limits = limits
    this.#onFault = onFault
    try {
      this.#rows = new OutboxRows(path)
    } catch (cause) {
      throw new CloudError('CLOUD_STORE', 'the outbox cannot be read', { cause })
    }
  }

  [Symbol.dispose](): void {
    // Of what a full disk does not take, the numbers are told as lost.
    if (this.#reservedTo !== undefined) isStored(() => this.#keepTelemetry(this.lastOf('tele')))
    this.#rows[Symbol.dispose]()
  }

  /** Adds items with the next numbers, durably; telemetry may be lost in a power cut. Returns the last number. @throws CloudError CLOUD_STORE */
  append(stream: Exclude<Stream, 'evt'>, bodies: readonly Uint8Array[]): number {
    const { last } = this.#rows.stream(stream)
    const end = last + bodies.length
    const items = bodies.map((body, i) => ({ seq: last + 1 + i, body }))
    if (stream === 'tele') this.#appendTelemetry(items, end)
    else
      this.#write('FULL', () => {
        this.#rows.insert(stream, items)
        this.#rows.delete(stream, 'seq <= ?', end - KEPT_ITEMS[stream])
      })
    return end
  }

  /** Adds events under the core's own numbers, which go on where the last ended. @throws CloudError CLOUD_CORE for a gap, CLOUD_STORE */
  appendEvents(items: readonly OutboxItem[]): void {
    const { last } = this.#rows.stream('evt')
    for (const [i, item] of items.entries())
      if (item.seq !== last + 1 + i)
        throw new CloudError('CLOUD_CORE', `event ${item.seq} does not follow ${last + i}`)
    this.#write('FULL', () => this.#rows.insert('evt', items))
  }

  /** All that `body` writes, or none of it, durably. @throws CloudError CLOUD_STORE; what `body` throws */
  atomically(body: () => void): void {
    this.#write('FULL', body)
  }

  /** Why the last write failed; undefined while writes succeed. */
  get fault(): CloudError | undefined {
    return this.#fault
  }

  /** True while there is no room for events: no more may be taken from the core. */
  get isEventStoreFull(): boolean {
    return this.bytesOf('evt') >= this.#limits.eventBytes
  }

  bytesOf(stream: Stream): number {
    return this.#rows.bytesOf(stream)
  }

  lastOf(stream: Stream): number {
    return this.#rows.stream(stream).last
  }

  ackedOf(stream: Stream): number {
    return this.#rows.stream(stream).acked
  }

  /** Items waiting after `after`, as far as they are consecutive, at most `maxItems` and about `maxBytes`. */
  read(stream: Stream, after: number, maxItems: number, maxBytes: number): OutboxSlice {
    return this.#rows.read(stream, after, maxItems, maxBytes)
  }

  /** The fleet end has everything up to `seq`. Returns false for a number that was never given. */
  ack(stream: Stream, seq: number): boolean {
    const { last, acked } = this.#rows.stream(stream)
    if (seq > last) return false
    if (seq <= acked) return true
    // One that is lost in a power cut comes again.
    this.#write('NORMAL', () => {
      this.#rows.delete(stream, 'seq <= ?', seq)
      this.#rows.set(stream, 'acked', seq)
    })
    return true
  }

  fact(name: string): string | undefined {
    return this.#rows.fact(name)
  }

  setFact(name: string, value: string): void {
    this.#write('FULL', () => this.#rows.setFact(name, value))
  }

  #appendTelemetry(items: readonly OutboxItem[], end: number): void {
    if (end > (this.#reservedTo ?? 0)) this.#reserve(end + RESERVED_NUMBERS)
    this.#write('NORMAL', () => this.#rows.insert('tele', items))
    const isFull = this.bytesOf('tele') > this.#limits.telemetryBytes
    if (isFull || this.#rows.bytesInMemory > IN_MEMORY_BYTES)
      this.#keepTelemetry(this.#reservedTo ?? end)
    if (isFull) this.#makeRoom()
  }

  #reserve(last: number): void {
    this.#write('FULL', () => this.#rows.keepNumbers(last))
    this.#reservedTo = last
  }

  #keepTelemetry(last: number): void {
    this.#write('NORMAL', () => this.#rows.keepTelemetry(last))
  }

  /** CLOUD 3.5: thin the oldest telemetry first, then drop the oldest; the newest item stays. */
  #makeRoom(): void {
    const rows = this.#rows
    while (this.bytesOf('tele') > this.#limits.telemetryBytes) {
      const { last, thinned, acked } = rows.stream('tele')
      const from = Math.max(thinned, acked)
      const to = Math.min(from + THIN_ITEMS, last - 1)
      const before = this.bytesOf('tele')
      this.#write('NORMAL', () => {
        if (to > from)
          rows.delete('tele', `seq > ? AND seq <= ? AND seq % ${THIN_TO_ONE_IN} <> 0`, from, to)
        else {
          const oldest = rows.read('tele', acked, 1, 1).items[0]?.seq ?? last
          rows.delete('tele', 'seq < ?', Math.min(oldest + THIN_ITEMS, last))
        }
        rows.set('tele', 'thinned', Math.max(from, to))
      })
      if (to <= from && this.bytesOf('tele') === before) return // Only the newest is left.
    }
  }

  #write(synchronous: 'FULL' | 'NORMAL', body: () => void): void {
    const isPart = this.#rows.isTransaction
    try {
      this.#rows.transact(synchronous, body)
    } catch (cause) {
      throw isPart ? cause : this.#failed(cause)
    }
    if (isPart || !this.#fault) return
    this.#fault = undefined
    this.#onFault(undefined)
  }

  #failed(cause: unknown): unknown {
    if (!(cause instanceof Error && 'errcode' in cause)) return cause
    const reason = cause.message
    const fault = new CloudError('CLOUD_STORE', `not written: ${reason}`, { reason, cause })
    const isNews = this.#fault === undefined
    this.#fault = fault
    if (isNews) this.#onFault(fault)
    return fault
  }
}
