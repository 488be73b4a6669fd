/** The outermost layer (SPEC 3): prelude and section table. Every byte of the file belongs to a section or is a zero of the prelude or a gap. */

import type { ByteSource } from './byte-source.ts'
import { MpfError } from './errors.ts'
import {
  MAJOR_VERSION,
  MAX_FILE_BYTES,
  MAX_GRT_BYTES,
  MAX_MAN_BYTES,
  MAX_PUB_BYTES,
  MAX_SECTION_BYTES,
  MAX_SECTIONS,
  MIN_FILE_BYTES,
  MIN_SECTIONS,
  SEGMENT_BYTES,
  SMALL_SEGMENT_BYTES,
} from './limits.ts'

/** PNG-style: bit 7 set, CR LF and LF, so that text-mode transfers damage it visibly. */
export const MAGIC = Uint8Array.of(0x89, 0x4d, 0x50, 0x46, 0x0d, 0x0a, 0x1a, 0x0a)
const CRITICAL = 0x8000
const PRELUDE_BYTES = 24
const ENTRY_BYTES = 24

export const SECTION = { PUB: 0x8001, MAN: 0x8002, GRT: 0x0003, TRE: 0x8004, ENC: 0x8005 } as const
export type SectionName = keyof typeof SECTION

export interface Section {
  readonly type: number
  readonly offset: number
  readonly length: number
  /** Where the section before it ends; the gap between is zero. */
  readonly previousEnd: number
}

/** A file whose layout is sound. Nothing in it is authenticated yet. */
export interface Container {
  readonly source: ByteSource
  readonly sectionCount: number
  readonly sections: Readonly<Record<SectionName, Section>>
}

const ORDER: readonly SectionName[] = ['PUB', 'MAN', 'GRT', 'TRE', 'ENC']
const MAX_BYTES: Partial<Record<number, number>> = {
  [SECTION.PUB]: MAX_PUB_BYTES,
  [SECTION.MAN]: MAX_MAN_BYTES,
  [SECTION.GRT]: MAX_GRT_BYTES,
}

/**
 * Reads prelude and section table and proves that the sections tile the file exactly (SPEC 3.2).
 * @throws MpfError MPF_SIZE, MPF_MAGIC, MPF_VERSION, MPF_LAYOUT, MPF_TRUNCATED, MPF_TRAILING, MPF_CRIT, MPF_IO
 */
export async function readContainer(source: ByteSource): Promise<Container> {
  const size = source.sizeBytes
  if (size < MIN_FILE_BYTES || size > MAX_FILE_BYTES)
    throw new MpfError(
      'MPF_SIZE',
      `file of ${size} bytes, limits ${MIN_FILE_BYTES} to ${MAX_FILE_BYTES}`,
    )
  const count = readPrelude(view(await source.read(0, PRELUDE_BYTES)))
  const table = view(Uint8Array.from(await source.read(PRELUDE_BYTES, count * ENTRY_BYTES)))
  const sections: Section[] = []
  let end = PRELUDE_BYTES + count * ENTRY_BYTES
  for (let i = 0; i < count; i++) {
    const section = readEntry(table, i, end)
    await expectPlacement(source, section)
    sections.push(section)
    end = section.offset + section.length
  }
  if (end < size) throw new MpfError('MPF_TRAILING', `${size - end} bytes after the last section`)
  return { source, sectionCount: count, sections: nameSections(sections) }
}

/** The whole of one section. @throws MpfError MPF_IO */
export async function readSection(container: Container, name: SectionName): Promise<Uint8Array> {
  const { offset, length } = container.sections[name]
  return Uint8Array.from(await container.source.read(offset, length))
}

function readPrelude(prelude: DataView): number {
  for (const [i, byte] of MAGIC.entries())
    if (prelude.getUint8(i) !== byte)
      throw new MpfError('MPF_MAGIC', `byte ${i} of the magic differs`)
  const major = prelude.getUint8(8)
  if (major !== MAJOR_VERSION) throw new MpfError('MPF_VERSION', `major version ${major}`)
  const flags = prelude.getUint16(10)
  if (flags !== 0) throw new MpfError('MPF_VERSION', `flags 0x${flags.toString(16)}`)
  const count = prelude.getUint16(16)
  if (count < MIN_SECTIONS || count > MAX_SECTIONS)
    throw new MpfError('MPF_LAYOUT', `${count} sections`)
  const preludeLength = prelude.getUint32(12)
  if (preludeLength !== PRELUDE_BYTES + ENTRY_BYTES * count)
    throw new MpfError('MPF_LAYOUT', `prelude length ${preludeLength} for ${count} sections`)
  if (prelude.getUint16(18) !== 0 || prelude.getUint32(20) !== 0)
    throw new MpfError('MPF_LAYOUT', 'reserved bytes of the prelude are not zero')
  return count
}

function readEntry(table: DataView, i: number, previousEnd: number): Section {
  const at = i * ENTRY_BYTES
  if (table.getUint16(at + 2) !== 0 || table.getUint32(at + 4) !== 0)
    throw new MpfError('MPF_LAYOUT', `reserved bytes of section entry ${i} are not zero`)
  const offset = table.getBigUint64(at + 8)
  const length = table.getBigUint64(at + 16)
  if (offset > BigInt(MAX_FILE_BYTES) || length >= BigInt(MAX_SECTION_BYTES))
    throw new MpfError('MPF_LAYOUT', `section entry ${i} out of range`)
  return { type: table.getUint16(at), offset: Number(offset), length: Number(length), previousEnd }
}

/** SPEC 3.2: each section starts where the one before ends, rounded up to its alignment, over zeros, and ends inside the file. */
async function expectPlacement(source: ByteSource, section: Section): Promise<void> {
  const { type, offset, length, previousEnd } = section
  const alignments = type === SECTION.ENC ? [SMALL_SEGMENT_BYTES, SEGMENT_BYTES] : [1]
  if (!alignments.some(alignment => offset === roundUp(previousEnd, alignment)))
    throw new MpfError(
      'MPF_LAYOUT',
      `section 0x${type.toString(16)} at ${offset} after ${previousEnd}`,
    )
  const limit = MAX_BYTES[type]
  if (limit !== undefined && length > limit)
    throw new MpfError(
      'MPF_LAYOUT',
      `section 0x${type.toString(16)} of ${length} bytes, limit ${limit}`,
    )
  if (offset + length > source.sizeBytes)
    throw new MpfError(
      'MPF_TRUNCATED',
      `section 0x${type.toString(16)} ends at ${offset + length} of ${source.sizeBytes}`,
    )
  if (
    offset > previousEnd &&
    (await source.read(previousEnd, offset - previousEnd)).some(byte => byte !== 0)
  )
    throw new MpfError('MPF_LAYOUT', `gap before section 0x${type.toString(16)} is not zero`)
}

/** The five sections of 1.0 in their order; unknown ones may stand anywhere between if they are not critical. */
function nameSections(sections: readonly Section[]): Container['sections'] {
  const seen = new Set<number>()
  const known: Section[] = []
  for (const section of sections) {
    const hex = `0x${section.type.toString(16)}`
    if (seen.has(section.type)) throw new MpfError('MPF_LAYOUT', `section ${hex} twice`)
    seen.add(section.type)
    if (ORDER.some(name => SECTION[name] === section.type)) known.push(section)
    else if ((section.type & CRITICAL) !== 0)
      throw new MpfError('MPF_CRIT', `unknown critical section ${hex}`)
  }
  const [PUB, MAN, GRT, TRE, ENC] = known
  const isInOrder = known.every((section, i) => section.type === SECTION[ORDER[i] ?? 'PUB'])
  if (!(PUB && MAN && GRT && TRE && ENC && isInOrder))
    throw new MpfError('MPF_LAYOUT', 'a required section is missing or out of order')
  return { PUB, MAN, GRT, TRE, ENC }
}

/** The bytes from the start of a file to the start of ENC, for the given section contents; ENC follows at once. */
export function encodeFront(
  parts: Readonly<Record<'PUB' | 'MAN' | 'GRT' | 'TRE', Uint8Array>>,
  enc: { readonly length: number; readonly segmentBytes: number },
): Uint8Array {
  const tableEnd = PRELUDE_BYTES + ENTRY_BYTES * ORDER.length
  const bodies = [parts.PUB, parts.MAN, parts.GRT, parts.TRE]
  const encOffset = roundUp(
    bodies.reduce((sum, body) => sum + body.length, tableEnd),
    enc.segmentBytes,
  )
  const front = new Uint8Array(encOffset)
  front.set(MAGIC)
  const header = view(front)
  header.setUint8(8, MAJOR_VERSION)
  header.setUint32(12, tableEnd)
  header.setUint16(16, ORDER.length)
  let at = tableEnd
  for (const [i, name] of ORDER.entries()) {
    const body = bodies[i]
    const entry = PRELUDE_BYTES + ENTRY_BYTES * i
    header.setUint16(entry, SECTION[name])
    header.setBigUint64(entry + 8, BigInt(body ? at : encOffset))
    header.setBigUint64(entry + 16, BigInt(body ? body.length : enc.length))
    if (body) {
      front.set(body, at)
      at += body.length
    }
  }
  return front
}

/**
 * The bytes up to ENC of a copy of this file with another GRT section; nothing that is signed changes.
 * @throws MpfError MPF_LAYOUT for a GRT over its limit or a file with sections unknown here, MPF_IO
 */
export async function replaceGrants(
  container: Container,
  segmentBytes: number,
  grants: Uint8Array,
): Promise<Uint8Array> {
  if (grants.length > MAX_GRT_BYTES)
    throw new MpfError('MPF_LAYOUT', `GRT of ${grants.length} bytes`)
  if (container.sectionCount !== ORDER.length)
    throw new MpfError(
      'MPF_LAYOUT',
      `${container.sectionCount} sections, only ${ORDER.length} can be copied`,
    )
  const parts = {
    PUB: await readSection(container, 'PUB'),
    MAN: await readSection(container, 'MAN'),
    GRT: grants,
    TRE: await readSection(container, 'TRE'),
  }
  return encodeFront(parts, { length: container.sections.ENC.length, segmentBytes })
}

export function roundUp(value: number, multiple: number): number {
  return Math.ceil(value / multiple) * multiple
}

export function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
