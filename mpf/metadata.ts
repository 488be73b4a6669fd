/** The meta stream (SPEC 6.5): what authorised printers and viewers may know about the part, and the block index. */

import { z } from 'zod'
import { view } from './container.ts'
import { MpfError } from './errors.ts'
import { MAX_THUMBNAIL_BYTES, MAX_THUMBNAIL_PIXELS, MAX_THUMBNAILS } from './limits.ts'
import { count, encodeJson, parseSigned } from './schema.ts'

const TAG = { info: 1, thumbnail: 2, geometry: 3, index: 4 } as const
const HEAD_BYTES = 6

const text = z.string().max(256)
const infoSchema = z.strictObject({
  title: text,
  /** Classification label; follows the job into events, exports and retention. */
  label: text.optional(),
  slicer: text.optional(),
  profile: text.optional(),
  layers: count,
  layerHeightUm: count.optional(),
  /** The slicer's own estimate. */
  timeS: count.optional(),
  /** Rotation of the part on the plate about X, Y, Z, thousandths of a degree. */
  orientationMdeg: z.tuple([z.int(), z.int(), z.int()]).optional(),
  materials: z
    .array(
      z.strictObject({
        tool: count.max(15),
        kind: z.enum(['plastic', 'fibre', 'support']),
        name: text,
        lengthUm: count.optional(),
        massMg: count.optional(),
      }),
    )
    .max(16)
    .optional(),
  /** Continuous fibre: which layers, which pattern, angles in thousandths of a degree. */
  fibre: z
    .array(
      z.strictObject({
        tool: count.max(15),
        fromLayer: count,
        toLayer: count,
        pattern: z.enum(['isotropic', 'concentric', 'other']),
        anglesMdeg: z.array(z.int()).max(64),
        rings: count.optional(),
      }),
    )
    .max(256)
    .optional(),
})
export type PartInfo = z.infer<typeof infoSchema>

const givenInfoSchema = infoSchema.omit({ layers: true }).extend({ title: text.exactOptional() })

/** Info as a person gives it to a writer: any of its members but the count of layers. @throws MpfError MPF_META naming the member */
export function parseGivenInfo(bytes: Uint8Array): Partial<PartInfo> {
  return parseSigned(givenInfoSchema, bytes, 'MPF_META', 'info')
}

const um3 = z.tuple([z.int(), z.int(), z.int()])
const geometrySchema = z.strictObject({
  /** Box of the ends of all moves that travel and feed filament, in machine coordinates, micrometres. */
  minUm: um3,
  maxUm: um3,
  extrusionMoves: count,
  travelMoves: count,
})
export type PartGeometry = z.infer<typeof geometrySchema>

export interface Thumbnail {
  readonly kind: 'png' | 'qoi'
  readonly bytes: Uint8Array
}

export interface PartMetadata {
  readonly info: PartInfo
  readonly thumbnails: readonly Thumbnail[]
  readonly geometry: PartGeometry | undefined
}

const PNG_HEAD = Buffer.from('\x89PNG\r\n\x1a\n\0\0\0\rIHDR', 'latin1')
const QOI_HEAD = Buffer.from('qoif', 'latin1')
/** Bytes up to the end of the first chunk (PNG 5.6), of the header (QOI): what says how large the picture is. */
const PNG_HEAD_BYTES = 33
const QOI_HEAD_BYTES = 14

/**
 * A thumbnail's kind by its header, or undefined for a picture MPF may not carry: of another kind, over 1 MiB, or not 1 to 1024
 * pixels wide and high. Nothing behind the header is looked at.
 */
export function thumbnailKind(bytes: Uint8Array): Thumbnail['kind'] | undefined {
  if (bytes.length > MAX_THUMBNAIL_BYTES) return undefined
  const startsWith = (head: Uint8Array) =>
    Buffer.compare(bytes.subarray(0, head.length), head) === 0
  if (startsWith(PNG_HEAD) && bytes.length >= PNG_HEAD_BYTES)
    return isSmall(bytes, PNG_HEAD.length) ? 'png' : undefined
  if (startsWith(QOI_HEAD) && bytes.length >= QOI_HEAD_BYTES)
    return isSmall(bytes, QOI_HEAD.length) ? 'qoi' : undefined
  return undefined
}

/** Width and height as two u32 at `at`: so in both kinds. */
function isSmall(bytes: Uint8Array, at: number): boolean {
  const fields = view(bytes)
  return [fields.getUint32(at), fields.getUint32(at + 4)].every(
    pixels => pixels > 0 && pixels <= MAX_THUMBNAIL_PIXELS,
  )
}

/** Records `tag u16 | length u32 | bytes`, tags ascending: info, thumbnails, geometry, index. */
export function encodeMetadata(metadata: PartMetadata, index: Uint8Array): Uint8Array {
  const records: (readonly [number, Uint8Array])[] = [
    [TAG.info, encodeJson(metadata.info)],
    ...metadata.thumbnails.map(thumbnail => [TAG.thumbnail, thumbnail.bytes] as const),
    ...(metadata.geometry ? [[TAG.geometry, encodeJson(metadata.geometry)] as const] : []),
    [TAG.index, index],
  ]
  return Buffer.concat(
    records.flatMap(([tag, bytes]) => {
      const head = Buffer.alloc(HEAD_BYTES)
      head.writeUInt16BE(tag, 0)
      head.writeUInt32BE(bytes.length, 2)
      return [head, bytes]
    }),
  )
}

/** Step 15. @throws MpfError MPF_META */
export function decodeMetadata(bytes: Uint8Array): {
  readonly metadata: PartMetadata
  readonly index: Uint8Array
} {
  const records = decodeRecords(bytes)
  const [info, ...moreInfo] = records.get(TAG.info) ?? []
  const [index, ...moreIndex] = records.get(TAG.index) ?? []
  const [geometry, ...moreGeometry] = records.get(TAG.geometry) ?? []
  const pictures = records.get(TAG.thumbnail) ?? []
  if (!info || !index || moreInfo.length + moreIndex.length + moreGeometry.length > 0)
    throw new MpfError('MPF_META', 'info or index missing or repeated')
  if (pictures.length > MAX_THUMBNAILS)
    throw new MpfError('MPF_META', `${pictures.length} thumbnails`)
  const thumbnails = pictures.map(picture => {
    const kind = thumbnailKind(picture)
    if (!kind) throw new MpfError('MPF_META', 'a thumbnail of another kind or size')
    return { kind, bytes: picture }
  })
  return {
    metadata: {
      info: parseSigned(infoSchema, info, 'MPF_META', 'info'),
      thumbnails,
      geometry: geometry && parseSigned(geometrySchema, geometry, 'MPF_META', 'geometry'),
    },
    index,
  }
}

function decodeRecords(bytes: Uint8Array): ReadonlyMap<number, Uint8Array[]> {
  const records = new Map<number, Uint8Array[]>()
  const fields = view(bytes)
  let [at, previous] = [0, 0]
  while (at < bytes.length) {
    if (at + HEAD_BYTES > bytes.length) throw new MpfError('MPF_META', `record head cut at ${at}`)
    const tag = fields.getUint16(at)
    const end = at + HEAD_BYTES + fields.getUint32(at + 2)
    if (tag < previous || tag === 0 || tag > TAG.index || end > bytes.length)
      throw new MpfError('MPF_META', `record at ${at}: unknown, out of order or too long`)
    const record = bytes.subarray(at + HEAD_BYTES, end)
    const alike = records.get(tag)
    if (alike) alike.push(record)
    else records.set(tag, [record])
    previous = tag
    at = end
  }
  return records
}
