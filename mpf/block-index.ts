/** The block index (SPEC 6.2): where each block lies, which lines it holds, what it hashes to, and the machine state before it. */

import { view } from './container.ts'
import { MpfError } from './errors.ts'
import { decodeModal, encodeModal, MODAL_BYTES, type ModalState } from './gcode/modal.ts'
import { MAX_BLOCK_BYTES, MAX_FRAME_BYTES } from './limits.ts'
import type { ManifestPayload } from './manifest.ts'

export const BLOCK_DIGEST_BYTES = 16
export const INDEX_ENTRY_BYTES = 48 + MODAL_BYTES

export interface IndexEntry {
  /** Offset of the block's zstd frame in the body's plaintext. */
  readonly bodyOffset: number
  readonly compressedBytes: number
  readonly textBytes: number
  /** First line of the block, from 1. */
  readonly firstLine: number
  /** Layers begun before the block. */
  readonly layer: number
  readonly zMicrometres: number
  /** First 16 bytes of SHA-256 of the text. */
  readonly digest: Uint8Array
  /** Machine state before the block, as stored: compared byte by byte. */
  readonly modalBytes: Uint8Array
  readonly modal: ModalState
}

export function encodeIndex(entries: readonly Omit<IndexEntry, 'modalBytes'>[]): Uint8Array {
  const bytes = new Uint8Array(entries.length * INDEX_ENTRY_BYTES)
  const fields = view(bytes)
  for (const [i, entry] of entries.entries()) {
    const at = i * INDEX_ENTRY_BYTES
    fields.setBigUint64(at, BigInt(entry.bodyOffset))
    fields.setUint32(at + 8, entry.compressedBytes)
    fields.setUint32(at + 12, entry.textBytes)
    fields.setBigUint64(at + 16, BigInt(entry.firstLine))
    fields.setUint32(at + 24, entry.layer)
    fields.setInt32(at + 28, entry.zMicrometres)
    bytes.set(entry.digest, at + 32)
    bytes.set(encodeModal(entry.modal), at + 48)
  }
  return bytes
}

/**
 * Step 15: the entries are contiguous and add up to what was signed.
 * @throws MpfError MPF_INDEX
 */
export function decodeIndex(
  bytes: Uint8Array,
  body: ManifestPayload['enc']['body'],
): readonly IndexEntry[] {
  if (bytes.length !== body.blocks * INDEX_ENTRY_BYTES)
    throw new MpfError('MPF_INDEX', `${bytes.length} bytes of index for ${body.blocks} blocks`)
  let [bodyOffset, text, line] = [0, 0, 0]
  const entries = Array.from({ length: body.blocks }, (_, i) => {
    const entry = decodeEntry(bytes.subarray(i * INDEX_ENTRY_BYTES, (i + 1) * INDEX_ENTRY_BYTES), i)
    const isContiguous =
      entry.bodyOffset === bodyOffset && (i === 0 ? entry.firstLine === 1 : entry.firstLine > line)
    const isBounded =
      entry.textBytes > 0 &&
      entry.textBytes <= MAX_BLOCK_BYTES &&
      entry.compressedBytes > 0 &&
      entry.compressedBytes <= MAX_FRAME_BYTES
    if (!isContiguous || !isBounded)
      throw new MpfError('MPF_INDEX', `entry ${i} is not contiguous or out of range`, { block: i })
    bodyOffset += entry.compressedBytes
    text += entry.textBytes
    line = entry.firstLine
    return entry
  })
  if (bodyOffset !== body.plen || text !== body.text || line > body.lines)
    throw new MpfError('MPF_INDEX', 'entries do not add up to what was signed')
  return entries
}

function decodeEntry(bytes: Uint8Array, block: number): IndexEntry {
  const fields = view(bytes)
  const modalBytes = bytes.subarray(48)
  const modal = decodeModal(modalBytes)
  const [bodyOffset, firstLine] = [Number(fields.getBigUint64(0)), Number(fields.getBigUint64(16))]
  if (!modal || !Number.isSafeInteger(bodyOffset) || !Number.isSafeInteger(firstLine))
    throw new MpfError('MPF_INDEX', `entry ${block} holds no valid machine state or offset`, {
      block,
    })
  return {
    bodyOffset,
    compressedBytes: fields.getUint32(8),
    textBytes: fields.getUint32(12),
    firstLine,
    layer: fields.getUint32(24),
    zMicrometres: fields.getInt32(28),
    digest: bytes.subarray(32, 48),
    modalBytes,
    modal,
  }
}

/** Lines in block `i`. */
export function linesOf(index: readonly IndexEntry[], i: number, allLines: number): number {
  const [entry, following] = [index[i], index[i + 1]]
  return (following ? following.firstLine : allLines + 1) - (entry?.firstLine ?? 0)
}

/** The block that holds `line`. */
export function blockOfLine(index: readonly IndexEntry[], line: number): number {
  let [low, high] = [0, index.length - 1]
  while (low < high) {
    const middle = (low + high + 1) >> 1
    if ((index[middle]?.firstLine ?? 0) <= line) low = middle
    else high = middle - 1
  }
  return low
}
