/** Where a reader's bytes come from: random access, no file system in sight. */

import { MpfError } from './errors.ts'

export interface ByteSource {
  /** Total size in bytes, fixed while the source is open. */
  readonly sizeBytes: number
  /**
   * Exactly `length` bytes at `offset`. They stay as they are: a source may not use their buffer for a later read.
   * @throws MpfError MPF_IO when they cannot all be had.
   */
  read(offset: number, length: number): Promise<Uint8Array>
}

/** A source over bytes already in memory. */
export function memorySource(bytes: Uint8Array): ByteSource {
  return {
    sizeBytes: bytes.length,
    async read(offset, length) {
      if (offset < 0 || offset + length > bytes.length)
        throw new MpfError('MPF_IO', `read of ${length} bytes at ${offset} past ${bytes.length}`)
      return bytes.subarray(offset, offset + length)
    },
  }
}
