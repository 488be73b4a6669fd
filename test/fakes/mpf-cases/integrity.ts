/** Cases of segments and the tree. */

import { b64, sha256 } from '../mpf-bytes.ts'
import { forge } from '../mpf-forge.ts'
import { BLOCKS } from '../mpf-forge-program.ts'
import { type Case, fault, flip, offsetOf, put } from './case.ts'

const SEG = 4096
const segmentOf = (enc: Buffer, at: number, i: number) =>
  enc.subarray(at + i * SEG, at + (i + 1) * SEG)

export const INTEGRITY: readonly Case[] = [
  fault('MPF_TREE/leaf-hash-flipped', { tree: flip(0) }),
  fault('MPF_TREE/leaf-padding-not-zero', { tree: flip(-1) }),
  fault('MPF_TREE/signed-leaf-padding-not-zero', { level: flip(-1) }),
  fault('MPF_TREE/tree-all-zero', { tree: tree => Buffer.alloc(tree.length) }),
  fault('MPF_TREE/other-digest', { manifest: put('tree.dig', b64(Buffer.alloc(32))) }),
  fault('MPF_TREE/other-salt', { manifest: put('tree.salt', b64(Buffer.alloc(32))) }),
  fault('MPF_TREE/shorter-salt', { manifest: put('tree.salt', b64(Buffer.alloc(31, 0x77))) }),
  fault('MPF_TREE/insider-rewrites-segment-and-tree', {
    ciphertext: (enc, insider) =>
      rewrite(enc, insider.bodyAt + 3 * SEG, insider.seal(room('G1'), 3, false)),
    tree: tree => Buffer.concat([sha256(Buffer.from('new')), tree.subarray(32)]),
  }),
  fault('MPF_SEG_HASH/metadata-bit-flipped', { ciphertext: flip(20) }),
  fault('MPF_SEG_HASH/metadata-padding-bit-flipped', {
    ciphertext: (enc, { bodyAt }) => flip(bodyAt - 1)(enc),
  }),
  fault('MPF_SEG_HASH/body-first-bit', { ciphertext: (enc, { bodyAt }) => flip(bodyAt)(enc) }),
  fault('MPF_SEG_HASH/body-last-bit', { ciphertext: flip(-1) }),
  fault('MPF_SEG_HASH/insider-rewrites-segment-3', {
    ciphertext: (enc, insider) =>
      rewrite(enc, insider.bodyAt + 3 * SEG, insider.seal(room('G1 X9'), 3, false)),
  }),
  fault('MPF_SEG_HASH/insider-rewrites-the-last-segment', {
    ciphertext: (enc, insider) => {
      const last = Math.floor((enc.length - 1 - insider.bodyAt) / SEG)
      const bytes = enc.length - insider.bodyAt - last * SEG - 32
      return rewrite(
        enc,
        insider.bodyAt + last * SEG,
        insider.seal(Buffer.alloc(bytes), last, true),
      )
    },
  }),
  fault('MPF_SEG_HASH/insider-rewrites-metadata', {
    ciphertext: (enc, insider) =>
      rewrite(enc, 0, insider.seal(Buffer.alloc(enc.readUInt32BE(0) - 32), 0, true, 'meta')),
  }),
  fault('MPF_SEG_HASH/segments-swapped', {
    ciphertext: (enc, { bodyAt }) => {
      const [one, two] = [1, 2].map(i => Buffer.from(segmentOf(enc, bodyAt, i)))
      rewrite(enc, bodyAt + SEG, two ?? enc)
      return rewrite(enc, bodyAt + 2 * SEG, one ?? enc)
    },
  }),
  fault('MPF_SEG_HASH/segment-duplicated-over-its-neighbour', {
    ciphertext: (enc, { bodyAt }) =>
      rewrite(enc, bodyAt + 2 * SEG, Buffer.from(segmentOf(enc, bodyAt, 1))),
  }),
  fault('MPF_SEG_HASH/segment-zeroed', {
    ciphertext: (enc, { bodyAt }) => rewrite(enc, bodyAt + SEG, Buffer.alloc(SEG)),
  }),
  fault(
    'MPF_SEG_HASH/segment-of-another-file-of-the-same-keys',
    {
      ciphertext: (enc, { bodyAt }) => {
        const other = forge({ blocks: ['G1 X1 Y1\n', ...BLOCKS] })
        return rewrite(
          enc,
          bodyAt,
          other.subarray(offsetOf(other, 4) + bodyAt).subarray(0, SEG - 1),
        )
      },
    },
    {},
  ),
  ...(
    [
      ['AUTH/tag-flipped', 1, (segment: Buffer) => flip(-1)(segment)],
      ['AUTH/ciphertext-flipped', 1, (segment: Buffer) => flip(100)(segment)],
      ['AUTH/iv-flipped', 2, (segment: Buffer) => flip(4)(segment)],
    ] as const
  ).map(([name, i, change]) =>
    fault(`MPF_SEG_${name}-before-signing`, {
      bodySegments: segments => segments.with(i, change(segments[i] ?? Buffer.alloc(0))),
    }),
  ),
  fault('MPF_SEG_AUTH/segments-swapped-before-signing', {
    bodySegments: segments => {
      const [one, two] = [segments[1], segments[2]]
      return one && two ? segments.with(1, two).with(2, one) : segments
    },
  }),
  fault('MPF_SEG_AUTH/segment-duplicated-before-signing', {
    bodySegments: segments => segments.with(2, segments[1] ?? Buffer.alloc(0)),
  }),
  fault('MPF_SEG_AUTH/sealed-under-the-metadata-key', {
    bodySegments: (segments, { seal }) => segments.with(1, seal(room('G1'), 1, false, 'meta')),
  }),
  fault('MPF_SEG_AUTH/sealed-as-final-and-marked-internal', {
    bodySegments: (segments, { seal }) => {
      const segment = seal(room('G1'), 1, true)
      segment.writeUInt32BE(0xffffffff, 0)
      return segments.with(1, segment)
    },
  }),
  fault('MPF_NO_FINAL/final-mark-on-an-inner-segment', {
    bodySegments: (segments, { seal }) => segments.with(1, seal(room('G1'), 1, true)),
  }),
  fault('MPF_NO_FINAL/last-segment-not-final', {
    bodySegments: segments => segments.with(-1, finalMark(segments.at(-1), 0xffffffff)),
  }),
  fault('MPF_NO_FINAL/metadata-not-final', {
    metaSegments: segments => segments.with(-1, finalMark(segments.at(-1), 0xffffffff)),
  }),
  fault('MPF_SEG_LEN/last-segment-declares-one-more', {
    bodySegments: segments =>
      segments.with(-1, finalMark(segments.at(-1), (segments.at(-1)?.length ?? 0) + 1)),
  }),
  fault('MPF_SEG_LEN/metadata-declares-zero', {
    metaSegments: segments => segments.with(-1, finalMark(segments.at(-1), 0)),
  }),
]

function finalMark(segment: Buffer | undefined, length: number): Buffer {
  const marked = Buffer.from(segment ?? [])
  marked.writeUInt32BE(length, 0)
  return marked
}

function room(text: string): Buffer {
  return Buffer.from(`${text}\n`.repeat(SEG)).subarray(0, SEG - 32)
}

function rewrite(enc: Buffer, at: number, bytes: Uint8Array): Buffer {
  enc.set(bytes, at)
  return enc
}
