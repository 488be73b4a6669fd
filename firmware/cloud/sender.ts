/** Moves the outbox over an open link: most urgent stream first, a small window, everything again from the last acknowledgement when none comes. */

import type { Clock } from '#lib/clock.ts'
import { type BatchSigner, signBatch } from './batch-signature.ts'
import { CloudError } from './errors.ts'
import type { Link } from './mqtt-link.ts'
import type { Outbox } from './outbox.ts'
import { type BatchHeader, encodeBatch, STREAMS, type Stream, streamTopic } from './wire.ts'

export interface SenderOptions {
  readonly device: string
  readonly outbox: Outbox
  readonly clock: Clock
  /** The part of the header that does not depend on the batch. */
  readonly header: () => Pick<BatchHeader, 'dev' | 'ten' | 'boot' | 'ses' | 'ts' | 'clk' | 'sch'>
  /** Sees the exact bytes of each publish before it is sent; false: not now, it goes out with the next beginning. */
  readonly mayLeave?: (topic: string, payload: Uint8Array) => boolean
  /** Told when the broker refuses a message; it stays in the outbox. */
  readonly onRefused: (error: CloudError) => void
}

/** Items and bytes before compression in one message. */
const BATCH_ITEMS: Readonly<Record<Stream, number>> = {
  ...{ alm: 50, resp: 8, evt: 200, tele: 1, seg: 4 },
}
const BATCH_BYTES = 128 * 1024
/** Sent and not acknowledged by the fleet end, at most, so that a silent ingest does not get the whole store again and again. */
const UNACKED_ITEMS: Readonly<Record<Stream, number>> = {
  ...{ alm: 500, resp: 64, evt: 8000, tele: 64, seg: 64 },
}
/** CLOUD 3.5: from the head again after 1.5 to 30 s without progress. */
const RESEND_MIN_MS = 1500
const RESEND_MAX_MS = 30_000

export class Sender {
  readonly #options: SenderOptions
  readonly #sentTo = new Map<Stream, number>()
  #wake = Promise.withResolvers<void>()
  #resendMs = RESEND_MIN_MS
  #signer: BatchSigner | undefined

  constructor(options: SenderOptions) {
    this.#options = options
  }

  /** Something was added to the outbox. */
  added(): void {
    this.#wake.resolve()
  }

  /** The fleet end acknowledged something new. */
  acknowledged(): void {
    this.#resendMs = RESEND_MIN_MS
    this.#wake.resolve()
  }

  /** Sends until the signal aborts. Rejects only when the outbox fails. */
  async run(link: Link, signer: BatchSigner, signal: AbortSignal): Promise<void> {
    const { outbox } = this.#options
    this.#signer = signer
    for (const stream of STREAMS) this.#sentTo.set(stream, outbox.ackedOf(stream))
    this.#resendMs = RESEND_MIN_MS
    signal.addEventListener('abort', () => this.#wake.resolve(), { once: true })
    const inFlight = new Set<Promise<void>>()
    while (!signal.aborted) {
      const stream = inFlight.size < link.window ? this.#nextStream() : undefined
      if (stream !== undefined && this.#send(link, stream, inFlight)) continue
      await this.#rest(inFlight, signal)
    }
    await Promise.all(inFlight)
  }

  /** Waits for news, for room in the window, or for the time to begin again. */
  async #rest(inFlight: ReadonlySet<Promise<void>>, signal: AbortSignal): Promise<void> {
    const { clock } = this.#options
    this.#wake = Promise.withResolvers()
    if (this.#nextStream() !== undefined && inFlight.size === 0) return
    const woken = new AbortController()
    const news = this.#wake.promise.then(() => 'news' as const)
    const room = inFlight.size > 0 ? [Promise.race(inFlight).then(() => 'room' as const)] : []
    const isWaiting = this.#isAckDue()
    const due = isWaiting
      ? [
          clock
            .sleep(this.#resendMs, AbortSignal.any([woken.signal, signal]))
            .then(() => 'due' as const)
            .catch(() => 'news' as const),
        ]
      : []
    const reason = await Promise.race([news, ...room, ...due])
    woken.abort()
    if (reason === 'due') this.#beginAgain()
  }

  #isAckDue(): boolean {
    const { outbox } = this.#options
    return STREAMS.some(stream => (this.#sentTo.get(stream) ?? 0) > outbox.ackedOf(stream))
  }

  #beginAgain(): void {
    const { outbox } = this.#options
    for (const stream of STREAMS) this.#sentTo.set(stream, outbox.ackedOf(stream))
    this.#resendMs = Math.min(this.#resendMs * 2, RESEND_MAX_MS)
  }

  #nextStream(): Stream | undefined {
    const { outbox } = this.#options
    return STREAMS.find(stream => {
      const acked = outbox.ackedOf(stream)
      const sent = Math.max(this.#sentTo.get(stream) ?? 0, acked)
      return outbox.lastOf(stream) > sent && sent - acked < UNACKED_ITEMS[stream]
    })
  }

  /** False when there was nothing to send after all. */
  #send(link: Link, stream: Stream, inFlight: Set<Promise<void>>): boolean {
    const { device, outbox, header, mayLeave } = this.#options
    const after = Math.max(this.#sentTo.get(stream) ?? 0, outbox.ackedOf(stream))
    const { items, lost } = outbox.read(stream, after, BATCH_ITEMS[stream], BATCH_BYTES)
    const [first] = items
    const last = items.at(-1)
    if (!first || !last) {
      this.#sentTo.set(stream, outbox.lastOf(stream))
      return false
    }
    const batch = encodeBatch(
      {
        v: 1,
        ...header(),
        ...{ str: stream, seq0: first.seq, n: items.length, enc: 'json+deflate' as const },
        ...(lost && { lost: [...lost] as [number, number] }),
      },
      items.map(({ body }) => body),
    )
    const topic = streamTopic(device, stream)
    // Events are proven by their chain; the numbers of every other stream by this signature alone.
    const payload = this.#signer && stream !== 'evt' ? signBatch(batch, this.#signer) : batch
    this.#sentTo.set(stream, last.seq)
    if (mayLeave?.(topic, payload) === false) return true
    const sending = link
      .publish({ topic, payload })
      .catch((error: unknown) => this.#refused(error))
      .finally(() => inFlight.delete(sending))
    inFlight.add(sending)
    return true
  }

  /** The row stays; it goes out again with the next beginning. */
  #refused(error: unknown): void {
    if (!(error instanceof CloudError)) throw error
    if (error.code !== 'CLOUD_LOST') this.#options.onRefused(error)
  }
}
