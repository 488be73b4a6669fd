/** The one way from ciphertext to plaintext (SPEC 5.4): leaf hash, then tag, then release; never the other way round. */

import { decodeBase64url } from './base64url.ts'
import type { Container } from './container.ts'
import { MpfError } from './errors.ts'
import {
  FLOE_KEY_BYTES,
  type FloeDecryptor,
  SEGMENT_OVERHEAD_BYTES,
  startDecryption,
} from './floe.ts'
import { openTree, type VerityTree } from './fsverity.ts'
import type { EncryptedStream, Manifest } from './manifest.ts'

/** Plaintext bytes whose tag has verified, and plaintext bytes handed out. The first is never below the second. */
export interface ReleaseCounter {
  verifiedBytes: number
  releasedBytes: number
}

/** One FLOE message, readable at random, verified before it is released. */
export class SealedStream {
  readonly counter: ReleaseCounter = { verifiedBytes: 0, releasedBytes: 0 }
  readonly #container: Container
  readonly #tree: VerityTree
  readonly #stream: EncryptedStream
  readonly #floe: FloeDecryptor
  readonly #segmentBytes: number
  #last: { readonly position: number; readonly plaintext: Buffer } | undefined

  constructor(
    container: Container,
    manifest: Manifest,
    tree: VerityTree,
    id: 1 | 2,
    floe: FloeDecryptor,
  ) {
    this.#container = container
    this.#tree = tree
    this.#stream = id === 1 ? manifest.meta : manifest.body
    this.#floe = floe
    this.#segmentBytes = manifest.segmentBytes
  }

  /**
   * Exactly `length` plaintext bytes at `offset`, in a fresh buffer the caller owns and zeroes.
   * Sequential reads open every segment once.
   * @throws MpfError MPF_SEG_LEN, MPF_SEG_HASH, MPF_SEG_AUTH, MPF_NO_FINAL, MPF_TREE, MPF_META (padding), MPF_IO
   */
  async read(offset: number, length: number): Promise<Buffer> {
    const room = this.#segmentBytes - SEGMENT_OVERHEAD_BYTES
    const first = Math.floor(offset / room)
    const last = Math.max(first, Math.ceil((offset + length) / room) - 1)
    const bytes = Buffer.allocUnsafeSlow(length)
    const unopened = this.#last?.position === first ? first + 1 : first
    const ciphertext = await this.#ciphertext(unopened, last)
    for (let position = first; position <= last; position++) {
      if (!this.#tree.isLoaded(this.#blockOf(position)))
        await this.#tree.load(this.#blockOf(position))
      const plaintext = this.#open(position, ciphertext, unopened)
      const from = Math.max(0, offset - position * room)
      const to = Math.min(plaintext.length, offset + length - position * room)
      plaintext.copy(bytes, position * room + from - offset, from, to)
      this.counter.releasedBytes += to - from
    }
    if (this.counter.releasedBytes > this.counter.verifiedBytes)
      throw new MpfError('MPF_SEG_AUTH', 'more bytes released than verified')
    return bytes
  }

  /** Forgets the segment kept for the next sequential read, and the keys. */
  [Symbol.dispose](): void {
    this.#last?.plaintext.fill(0)
    this.#last = undefined
    this.#floe[Symbol.dispose]()
  }

  #blockOf(position: number): number {
    return this.#stream.offset / this.#segmentBytes + position
  }

  /** The blocks of ENC that hold segments `first` to `last`. */
  async #ciphertext(first: number, last: number): Promise<Uint8Array> {
    if (first > last) return new Uint8Array()
    const { ENC } = this.#container.sections
    const start = this.#blockOf(first) * this.#segmentBytes
    const end = Math.min(ENC.length, (this.#blockOf(last) + 1) * this.#segmentBytes)
    return this.#container.source.read(ENC.offset + start, end - start)
  }

  /** Segment `position`; `ciphertext` starts with segment `first`. */
  #open(position: number, ciphertext: Uint8Array, first: number): Buffer {
    if (this.#last?.position === position) return this.#last.plaintext
    const at = (position - first) * this.#segmentBytes
    const block = ciphertext.subarray(at, at + this.#segmentBytes)
    this.#tree.expectBlock(this.#blockOf(position), block)
    const isFinal = position === this.#stream.segments - 1
    const segmentEnd = isFinal
      ? this.#stream.cipherBytes - position * this.#segmentBytes
      : this.#segmentBytes
    if (block.subarray(segmentEnd).some(byte => byte !== 0))
      throw new MpfError('MPF_META', 'padding between the streams is not zero')
    const plaintext = this.#floe.open(block.subarray(0, segmentEnd), position, isFinal)
    // Sequential reads need a segment again only while they end inside it.
    this.#last?.plaintext.fill(0)
    this.#last = { position, plaintext }
    this.counter.verifiedBytes += plaintext.length
    return plaintext
  }
}

/** Step 12 for one stream. @throws MpfError MPF_PARAMS, MPF_KEY_COMMIT */
export function startStream(manifest: Manifest, id: 1 | 2, key: Uint8Array): FloeDecryptor {
  if (key.length !== FLOE_KEY_BYTES)
    throw new MpfError('MPF_UNWRAP', 'content keys could not be unwrapped')
  const stream = id === 1 ? manifest.meta : manifest.body
  const fileId = decodeBase64url(manifest.payload.fid) ?? new Uint8Array()
  const context = streamContext(id, fileId, manifest.publicDigest)
  return startDecryption(key, context, stream.header, manifest.segmentBytes)
}

/** FLOE associated data (SPEC 4.5): the format, which stream, which file, which public header. */
export function streamContext(
  streamId: 1 | 2,
  fileId: Uint8Array,
  publicDigest: Uint8Array,
): Uint8Array {
  return Buffer.concat([Buffer.from('MPF1\0'), Uint8Array.of(streamId), fileId, publicDigest])
}

/** Step 13. @throws MpfError MPF_TREE, MPF_IO */
export function openSealedTree(container: Container, manifest: Manifest): Promise<VerityTree> {
  const { TRE } = container.sections
  const digest = decodeBase64url(manifest.payload.tree.dig) ?? new Uint8Array()
  return openTree(manifest.tree, digest, (offset, length) =>
    container.source.read(TRE.offset + offset, length),
  )
}
