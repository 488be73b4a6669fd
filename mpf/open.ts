/** Steps 12 to 17 for a reader that holds keys: metadata first, then the program block by block; and the keyless check of every byte. */

import { blockOfLine, decodeIndex, type IndexEntry, linesOf } from './block-index.ts'
import { decompressBlock } from './blocks.ts'
import type { Container } from './container.ts'
import { MpfError } from './errors.ts'
import type { ContentKeys } from './grant.ts'
import type { Manifest } from './manifest.ts'
import { decodeMetadata, type PartMetadata } from './metadata.ts'
import { openSealedTree, type ReleaseCounter, SealedStream, startStream } from './streams.ts'

/** What a view or print grant opens. */
export interface Meta extends PartMetadata {
  readonly index: readonly IndexEntry[]
}

/** A block of the program: authenticated, decompressed, equal to the index. Not yet checked as G-code. */
export interface VerifiedBlock {
  readonly index: number
  /** Line number of its first line, from 1. */
  readonly firstLine: number
  readonly lines: number
  /** Layers begun before it. */
  readonly layer: number
  /** Whole LF-terminated lines. The consumer owns the buffer and zeroes it. */
  readonly text: Buffer
}

/**
 * Steps 12 to 15: proves the keys are the ones signed for, opens metadata and index.
 * @throws MpfError MPF_PARAMS, MPF_KEY_COMMIT, MPF_TREE, MPF_SEG_*, MPF_NO_FINAL, MPF_META, MPF_INDEX, MPF_IO
 */
export async function openMeta(
  container: Container,
  manifest: Manifest,
  keys: ContentKeys,
): Promise<Meta> {
  using floe = startStream(manifest, 1, keys.meta)
  if (keys.body) startStream(manifest, 2, keys.body)[Symbol.dispose]()
  const tree = await openSealedTree(container, manifest)
  using stream = new SealedStream(container, manifest, tree, 1, floe)
  const { metadata, index } = decodeMetadata(await stream.read(0, manifest.meta.plainBytes))
  return { ...metadata, index: decodeIndex(index, manifest.payload.enc.body) }
}

export interface BodyOptions {
  readonly fromBlock?: number
  readonly signal?: AbortSignal
  /** Receives the counters of the stream, for the proof that nothing unverified was released. */
  readonly counter?: (counter: Readonly<ReleaseCounter>) => void
}

/**
 * Steps 14 and 17, block by block: each block is yielded only after all its segments and its text have verified.
 * @throws MpfError MPF_SEG_*, MPF_NO_FINAL, MPF_TREE, MPF_DECOMPRESS, MPF_BLOCK, MPF_IO, and MPF_GRANT_SCOPE without the body key; `signal.reason`
 */
export async function* openBody(
  container: Container,
  manifest: Manifest,
  keys: ContentKeys,
  index: readonly IndexEntry[],
  options: BodyOptions = {},
): AsyncGenerator<VerifiedBlock, void, void> {
  if (!keys.body) throw new MpfError('MPF_GRANT_SCOPE', 'a view-only grant')
  using floe = startStream(manifest, 2, keys.body)
  const tree = await openSealedTree(container, manifest)
  using stream = new SealedStream(container, manifest, tree, 2, floe)
  options.counter?.(stream.counter)
  for (let i = options.fromBlock ?? 0; i < index.length; i++) {
    options.signal?.throwIfAborted()
    const entry = index[i] as IndexEntry
    const frame = await stream.read(entry.bodyOffset, entry.compressedBytes)
    const text = decompressBlock(frame, entry, i)
    frame.fill(0)
    const lines = linesOf(index, i, manifest.payload.enc.body.lines)
    yield { index: i, firstLine: entry.firstLine, lines, layer: entry.layer, text }
  }
}

/**
 * The text from the start of `line` to the end of its block: seeks, opens only the segments it needs.
 * @throws as openBody, and MPF_INDEX for a line the program has not or a block that ends before it
 */
export async function openAtLine(
  container: Container,
  manifest: Manifest,
  keys: ContentKeys,
  index: readonly IndexEntry[],
  line: number,
): Promise<Buffer> {
  const { lines } = manifest.payload.enc.body
  const missing = () => new MpfError('MPF_INDEX', `line ${line} of ${lines}`)
  if (!Number.isInteger(line) || line < 1 || line > lines) throw missing()
  for await (const block of openBody(container, manifest, keys, index, {
    fromBlock: blockOfLine(index, line),
  })) {
    let at = 0
    for (let skip = line - block.firstLine; skip > 0; skip--) {
      at = block.text.indexOf(10, at) + 1
      if (at === 0 || at === block.text.length) throw missing()
    }
    return block.text.subarray(at)
  }
  throw missing()
}

/**
 * Proves every byte of ENC against the signed digest, without any key.
 * @param onProgress bytes checked so far
 * @throws MpfError MPF_TREE, MPF_SEG_HASH, MPF_IO; `signal.reason`
 */
export async function verifyCiphertext(
  container: Container,
  manifest: Manifest,
  options: { readonly signal?: AbortSignal; readonly onProgress?: (bytes: number) => void } = {},
): Promise<void> {
  const tree = await openSealedTree(container, manifest)
  const { ENC } = container.sections
  const size = manifest.segmentBytes
  const batch = Math.max(1, Math.floor(1_048_576 / size)) * size
  for (let at = 0; at < ENC.length; at += batch) {
    options.signal?.throwIfAborted()
    const bytes = await container.source.read(ENC.offset + at, Math.min(batch, ENC.length - at))
    for (let from = 0; from < bytes.length; from += size) {
      const block = (at + from) / size
      if (!tree.isLoaded(block)) await tree.load(block)
      tree.expectBlock(block, bytes.subarray(from, from + size))
    }
    options.onProgress?.(at + bytes.length)
  }
}
