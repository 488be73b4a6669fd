/** Jobs for printers: an offer signed by the publisher, and the file's blocks for whoever asks by offset. */

import { createHash, randomBytes } from 'node:crypto'
import { open } from 'node:fs/promises'
import { z } from 'zod'
import {
  encodeBlock,
  type Link,
  type OfferStatement,
  requestSchema,
  STATEMENT,
  topicOf,
} from '#cloud'
import { signStatement } from '#lib/dsse.ts'
import { fdSource } from '#lib/file-source.ts'
import { encodeBase64url, readContainer, type SigningKey } from '#mpf'
import { makeUrl } from './download-server.ts'
import { FleetError } from './errors.ts'
import type { FleetStore } from './store.ts'

const BLOCK_BYTES = 128 * 1024
/** A printer asks for a window, not for a file. */
const MAX_REQUEST_BYTES = 8 * 1024 * 1024
const WEEK_S = 7 * 86_400

export interface OfferRequest {
  readonly path: string
  readonly device: string
  readonly tenant: string
  readonly publisher: SigningKey
  readonly atMs: number
  readonly priority?: number
  readonly lifeS?: number
  /** Grants that are not in the file. */
  readonly grants?: readonly Uint8Array[]
  /** `https://HOST:PORT` of a download server over this store: the offer gets a URL of its own there. */
  readonly downloads?: string | undefined
}

/** Measures and signs; the file is remembered so that any worker of this store can send its blocks. @throws FleetError FLEET_FILE */
export async function makeOffer(
  store: FleetStore,
  request: OfferRequest,
): Promise<{ readonly offer: OfferStatement; readonly envelope: Uint8Array }> {
  const { path, device, tenant, publisher, atMs } = request
  const atS = Math.floor(atMs / 1000)
  const id = encodeBase64url(randomBytes(16))
  const exp = atS + (request.lifeS ?? WEEK_S)
  const download =
    request.downloads === undefined ? undefined : makeUrl(request.downloads, id, exp * 1000)
  const offer: OfferStatement = {
    ...{ v: 1, dev: device, ten: tenant, offer: id },
    ...(await measure(path)),
    priority: request.priority ?? 5,
    iat: atS,
    exp,
    ...(download && { url: download.url }),
    grants: (request.grants ?? []).map(grant => Buffer.from(grant).toString('base64')),
  }
  const { sizeBytes } = offer
  const remembered = { path, sizeBytes, ...(download && { url: download.record }) }
  store.setFact(device, `offer:${id}`, atMs, remembered)
  return { offer, envelope: signStatement(STATEMENT.offer, offer, [publisher]) }
}

/** Sends what a printer asks for, in order. Nothing happens for an offer that is not its own. @throws FleetError FLEET_FILE */
export async function sendBlocks(
  store: FleetStore,
  device: string,
  payload: Uint8Array,
  link: Pick<Link, 'publish' | 'window'>,
): Promise<void> {
  const { offer, ranges } = requestSchema.parse(JSON.parse(Buffer.from(payload).toString('utf8')))
  const known = z
    .object({ path: z.string(), sizeBytes: z.int() })
    .safeParse(store.fact(device, `offer:${offer}`)).data
  const total = ranges.reduce((sum, [, length]) => sum + length, 0)
  if (!known || total > MAX_REQUEST_BYTES) return
  await using file = await open(known.path, 'r').catch((cause: unknown) => {
    throw new FleetError('FLEET_FILE', 'an offered file cannot be read', { cause })
  })
  const sending = new Set<Promise<void>>()
  for (const [from, length] of ranges) {
    for (let at = from; at < Math.min(from + length, known.sizeBytes); at += BLOCK_BYTES) {
      const bytes = Buffer.alloc(Math.min(BLOCK_BYTES, from + length - at, known.sizeBytes - at))
      await file.read(bytes, 0, bytes.length, at)
      const block = encodeBlock({ offer, off: at, len: bytes.length }, bytes)
      const publication = { topic: topicOf(device, 'blk'), payload: block }
      // A block that is lost is asked for again.
      const sent = link
        .publish(publication)
        .catch(() => undefined)
        .finally(() => sending.delete(sent))
      sending.add(sent)
      // Thousands of printers may be asking: no more of each file is in memory than one window.
      if (sending.size >= link.window) await Promise.race(sending)
    }
  }
  await Promise.all(sending)
}

type Measures = Pick<OfferStatement, 'sizeBytes' | 'sha256' | 'frontBytes' | 'frontSha256'>

async function measure(path: string): Promise<Measures> {
  try {
    await using file = await open(path, 'r')
    const { size } = await file.stat()
    const source = fdSource(file.fd, size, message => new FleetError('FLEET_FILE', message))
    const { sections } = await readContainer(source)
    const frontBytes = sections.ENC.offset
    const whole = createHash('sha256')
    const front = createHash('sha256')
    for (let at = 0; at < size; at += BLOCK_BYTES) {
      const bytes = await source.read(at, Math.min(BLOCK_BYTES, size - at))
      whole.update(bytes)
      if (at < frontBytes) front.update(bytes.subarray(0, Math.max(0, frontBytes - at)))
    }
    return {
      ...{ sizeBytes: size, frontBytes },
      sha256: whole.digest('hex'),
      frontSha256: front.digest('hex'),
    }
  } catch (cause) {
    throw new FleetError('FLEET_FILE', 'not a sealed print file that can be read', { cause })
  }
}
