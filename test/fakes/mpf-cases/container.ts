/** Cases of the container: sizes, prelude, sections, where the file ends. */
import type { SectionPlan } from '../mpf-forgery.ts'
import {
  addU64,
  type Case,
  cutInside,
  entryAt,
  extra,
  fault,
  flip,
  insertAt,
  offsetOf,
  set,
  setU64,
} from './case.ts'

export const CONTAINER: readonly Case[] = [
  fault('MPF_SIZE/empty-file', { file: () => Buffer.alloc(0) }),
  fault('MPF_SIZE/one-byte-below-the-least', { file: file => file.subarray(0, 1023) }),
  fault('MPF_SIZE/cut-inside-the-prelude', { file: file => file.subarray(0, 20) }),
  fault('MPF_SIZE/cut-inside-the-table', { file: file => file.subarray(0, 100) }),
  ...[0, 1, 2, 3, 4, 5, 6, 7].map(i => fault(`MPF_MAGIC/byte-${i}`, { prelude: flip(i) })),
  fault('MPF_MAGIC/text-mode-transfer', { file: swapCrLf }),
  fault('MPF_VERSION/major-0', { prelude: set(8, 0) }),
  fault('MPF_VERSION/major-2', { prelude: set(8, 2) }),
  fault('MPF_VERSION/flag-lowest', { prelude: set(11, 1) }),
  fault('MPF_VERSION/flag-highest', { prelude: set(10, 0x80) }),
  fault('MPF_LAYOUT/prelude-longer', { prelude: set(15, 24 * 6 + 1) }),
  fault('MPF_LAYOUT/prelude-length-zero', { prelude: set(15, 0) }),
  fault('MPF_LAYOUT/prelude-reserved-16', { prelude: set(19, 1) }),
  fault('MPF_LAYOUT/prelude-reserved-32', { prelude: set(23, 1) }),
  fault('MPF_LAYOUT/four-sections', { sections: sections => sections.slice(0, 4) }),
  fault('MPF_LAYOUT/seventeen-sections', {
    sections: sections => [
      ...sections,
      ...Array.from({ length: 12 }, (_, i) => extra(0x10 + i, Buffer.alloc(0))),
    ],
  }),
  fault('MPF_LAYOUT/entry-reserved-16', { prelude: set(entryAt(2, 'zero') + 1, 1) }),
  fault('MPF_LAYOUT/entry-reserved-32', { prelude: set(entryAt(4, 'zeros'), 1) }),
  fault('MPF_LAYOUT/offset-one-later', { prelude: addU64(entryAt(1, 'offset'), 1) }),
  fault('MPF_LAYOUT/sections-overlap', { prelude: addU64(entryAt(1, 'offset'), -1) }),
  fault('MPF_LAYOUT/sections-share-bytes', {
    prelude: bytes =>
      setU64(entryAt(1, 'offset'), bytes.readBigUInt64BE(entryAt(0, 'offset')))(bytes),
  }),
  fault('MPF_LAYOUT/enc-not-aligned', { sections: sections => align(sections, 4, 1) }),
  fault('MPF_LAYOUT/enc-one-segment-later', { sections: sections => align(sections, 4, 16384) }),
  fault('MPF_LAYOUT/enc-aligned-for-the-other-segment-size', {
    sections: sections => align(sections, 4, 65536),
  }),
  fault('MPF_LAYOUT/tre-aligned', { sections: sections => align(sections, 3, 4096) }),
  fault('MPF_LAYOUT/gap-not-zero', { file: file => flip(offsetOf(file, 4) - 1)(file) }),
  fault('MPF_LAYOUT/gap-first-byte-not-zero', {
    file: file => {
      const end = offsetOf(file, 3) + Number(file.readBigUInt64BE(entryAt(3, 'length')))
      return flip(end)(file)
    },
  }),
  fault('MPF_LAYOUT/offset-2-to-the-63', { prelude: setU64(entryAt(1, 'offset'), 1n << 63n) }),
  fault('MPF_LAYOUT/offset-2-to-the-37', { prelude: setU64(entryAt(4, 'offset'), 1n << 37n) }),
  fault('MPF_LAYOUT/length-2-to-the-40', { prelude: setU64(entryAt(4, 'length'), 1n << 40n) }),
  fault('MPF_LAYOUT/length-all-ones', { prelude: setU64(entryAt(4, 'length'), (1n << 64n) - 1n) }),
  fault('MPF_LAYOUT/length-wraps-to-the-truth', {
    prelude: bytes =>
      setU64(
        entryAt(4, 'length'),
        bytes.readBigUInt64BE(entryAt(4, 'length')) + (1n << 63n),
      )(bytes),
  }),
  fault('MPF_LAYOUT/pub-too-long', { pubText: text => text + ' '.repeat(4096) }),
  fault('MPF_LAYOUT/man-too-long', { manifestText: text => text + ' '.repeat(65536) }),
  fault('MPF_LAYOUT/grants-too-long', {
    grants: section => Buffer.concat([section, Buffer.alloc(1024 * 1024)]),
  }),
  fault('MPF_LAYOUT/pub-and-man-reordered', { sections: sections => move(sections, 0, 1) }),
  fault('MPF_LAYOUT/grants-before-man', { sections: sections => move(sections, 2, 1) }),
  fault('MPF_LAYOUT/enc-before-tre', { sections: sections => move(sections, 3, 4) }),
  fault('MPF_LAYOUT/man-twice', {
    sections: sections => [...sections, { ...(sections[1] as SectionPlan) }],
  }),
  fault('MPF_LAYOUT/grants-twice', {
    sections: sections => sections.toSpliced(3, 0, { ...(sections[2] as SectionPlan) }),
  }),
  fault('MPF_LAYOUT/unknown-section-twice', {
    sections: sections => [...sections, extra(0x10, Buffer.of(1)), extra(0x10, Buffer.of(1))],
  }),
  ...['pub', 'man', 'grt', 'tre', 'enc'].map((name, i) =>
    fault(`MPF_LAYOUT/without-${name}`, {
      sections: sections => sections.with(i, { ...(sections[i] as SectionPlan), type: 0x10 }),
    }),
  ),
  fault('MPF_CRIT/unknown-critical-section', {
    sections: insertAt(2, extra(0x8010, Buffer.from('new'))),
  }),
  fault('MPF_CRIT/unknown-critical-section-at-the-end', {
    sections: sections => [...sections, extra(0xffff, Buffer.alloc(0))],
  }),
  fault('MPF_CRIT/grants-marked-critical', {
    sections: sections => sections.with(2, { ...(sections[2] as SectionPlan), type: 0x8003 }),
  }),
  fault('MPF_TRUNCATED/last-byte-missing', { file: file => file.subarray(0, -1) }),
  fault('MPF_TRUNCATED/last-segment-missing', { file: file => file.subarray(0, -4096) }),
  fault('MPF_TRUNCATED/body-missing', { file: cutInside(4, 4096) }),
  fault('MPF_TRUNCATED/cut-inside-meta', { file: cutInside(4, 100) }),
  fault('MPF_TRUNCATED/enc-missing', { file: cutInside(4, 0) }),
  fault('MPF_TRUNCATED/cut-inside-tre', { file: cutInside(3, 64) }),
  fault('MPF_TRUNCATED/tre-missing', { file: cutInside(3, 0) }),
  fault('MPF_TRUNCATED/cut-inside-grants', { file: cutInside(2, 40) }),
  fault('MPF_TRUNCATED/grants-missing', { file: cutInside(2, 0) }),
  fault('MPF_TRUNCATED/cut-inside-man', {
    file: file => file.subarray(0, Math.max(1024, offsetOf(file, 1) + 100)),
  }),
  fault('MPF_TRUNCATED/length-one-more', { prelude: addU64(entryAt(4, 'length'), 1) }),
  fault('MPF_TRAILING/one-zero-byte', { file: append(Buffer.alloc(1)) }),
  fault('MPF_TRAILING/one-segment-more', { file: append(Buffer.alloc(4096, 7)) }),
  fault('MPF_TRAILING/zip-after-the-end', {
    file: append(Buffer.from('PK\x05\x06'.padEnd(22, '\0'))),
  }),
  fault('MPF_TRAILING/length-one-less', { prelude: addU64(entryAt(4, 'length'), -1) }),
]

function swapCrLf(file: Buffer): Buffer {
  return Buffer.concat([file.subarray(0, 4), file.subarray(5)])
}

export function append(bytes: Uint8Array): (file: Buffer) => Buffer {
  return file => Buffer.concat([file, bytes])
}

function align(sections: SectionPlan[], i: number, to: number): SectionPlan[] {
  return sections.with(i, { ...(sections[i] as SectionPlan), align: to })
}

function move(sections: SectionPlan[], from: number, to: number): SectionPlan[] {
  const section = sections[from] as SectionPlan
  return sections.toSpliced(from, 1).toSpliced(to, 0, section)
}
