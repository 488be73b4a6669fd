/** Cases of single Zstandard frames. */

import { constants } from 'node:zlib'
import { rawFrame, zstdFrame } from '../mpf-forge-program.ts'
import { type Case, fault, flip, set } from './case.ts'

/** One comment after another: a byte more than a Zstandard block may hold. */
const LONG_TEXT = `${';\n'.repeat(65_535)};x\n`

/** A frame of one block that repeats the text's first byte. */
function repeatedFrame(header: readonly number[], text: Uint8Array): Buffer {
  const frame = rawFrame(header, text).subarray(0, 4 + header.length + 3)
  frame[4 + header.length] = (frame[4 + header.length] ?? 0) | 2
  return Buffer.concat([frame, text.subarray(0, 1)])
}

function littleEndian(value: number): readonly number[] {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return [...bytes]
}

export function frameFaults(): Case[] {
  const lastFrame =
    (change: (frame: Buffer, text: Buffer) => Uint8Array) =>
    (frame: Buffer, block: number, text: Buffer) =>
      block === 2 ? change(frame, text) : frame
  const of = (name: string, change: (frame: Buffer, text: Buffer) => Uint8Array) =>
    fault(`MPF_DECOMPRESS/${name}`, { frame: lastFrame(change) })
  const bomb = zstdFrame(Buffer.alloc(64 * 1024 * 1024, 'G1\n'))
  const skippable = Buffer.from('502a4d180400000041424344', 'hex')
  return [
    of('bomb-as-declared', () => bomb),
    of('bomb-declared-small', (_, text) =>
      Buffer.concat([Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x20, text.length]), bomb.subarray(9)]),
    ),
    of('window-bomb', (_, text) => rawFrame([0x00, 0x88], text)),
    of('window-of-2-gib-with-size', (_, text) => rawFrame([0x40, 0xa8, text.length, 0], text)),
    of('skippable-frame-before', frame => Buffer.concat([skippable, frame])),
    of('skippable-frame-after', frame => Buffer.concat([frame, skippable])),
    of('empty-skippable-frame-after', frame =>
      Buffer.concat([frame, Buffer.from('502a4d1800000000', 'hex')]),
    ),
    of('only-a-skippable-frame', () => skippable),
    of('two-frames', frame => Buffer.concat([frame, frame])),
    of('empty-frame-after', frame => Buffer.concat([frame, rawFrame([0x20, 0], Buffer.alloc(0))])),
    of('two-frames-of-half-the-text', (_, text) =>
      Buffer.concat([zstdFrame(text.subarray(0, 10)), zstdFrame(text.subarray(10))]),
    ),
    of('one-byte-after', frame => Buffer.concat([frame, Buffer.of(0)])),
    of('last-byte-missing', frame => frame.subarray(0, -1)),
    of('only-a-header', frame => frame.subarray(0, 6)),
    of('empty-of-nine-bytes', () => Buffer.alloc(9)),
    of('checksum', (_, text) => zstdFrame(text, { [constants.ZSTD_c_checksumFlag]: 1 })),
    of('dictionary-id', (_, text) => rawFrame([0x21, 7, text.length], text)),
    of('reserved-bit', (_, text) => rawFrame([0x28, text.length], text)),
    of('unused-bit', (_, text) => rawFrame([0x30, text.length], text)),
    of('without-content-size', (_, text) => rawFrame([0x00, 0x50], text)),
    of('declares-one-byte-less', (_, text) => rawFrame([0x20, text.length - 1], text)),
    of('holds-one-byte-less', (_, text) => rawFrame([0x20, text.length], text.subarray(1))),
    of('holds-one-byte-more', (_, text) =>
      rawFrame([0x20, text.length], Buffer.concat([text, Buffer.of(10)])),
    ),
    of('content-size-of-8-bytes', (_, text) =>
      rawFrame([0xe0, text.length, 0, 0, 0, 0, 0, 0, 0], text),
    ),
    of('other-magic', frame => flip(0)(frame)),
    of('version-0-7-magic', frame => set(0, 0x27)(frame)),
    of('reserved-block-type', (_, text) => {
      const frame = rawFrame([0x20, text.length], text)
      frame[6] = (frame[6] ?? 0) | 6
      return frame
    }),
    ...[rawFrame, repeatedFrame].map((make, i) =>
      fault(`MPF_DECOMPRESS/${['raw', 'repeated'][i]}-block-above-128-kib`, {
        blocks: [LONG_TEXT],
        frame: (_, __, text) => make([0xa0, ...littleEndian(text.length)], text),
      }),
    ),
    of('deflate', () => Buffer.from('789c4b34048f0000', 'hex')),
  ]
}
