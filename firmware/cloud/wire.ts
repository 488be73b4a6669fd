/** What goes over the broker, both ways: topics, batches, and the signed statements of the fleet end. Pure; `fleet/` shares it. */

import { createHash } from 'node:crypto'
import { deflateRawSync, inflateRawSync } from 'node:zlib'
import { z } from 'zod'
import { CloudError } from './errors.ts'

/** Numbered, stored and acknowledged, most urgent first. */
export const STREAMS = ['alm', 'resp', 'evt', 'tele', 'seg'] as const
export type Stream = (typeof STREAMS)[number]

/** Each stream's topic; the others have theirs by name. */
const STREAM_TOPIC = {
  ...{ alm: 'alm', resp: 'resp', evt: 'evt', tele: 'tele' },
  seg: 'audit/seg',
} as const satisfies Record<Stream, string>

const UP = ['birth', 'state', 'audit/cp', 'inv', 'req', ...Object.values(STREAM_TOPIC)] as const
const DOWN = ['ack', 'cmd', 'job', 'blk', 'notice'] as const
export type UpTopic = (typeof UP)[number]
export type DownTopic = (typeof DOWN)[number]

const ROOT = 'mpf/v1'

export function topicOf(device: string, name: UpTopic | DownTopic): string {
  return `${ROOT}/${device}/${name}`
}

export function streamTopic(device: string, stream: Stream): string {
  return topicOf(device, STREAM_TOPIC[stream])
}

/** The stream a topic carries. */
export function streamOf(name: UpTopic | DownTopic): Stream | undefined {
  return STREAMS.find(stream => STREAM_TOPIC[stream] === name)
}

/** Device and name of a topic of ours. */
export function parseTopic(
  topic: string,
): { readonly device: string; readonly name: UpTopic | DownTopic } | undefined {
  const [, device, name] = /^mpf\/v1\/([A-Za-z0-9._-]{1,64})\/([a-z/]+)$/.exec(topic) ?? []
  const known = [...UP, ...DOWN].find(each => each === name)
  return device === undefined || known === undefined ? undefined : { device, name: known }
}

/** What the fleet end listens to, all printers; with a `group` its workers share the work (MQTT 5, 4.8.2). */
export function ingestTopics(group: string | undefined): readonly string[] {
  const prefix = group === undefined ? '' : `$share/${group}/`
  return UP.map(name => `${prefix}${ROOT}/+/${name}`)
}

export function deviceTopics(device: string): readonly string[] {
  return DOWN.map(name => topicOf(device, name))
}

const sequence = z.int().min(0)

const headerSchema = z.strictObject({
  v: z.literal(1),
  dev: z.string().max(64),
  ten: z.string().max(64),
  /** One life of the machine, one life of the courier. */
  boot: z.string().max(64),
  ses: z.int().min(0),
  str: z.enum(STREAMS),
  /** Number of the first item, how many, and the items right before it that were dropped. */
  seq0: z.int().min(1),
  n: z.int().min(1).max(10_000),
  lost: z.tuple([sequence, sequence]).exactOptional(),
  ts: z.int(),
  /** Quality of the clock behind `ts`. */
  clk: z.string().max(32),
  /** First 8 bytes of SHA-256 of the metric dictionary, hex. */
  sch: z.string().max(16).exactOptional(),
  enc: z.literal('json+deflate'),
  /** Who signed the batch and how: batch-signature.ts. */
  by: z.string().max(64).exactOptional(),
  sig: z.string().max(128).exactOptional(),
})
export type BatchHeader = z.infer<typeof headerSchema>

/** An inflated batch is never larger: a bomb is refused while it inflates. */
const MAX_BATCH_BYTES = 8 * 1024 * 1024
const LINE_FEED = 0x0a

/** A header line and the deflated JSON array of the items, each already JSON text. */
export function encodeBatch(header: BatchHeader, items: readonly Uint8Array[]): Buffer {
  const parts: Uint8Array[] = [Buffer.from('[')]
  for (const [i, item] of items.entries()) {
    if (i > 0) parts.push(Buffer.from(','))
    parts.push(item)
  }
  parts.push(Buffer.from(']'))
  const body = deflateRawSync(Buffer.concat(parts))
  return Buffer.concat([Buffer.from(`${JSON.stringify(header)}\n`), body])
}

/** @throws CloudError CLOUD_MALFORMED */
export function decodeBatch(payload: Uint8Array): {
  readonly header: BatchHeader
  readonly items: readonly unknown[]
} {
  try {
    const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength)
    const end = bytes.indexOf(LINE_FEED)
    const header = headerSchema.parse(JSON.parse(bytes.toString('utf8', 0, end)))
    const body = inflateRawSync(bytes.subarray(end + 1), { maxOutputLength: MAX_BATCH_BYTES })
    const items = z
      .array(z.unknown())
      .length(header.n)
      .parse(JSON.parse(body.toString('utf8')))
    return { header, items }
  } catch (cause) {
    throw new CloudError('CLOUD_MALFORMED', 'not a batch', { cause })
  }
}

/** A file's bytes: a header line, then the bytes. */
const blockSchema = z.strictObject({
  offer: z.string().max(64),
  off: z.int().min(0),
  len: z
    .int()
    .min(1)
    .max(512 * 1024),
})
export type BlockHeader = z.infer<typeof blockSchema>

export function encodeBlock(header: BlockHeader, bytes: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(`${JSON.stringify(header)}\n`), bytes])
}

/** @throws CloudError CLOUD_MALFORMED */
export function decodeBlock(payload: Uint8Array): {
  readonly header: BlockHeader
  readonly bytes: Uint8Array
} {
  try {
    const all = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength)
    const end = all.indexOf(LINE_FEED)
    const header = blockSchema.parse(JSON.parse(all.toString('utf8', 0, Math.min(end, 512))))
    const bytes = all.subarray(end + 1)
    if (bytes.length !== header.len) throw new RangeError(`${bytes.length} of ${header.len} bytes`)
    return { header, bytes }
  } catch (cause) {
    throw new CloudError('CLOUD_MALFORMED', 'not a block', { cause })
  }
}

/** Ranges of an offered file the printer asks for, in order. */
export const requestSchema = z.strictObject({
  v: z.literal(1),
  offer: z.string().max(64),
  ranges: z.array(z.tuple([z.int().min(0), z.int().min(1)])).max(64),
})
export type BlockRequest = z.infer<typeof requestSchema>

/** Statements of the fleet end, each in a DSSE envelope of its type. */
export const STATEMENT = {
  ack: 'application/vnd.mpf.ack+json',
  notice: 'application/vnd.mpf.notice+json',
  offer: 'application/vnd.mpf.offer+json',
} as const

const highest = sequence.exactOptional()
export const ackSchema = z.strictObject({
  v: z.literal(1),
  dev: z.string().max(64),
  /** Highest contiguous number received, by stream. */
  acks: z.strictObject({
    ...{ alm: highest, resp: highest, evt: highest, tele: highest, seg: highest },
  }),
  /** The witness's line on the newest checkpoint it found consistent, with its size. */
  cosig: z.strictObject({ size: sequence, line: z.string().max(512) }).exactOptional(),
})
export type AckStatement = z.infer<typeof ackSchema>

export const noticeSchema = z.discriminatedUnion('kind', [
  z.strictObject({ v: z.literal(1), dev: z.string(), kind: z.literal('rebirth'), at: z.int() }),
  z.strictObject({
    ...{ v: z.literal(1), dev: z.string(), kind: z.literal('watch'), at: z.int() },
    /** How long somebody watches. */
    forS: z.int().min(1).max(600),
  }),
  z.strictObject({
    ...{ v: z.literal(1), dev: z.string(), kind: z.literal('cancel'), at: z.int() },
    offer: z.string().max(64),
  }),
])
export type NoticeStatement = z.infer<typeof noticeSchema>

const sha256 = z.string().regex(/^[0-9a-f]{64}$/)
export const offerSchema = z.strictObject({
  v: z.literal(1),
  dev: z.string().max(64),
  ten: z.string().max(64),
  /** Names the transfer. */
  offer: z.string().regex(/^[A-Za-z0-9_-]{8,64}$/),
  sizeBytes: z.int().min(1),
  sha256,
  /** Everything before the ciphertext: header, manifest, grants, hash tree. */
  frontBytes: z.int().min(1),
  frontSha256: sha256,
  /** Higher first. */
  priority: z.int().min(0).max(9),
  /** Seconds since 1970. */
  iat: z.int(),
  exp: z.int(),
  /** Where the file can be had by HTTPS: once, by this printer; over the broker still when it cannot. */
  url: z
    .url({ protocol: /^https$/ })
    .max(2048)
    .exactOptional(),
  /** Grants that come apart from the file, base64. */
  grants: z.array(z.base64().max(16 * 1024)).max(4),
})
export type OfferStatement = z.infer<typeof offerSchema>

/** The dictionary's name in every batch. */
export function schemaHash(dictionary: unknown): string {
  return createHash('sha256').update(JSON.stringify(dictionary)).digest('hex').slice(0, 16)
}
