/** Steps 12 to 15 for a reader that holds keys: metadata and index; seeking by line; and the keyless check of every byte. */

import { blockOfLine, decodeIndex, type IndexEntry } from './block-index.ts'
import { openBody } from './body.ts'
import type { Container } from './container.ts'
import { MpfError } from './errors.ts'
import type { ContentKeys } from './grant.ts'
import type { Manifest } from './manifest.ts'
import { decodeMetadata, type PartMetadata } from './metadata.ts'
import { openSealedTree, SealedStream, startStream } from './streams.ts'

/** What a view or print grant opens. */
export interface Meta extends PartMetadata {
  readonly index: readonly IndexEntry[]
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
