/** One offered file on its way in: which bytes are there, which come next, and none of them kept unless it is what was signed. */

import { createHash } from 'node:crypto'
import { type FileHandle, open } from 'node:fs/promises'
import { writeFileAtomically } from '#lib/atomic-file.ts'
import { MpfError, openSealedTree, readContainer, type TrustBundle, verifyManifest } from '#mpf'
import { CloudError } from './errors.ts'
import type { OfferStatement } from './wire.ts'

/** A multiple of both segment lengths of the format (SPEC 5.2). */
export const BLOCK_BYTES = 128 * 1024
/** Asked for and not here yet, at most; asked for anew at half of it: 3 MiB are always on their way, 60 MB/s at 50 ms. */
export const WINDOW_BLOCKS = 48
/** Progress is written down this often, and at an orderly end: what a kill asks for again, at most. */
const KEEP_BLOCKS = 16
const FILE_MODE = 0o640

type Tree = Awaited<ReturnType<typeof openSealedTree>>

export interface IncomingOptions {
  readonly offer: OfferStatement
  /** Path without ending: `.part` holds the bytes, `.done` how many of them are verified. */
  readonly path: string
  readonly trust: TrustBundle
  readonly tenant: string
  readonly nowMs: () => number
}

export class IncomingFile implements AsyncDisposable {
  readonly #options: IncomingOptions
  readonly #file: FileHandle
  /** Verified bytes from the start, without a hole; blocks beyond them that are here; blocks asked for. */
  #prefixBytes: number
  #keptBytes: number
  readonly #beyond = new Map<number, number>()
  readonly #asked = new Set<number>()
  #tree: Tree | undefined

  private constructor(options: IncomingOptions, file: FileHandle, prefixBytes: number) {
    this.#options = options
    this.#file = file
    this.#prefixBytes = prefixBytes
    this.#keptBytes = prefixBytes
  }

  /** Goes on where an earlier life ended. @throws CloudError CLOUD_STORE */
  static async open(options: IncomingOptions): Promise<IncomingFile> {
    try {
      const file = await open(`${options.path}.part`, 'a+', FILE_MODE).then(async made => {
        await made.close()
        return open(`${options.path}.part`, 'r+')
      })
      try {
        const incoming = new IncomingFile(options, file, await keptPrefix(options, file))
        await incoming.#openTree()
        return incoming
      } catch (error) {
        await file.close()
        throw error
      }
    } catch (cause) {
      if (cause instanceof CloudError) throw cause
      throw new CloudError('CLOUD_STORE', 'the transfer cannot be opened', { cause })
    }
  }

  get prefixBytes(): number {
    return this.#prefixBytes
  }

  get isComplete(): boolean {
    return this.#prefixBytes === this.#options.offer.sizeBytes
  }

  /** The next ranges to ask for, so that the window is full; nothing while more than half of it is on its way. */
  nextRanges(): readonly (readonly [number, number])[] {
    if (this.#asked.size > WINDOW_BLOCKS / 2) return []
    const ranges: [number, number][] = []
    let at = this.#prefixBytes
    const end = this.#phaseEnd()
    while (at < end && this.#asked.size + this.#beyond.size < WINDOW_BLOCKS) {
      const length = this.#lengthAt(at)
      if (!this.#asked.has(at) && !this.#beyond.has(at)) {
        this.#asked.add(at)
        const last = ranges.at(-1)
        if (last && last[0] + last[1] === at) last[1] += length
        else ranges.push([at, length])
      }
      at += length
    }
    return ranges
  }

  /** Nothing that was asked for will come any more: the link or the fleet end was restarted. */
  forgetAsked(): void {
    this.#asked.clear()
  }

  /**
   * Takes one block. True when it was asked for and is what was signed.
   * @throws CloudError CLOUD_BLOCK when it is not, CLOUD_OFFER when the whole offer cannot be; the system's error
   */
  async take(offset: number, bytes: Uint8Array): Promise<boolean> {
    if (!this.#asked.has(offset) || bytes.length !== this.#lengthAt(offset)) return false
    this.#asked.delete(offset)
    await this.#expectSigned(offset, bytes)
    // The last write before a disk is full takes a part.
    for (let at = 0; at < bytes.length; )
      at += (await this.#file.write(bytes, at, bytes.length - at, offset + at)).bytesWritten
    this.#beyond.set(offset, bytes.length)
    for (let length = this.#beyond.get(this.#prefixBytes); length !== undefined; ) {
      this.#beyond.delete(this.#prefixBytes)
      this.#prefixBytes += length
      length = this.#beyond.get(this.#prefixBytes)
    }
    await this.#finishFront()
    const isDue = this.#prefixBytes - this.#keptBytes >= KEEP_BLOCKS * BLOCK_BYTES
    if (isDue || this.isComplete) await this.#keep()
    return true
  }

  /** SHA-256 over the whole file as it lies on disk. @throws CloudError CLOUD_BLOCK when it is not the offered one */
  async expectWhole(signal: AbortSignal): Promise<void> {
    const { offer } = this.#options
    const digest = await digestOf(this.#file, offer.sizeBytes, signal)
    if (digest !== offer.sha256) {
      await this.#restart()
      throw new CloudError('CLOUD_BLOCK', 'the whole file is not the offered one')
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // What cannot be written down is asked for again.
    if (this.#prefixBytes > this.#keptBytes) await this.#keep().catch(() => undefined)
    await this.#file.close()
  }

  /** The front has no tree yet: it is asked for alone and compared as a whole. */
  #phaseEnd(): number {
    const { frontBytes, sizeBytes } = this.#options.offer
    return this.#tree ? sizeBytes : frontBytes
  }

  #lengthAt(offset: number): number {
    const { frontBytes, sizeBytes } = this.#options.offer
    const end = offset < frontBytes ? frontBytes : sizeBytes
    return Math.min(BLOCK_BYTES, end - offset)
  }

  async #expectSigned(offset: number, bytes: Uint8Array): Promise<void> {
    const { frontBytes } = this.#options.offer
    if (offset < frontBytes || !this.#tree) return
    const segmentBytes = this.#segmentBytes
    for (let at = 0; at < bytes.length; at += segmentBytes) {
      const segment = (offset - frontBytes + at) / segmentBytes
      try {
        if (!this.#tree.isLoaded(segment)) await this.#tree.load(segment)
        this.#tree.expectBlock(segment, bytes.subarray(at, at + segmentBytes))
      } catch (cause) {
        if (!(cause instanceof MpfError)) throw cause
        throw new CloudError('CLOUD_BLOCK', cause.message, { reason: cause.code, cause })
      }
    }
  }

  async #finishFront(): Promise<void> {
    const { frontBytes, frontSha256 } = this.#options.offer
    if (this.#tree || this.#prefixBytes < frontBytes) return
    const digest = await digestOf(this.#file, frontBytes)
    if (digest !== frontSha256) {
      await this.#restart()
      throw new CloudError('CLOUD_BLOCK', 'the front of the file is not the offered one')
    }
    await this.#openTree()
  }

  #segmentBytes = 0

  /** @throws CloudError CLOUD_OFFER when the file can never be admitted: the publisher offered something else than a sealed file */
  async #openTree(): Promise<void> {
    const { offer, trust, tenant, nowMs } = this.#options
    if (this.#prefixBytes < offer.frontBytes) return
    try {
      const container = await readContainer({
        sizeBytes: offer.sizeBytes,
        read: (offset, length) => this.#readFront(offset, length),
      })
      const checks = { trust, tenant, atMs: nowMs(), seqFloor: () => 0 }
      const manifest = await verifyManifest(container, checks)
      if (container.sections.ENC.offset !== offer.frontBytes)
        throw new MpfError('MPF_LAYOUT', 'the front does not end where the ciphertext begins')
      this.#segmentBytes = manifest.segmentBytes
      this.#tree = await openSealedTree(container, manifest)
    } catch (cause) {
      if (!(cause instanceof MpfError)) throw cause
      throw new CloudError('CLOUD_OFFER', cause.message, { reason: cause.code, cause })
    }
  }

  async #readFront(offset: number, length: number): Promise<Uint8Array> {
    if (offset + length > this.#options.offer.frontBytes)
      throw new MpfError('MPF_LAYOUT', 'read beyond the front')
    const bytes = Buffer.alloc(length)
    await this.#file.read(bytes, 0, length, offset)
    return bytes
  }

  async #keep(): Promise<void> {
    await this.#file.datasync()
    const text = Buffer.from(String(this.#prefixBytes))
    await writeFileAtomically(`${this.#options.path}.done`, text, { mode: FILE_MODE })
    this.#keptBytes = this.#prefixBytes
  }

  async #restart(): Promise<void> {
    this.#prefixBytes = 0
    this.#beyond.clear()
    this.#asked.clear()
    this.#tree = undefined
    await this.#keep()
  }
}

/** What an earlier life wrote down; nothing when it is not to be believed. */
async function keptPrefix(options: IncomingOptions, file: FileHandle): Promise<number> {
  const { offer, path } = options
  await using done = await open(`${path}.done`, 'r').catch(() => undefined)
  const kept = Number(done ? await done.readFile('utf8') : 0)
  const { size } = await file.stat()
  if (!Number.isSafeInteger(kept) || kept < 0 || kept > size || kept > offer.sizeBytes) return 0
  if (kept < offer.frontBytes) return 0
  return (await digestOf(file, offer.frontBytes)) === offer.frontSha256 ? kept : 0
}

async function digestOf(file: FileHandle, bytes: number, signal?: AbortSignal): Promise<string> {
  const hash = createHash('sha256')
  const chunk = Buffer.alloc(1024 * 1024)
  for (let at = 0; at < bytes; ) {
    signal?.throwIfAborted()
    const { bytesRead } = await file.read(chunk, 0, Math.min(chunk.length, bytes - at), at)
    if (bytesRead === 0) return ''
    hash.update(chunk.subarray(0, bytesRead))
    at += bytesRead
  }
  return hash.digest('hex')
}
