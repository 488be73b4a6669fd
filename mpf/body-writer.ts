/** The body as it is written: compressed blocks to FLOE segments, in a store that only ever holds ciphertext. */

import { roundUp } from './container.ts'
import { type FloeEncryptor, SEGMENT_OVERHEAD_BYTES, startEncryption } from './floe.ts'
import { SEGMENT_BYTES, SMALL_ENC_BYTES, SMALL_SEGMENT_BYTES } from './limits.ts'
import { type SegmentBytes, segmentCount } from './manifest.ts'

/** Where the ciphertext of the body waits until the manifest over it is signed. Ciphertext only: a file is fine. */
export interface SegmentStore {
  append(segment: Uint8Array): Promise<void>
  read(): AsyncIterable<Uint8Array>
}

/** A store in memory. */
export function memoryStore(): SegmentStore {
  const segments: Uint8Array[] = []
  return {
    async append(segment) {
      segments.push(segment)
    },
    async *read() {
      yield* segments
    },
  }
}

/** Collects the body's plaintext; the segment size is decided once it is known whether the file stays small. */
export class BodyWriter {
  plainBytes = 0
  readonly #key: Uint8Array
  readonly #context: Uint8Array
  readonly #store: SegmentStore
  #floe: FloeEncryptor | undefined
  #pending: Buffer[] = []
  #position = 0

  constructor(key: Uint8Array, context: Uint8Array, store: SegmentStore) {
    this.#key = key
    this.#context = context
    this.#store = store
  }

  async write(bytes: Uint8Array): Promise<void> {
    this.#pending.push(Buffer.from(bytes))
    this.plainBytes += bytes.length
    if (this.plainBytes < SMALL_ENC_BYTES) return
    this.#floe ??= startEncryption(this.#key, this.#context, SEGMENT_BYTES)
    await this.#flush(this.#floe, false)
  }

  async end(metaBytes: number) {
    const segmentBytes = this.#floe ? SEGMENT_BYTES : this.#smallest(metaBytes)
    using floe = this.#floe ?? startEncryption(this.#key, this.#context, segmentBytes)
    await this.#flush(floe, true)
    return {
      header: floe.header,
      segmentBytes,
      plainBytes: this.plainBytes,
      cipherBytes: this.plainBytes + this.#position * SEGMENT_OVERHEAD_BYTES,
    }
  }

  #smallest(metaBytes: number): SegmentBytes {
    const cipherBytes = (plain: number) =>
      plain + segmentCount(plain, SMALL_SEGMENT_BYTES) * SEGMENT_OVERHEAD_BYTES
    const encBytes =
      roundUp(cipherBytes(metaBytes), SMALL_SEGMENT_BYTES) + cipherBytes(this.plainBytes)
    return encBytes < SMALL_ENC_BYTES ? SMALL_SEGMENT_BYTES : SEGMENT_BYTES
  }

  /** Seals full segments; the last `room` bytes or fewer stay, since a final segment may not be empty unless the stream is. */
  async #flush(floe: FloeEncryptor, isEnd: boolean): Promise<void> {
    const room = floe.segmentBytes - SEGMENT_OVERHEAD_BYTES
    const pending = Buffer.concat(this.#pending)
    let at = 0
    while (pending.length - at > room) {
      await this.#store.append(floe.seal(pending.subarray(at, at + room), this.#position++, false))
      at += room
    }
    const rest = pending.subarray(at)
    if (isEnd) await this.#store.append(floe.seal(rest, this.#position++, true))
    this.#pending = [rest]
  }
}
