/** Steps 14 and 17: the program, block by block. Apart from `open.ts` so that a reader of blocks loads no schema and no JOSE. */

import { type IndexEntry, linesOf } from './block-index.ts'
import { decompressBlock } from './blocks.ts'
import type { Container } from './container.ts'
import { MpfError } from './errors.ts'
import type { ContentKeys } from './grant.ts'
import type { Manifest } from './manifest.ts'
import { openSealedTree, type ReleaseCounter, SealedStream, startStream } from './streams.ts'

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
