/** Cases of metadata, index, policy and blocks. */
import { BLOCKS, record, zstdFrame } from '../mpf-forge-program.ts'
import type { Entry } from '../mpf-forgery.ts'
import { pngHead, qoiHead } from '../mpf-samples.ts'
import { PROFILE } from '../mpf-world.ts'
import { add, type Case, entry, fault, flip, modal, NEEDS_KEYS, put, set, setU64 } from './case.ts'
import { append } from './container.ts'
import { frameFaults } from './frames.ts'

const PNG = pngHead(16, 16)

export const CONTENT: readonly Case[] = [
  fault('MPF_META/padding-not-zero', { metaPadding: flip(-1) }),
  fault('MPF_META/padding-first-byte-not-zero', { metaPadding: flip(0) }),
  fault('MPF_META/empty', { meta: () => Buffer.alloc(0) }),
  fault('MPF_META/record-head-cut', { meta: append(Buffer.from([0, 4, 0])) }),
  fault('MPF_META/record-overruns', {
    meta: bytes => {
      bytes.writeUInt32BE(bytes.readUInt32BE(2) + 10_000, 2)
      return bytes
    },
  }),
  fault('MPF_META/record-length-all-ones', {
    meta: bytes => {
      bytes.writeUInt32BE(0xffffffff, 2)
      return bytes
    },
  }),
  fault('MPF_META/tag-0', { meta: bytes => Buffer.concat([record(0, Buffer.of(1)), bytes]) }),
  fault('MPF_META/tag-5', { meta: append(record(5, Buffer.of(1))) }),
  fault('MPF_META/trailing-byte', { meta: append(Buffer.of(0)) }),
  fault('MPF_META/out-of-order', { records: records => records.toReversed() }),
  fault('MPF_META/info-twice', {
    records: ([info, index]) => (info && index ? [info, info, index] : []),
  }),
  fault('MPF_META/index-twice', {
    records: ([info, index]) => (info && index ? [info, index, index] : []),
  }),
  fault('MPF_META/without-info', { records: records => records.slice(1) }),
  fault('MPF_META/without-index', { records: records => records.slice(0, 1) }),
  fault('MPF_META/nine-thumbnails', {
    records: ([info, index]) =>
      info && index
        ? [info, ...Array.from({ length: 9 }, () => [2, PNG] as [number, Buffer]), index]
        : [],
  }),
  fault('MPF_META/a-hundred-thousand-thumbnails', {
    records: ([info, index]) =>
      info && index
        ? [
            info,
            ...Array.from({ length: 100_000 }, () => [2, Buffer.alloc(0)] as [number, Buffer]),
            index,
          ]
        : [],
    segmentBytes: 65536,
  }),
  fault('MPF_META/thumbnail-of-no-known-kind', {
    records: records => records.toSpliced(1, 0, [2, Buffer.from('GIF89a')]),
  }),
  ...(
    [
      ['png-too-wide', pngHead(1025, 16)],
      ['png-too-high', pngHead(16, 1025)],
      ['png-without-width', pngHead(0, 16)],
      ['png-of-4-gigapixels', pngHead(0xffffffff, 0xffffffff)],
      ['png-without-its-header-chunk', flip(12)(pngHead(16, 16))],
      ['png-header-of-another-length', flip(11)(pngHead(16, 16))],
      ['png-cut-inside-its-header', pngHead(16, 16).subarray(0, 32)],
      ['png-of-a-signature-only', pngHead(16, 16).subarray(0, 8)],
      ['png-above-1-mib', Buffer.concat([pngHead(16, 16), Buffer.alloc(1_048_576)])],
      ['qoi-too-wide', qoiHead(1025, 16)],
      ['qoi-too-high', qoiHead(16, 1025)],
      ['qoi-without-height', qoiHead(16, 0)],
      ['qoi-cut-inside-its-header', qoiHead(16, 16).subarray(0, 13)],
      ['empty', Buffer.alloc(0)],
    ] as const
  ).map(([name, picture]) =>
    fault(`MPF_META/thumbnail-${name}`, {
      records: records => records.toSpliced(1, 0, [2, picture]),
      ...(picture.length > 1_000_000 && { segmentBytes: 65536 }),
    }),
  ),
  fault('MPF_META/info-duplicate-member', { info: '{"title":"a","title":"b","layers":0}' }),
  fault('MPF_META/info-unknown-member', { info: '{"title":"a","layers":0,"x":1}' }),
  fault('MPF_META/info-without-title', { info: '{"layers":0}' }),
  fault('MPF_META/info-not-json', { info: 'title' }),
  fault('MPF_META/info-float', { info: '{"title":"a","layers":0.5}' }),
  fault('MPF_META/geometry-unknown-member', {
    records: records => records.toSpliced(1, 0, [3, Buffer.from('{"x":1}')]),
  }),
  fault('MPF_INDEX/one-entry-less', { index: index => index.subarray(104) }),
  fault('MPF_INDEX/one-byte-more', { index: append(Buffer.of(0)) }),
  fault('MPF_INDEX/empty', { index: () => Buffer.alloc(0) }),
  fault('MPF_INDEX/offset-one-later', {
    entries: entry(1, at => {
      at.bodyOffset++
    }),
  }),
  fault('MPF_INDEX/offset-huge', { index: setU64(104, (1n << 63n) - 1n) }),
  fault('MPF_INDEX/compressed-one-more', {
    entries: entry(-1, at => {
      at.compressedBytes++
    }),
  }),
  fault('MPF_INDEX/compressed-zero', {
    entries: entry(0, at => {
      at.compressedBytes = 0
    }),
  }),
  fault('MPF_INDEX/compressed-huge', {
    entries: entry(0, at => {
      at.compressedBytes = 0xffffffff
    }),
  }),
  fault('MPF_INDEX/compressed-above-any-frame', {
    blocks: ['G28\n'],
    frame: frame => Buffer.concat([frame, Buffer.alloc(1_100_000)]),
    segmentBytes: 65536,
  }),
  fault('MPF_INDEX/text-zero', {
    entries: entry(0, at => {
      at.textBytes = 0
    }),
  }),
  fault('MPF_INDEX/text-above-1-mib', {
    entries: entry(0, at => {
      at.textBytes = 1_048_577
    }),
  }),
  fault('MPF_INDEX/text-sum', {
    entries: entry(1, at => {
      at.textBytes++
    }),
  }),
  fault('MPF_INDEX/first-line-0', {
    entries: entry(0, at => {
      at.firstLine = 0
    }),
  }),
  fault('MPF_INDEX/first-line-2', {
    entries: entry(0, at => {
      at.firstLine = 2
    }),
  }),
  fault('MPF_INDEX/line-not-after-its-predecessor', {
    entries: entry(2, at => {
      at.firstLine = 701
    }),
  }),
  fault('MPF_INDEX/line-beyond-the-program', {
    entries: entry(2, at => {
      at.firstLine = 100_000
    }),
  }),
  fault('MPF_INDEX/entries-swapped', { entries: entries => entries.toReversed() }),
  fault('MPF_INDEX/state-reserved-not-zero', { entries: modal(1, set(55, 1)) }),
  fault('MPF_INDEX/state-of-a-fifth-tool', { entries: modal(1, set(49, 4)) }),
  fault('MPF_INDEX/state-of-an-unknown-mode', { entries: modal(1, set(51, 64)) }),
  fault('MPF_INDEX/state-of-an-impossible-flow', { entries: modal(1, set(52, 4)) }),
  fault('MPF_INDEX/state-position-beyond-2-to-the-53', { entries: modal(1, set(0, 0x7f)) }),
  fault(
    'MPF_INDEX/block-starts-one-line-late',
    {
      entries: entry(1, at => {
        at.firstLine++
      }),
    },
    { passes: ['seek', ...NEEDS_KEYS] },
  ),
  fault(
    'MPF_INDEX/block-starts-one-line-early',
    {
      entries: entry(1, at => {
        at.firstLine--
      }),
    },
    { passes: ['seek', ...NEEDS_KEYS] },
  ),
  ...(
    [
      ['first-block-in-a-later-layer', 0, at => at.layer++],
      ['layer-one-less', 1, at => at.layer--],
      ['layer-one-more', 2, at => at.layer++],
      ['z-one-micrometre-higher', 1, at => at.zMicrometres++],
      ['z-one-micrometre-lower', 2, at => at.zMicrometres--],
      ['first-block-above-zero', 0, at => at.zMicrometres++],
    ] as readonly (readonly [string, number, (entry: Entry) => void])[]
  ).map(([name, i, change]) =>
    fault(`MPF_INDEX/${name}`, { entries: entry(i, change) }, { passes: ['seek', ...NEEDS_KEYS] }),
  ),
  fault(
    'MPF_INDEX/one-line-more-signed',
    { manifest: add('enc.body.lines', 1) },
    { passes: ['seek', ...NEEDS_KEYS] },
  ),
  ...(
    [
      ['model', put('pol.model', ['other'])],
      ['nozzle', put('pol.nozzleUm', 600)],
      ['word', put('pol.words', ['G1', 'M500'])],
      ['hotend', put('pol.hotendDeciC', [3010])],
      ['second-hotend', put('pol.hotendDeciC', [0, 2810])],
      ['third-hotend-the-printer-has-not', put('pol.hotendDeciC', [0, 0, 1])],
      ['bed', put('pol.bedDeciC', 1101)],
      ['chamber', put('pol.chamberDeciC', 1)],
      ['feed', put('pol.feedUmPerMin', 15_000_001)],
      ['extrusion', put('pol.extrusionUmPerMm', 1001)],
      ['below-the-least-position', put('pol.minUm', [0, 0, -1])],
      ['beyond-the-greatest-position', put('pol.maxUm', [250_001, 1, 1])],
      ['line-length', put('pol.line', 77)],
    ] as const
  ).map(([name, spoil]) => fault(`MPF_POLICY/${name}`, { manifest: spoil })),
  fault(
    'MPF_POLICY/smaller-printer',
    {},
    {
      reader: { profile: { ...PROFILE, limitsMm: { min: [0, 0, 0], max: [100, 100, 100] } } },
    },
  ),
  ...frameFaults(),
  fault('MPF_BLOCK/other-digest', {
    entries: entry(1, at => {
      at.digest = Buffer.alloc(16)
    }),
  }),
  fault('MPF_BLOCK/last-digest-bit', {
    entries: entry(2, at => {
      at.digest = flip(15)(Buffer.from(at.digest))
    }),
  }),
  fault('MPF_BLOCK/other-text-of-the-same-length', {
    frame: (frame, i, text) => (i === 2 ? zstdFrame(flip(4)(Buffer.from(text))) : frame),
  }),
  fault('MPF_BLOCK/no-line-end', {
    blocks: [...BLOCKS.slice(0, 2), 'G1 X20 Y20'],
    manifest: add('enc.body.lines', 1),
  }),
  fault('MPF_BLOCK/cut-inside-a-line', { blocks: ['G28\nG1 X1', '0 Y20\n'] }),
]
