/** One block of text to one zstd frame and back (SPEC 6.1): one accepted frame shape, three caps against bombs. */

import { hash, timingSafeEqual } from 'node:crypto'
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { BLOCK_DIGEST_BYTES, type IndexEntry } from './block-index.ts'
import { view } from './container.ts'
import { MpfError } from './errors.ts'
import { KIB } from './limits.ts'

const FRAME_MAGIC = 0xfd2fb528
const WINDOW_LOG = 20
/** zlib's smallest output chunk. */
const MIN_CHUNK_BYTES = 64
const LF = 10
/** Magic and descriptor. */
const FRAME_HEAD_BYTES = 5
const BLOCK_HEAD_BYTES = 3
/** Block_Maximum_Size (RFC 8878 3.1.1.2.4) of a frame whose window is its content. */
const MAX_FRAME_BLOCK_BYTES = 128 * KIB

export function blockDigest(text: Uint8Array): Uint8Array {
  return hash('sha256', text, 'buffer').subarray(0, BLOCK_DIGEST_BYTES)
}

/** One single-segment zstd frame with its content size, no checksum, no dictionary. */
export function compressBlock(text: Uint8Array, level: number): Uint8Array {
  return zstdCompressSync(text, {
    pledgedSrcSize: text.length,
    params: {
      [constants.ZSTD_c_compressionLevel]: level,
      [constants.ZSTD_c_windowLog]: WINDOW_LOG,
      [constants.ZSTD_c_contentSizeFlag]: 1,
      [constants.ZSTD_c_checksumFlag]: 0,
    },
  })
}

/**
 * Step 17: the text of one block. The caller owns, and zeroes, the buffer.
 * @throws MpfError MPF_DECOMPRESS (frame shape, bounds, trailing bytes), MPF_BLOCK (digest, last byte)
 */
export function decompressBlock(frame: Uint8Array, entry: IndexEntry, block: number): Buffer {
  if (contentSize(frame) !== entry.textBytes)
    throw new MpfError(
      'MPF_DECOMPRESS',
      `block ${block}: frame does not declare ${entry.textBytes} bytes`,
      { block },
    )
  if (frameBytes(frame, entry.textBytes) !== frame.length)
    throw new MpfError('MPF_DECOMPRESS', `block ${block} is not exactly one sound frame`, { block })
  let text: Buffer
  try {
    text = zstdDecompressSync(frame, {
      maxOutputLength: entry.textBytes,
      // One byte more than can come: a chunk that is exactly full makes Node allocate another one.
      chunkSize: Math.max(MIN_CHUNK_BYTES, entry.textBytes + 1),
      params: { [constants.ZSTD_d_windowLogMax]: WINDOW_LOG },
      // Without it Node stops after the first frame and ignores the rest; with it, it still takes further frames.
      rejectGarbageAfterEnd: true,
    })
  } catch (cause) {
    throw new MpfError('MPF_DECOMPRESS', `block ${block} does not decompress within its bounds`, {
      block,
      cause,
    })
  }
  if (text.length !== entry.textBytes)
    throw new MpfError(
      'MPF_DECOMPRESS',
      `block ${block}: ${text.length} of ${entry.textBytes} bytes`,
      { block },
    )
  if (text.at(-1) !== LF || !timingSafeEqual(blockDigest(text), entry.digest)) {
    text.fill(0)
    throw new MpfError('MPF_BLOCK', `block ${block} differs from the index`, { block })
  }
  return text
}

/** Frame_Content_Size of a frame of the accepted shape (RFC 8878 3.1.1.1), or -1. */
function contentSize(frame: Uint8Array): number {
  if (frame.length < 9) return -1
  const fields = view(frame)
  const descriptor = frame[4] as number
  const sizeFlag = descriptor >> 6
  // Single segment, nothing reserved, no checksum, no dictionary.
  if (fields.getUint32(0, true) !== FRAME_MAGIC || (descriptor & 0x3f) !== 0x20) return -1
  if (sizeFlag === 0) return frame[5] as number
  if (sizeFlag === 1) return fields.getUint16(5, true) + 256
  return sizeFlag === 2 ? fields.getUint32(5, true) : -1
}

/**
 * Where the frame's last block ends (RFC 8878 3.1.1.2), or -1 when one is longer than any may be. A decoder passes silently over
 * empty and skippable frames behind it, and over long blocks where its output has room.
 */
function frameBytes(frame: Uint8Array, contentBytes: number): number {
  const maxBlockBytes = Math.min(contentBytes, MAX_FRAME_BLOCK_BYTES)
  const descriptor = frame[4] as number
  let at = FRAME_HEAD_BYTES + 2 ** (descriptor >> 6)
  for (let isLast = false; !isLast && at + BLOCK_HEAD_BYTES <= frame.length; ) {
    const head = (frame[at] as number) | (view(frame).getUint16(at + 1, true) << 8)
    if (head >> 3 > maxBlockBytes) return -1
    isLast = (head & 1) === 1
    const isRunLength = ((head >> 1) & 3) === 1
    at += BLOCK_HEAD_BYTES + (isRunLength ? 1 : head >> 3)
  }
  return at
}
