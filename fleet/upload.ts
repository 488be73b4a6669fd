/** One multipart upload as slicers send it: form fields, and one file handed on as a stream. The only file that imports busboy. */

import type { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import { finished, pipeline } from 'node:stream/promises'
import { Busboy, type BusboyInstance } from '@fastify/busboy'
import type { Clock } from '#lib/clock.ts'
import { FleetError } from './errors.ts'

export interface UploadLimits {
  readonly fileBytes: number
  readonly clock: Clock
}

export interface Upload {
  readonly fields: ReadonlyMap<string, string>
  readonly fileName: string
}

const MAX_FIELDS = 16
const MAX_FIELD_BYTES = 1024
/** After a minute an upload is as fast as this, or cut off: nobody holds a place for nothing. */
const MIN_BYTES_PER_S = 16 * 1024
const GRACE_MS = 60_000

/**
 * Reads the request to its end, a refused file too, since a slicer listens for the answer only when it has sent everything;
 * but never more than two files. `take` consumes the file while it arrives. Fields may come before or after it.
 * @throws FleetError FLEET_UPLOAD, FLEET_TOO_LARGE; whatever `take` throws
 */
export async function readUpload(
  request: IncomingMessage,
  limits: UploadLimits,
  take: (file: Readable, name: string) => Promise<void>,
): Promise<Upload> {
  const fields = new Map<string, string>()
  const parser = parserOf(request)
  let file:
    | { readonly name: string; readonly stream: Readable; readonly taking: Promise<void> }
    | undefined
  parser.on('field', (name, value) => fields.set(name, value))
  parser.on('file', (field, stream, name) => {
    if (field !== 'file' || file) return stream.resume()
    const taking = take(Readable.from(bounded(stream, limits.fileBytes)), name)
    taking.catch(() => stream.resume())
    // Of a file that was refused before, nobody else hears how its upload ends.
    stream.on('error', () => undefined)
    file = { name, stream, taking }
    return stream
  })
  try {
    await pipeline(request, chunks => paced(chunks, limits), parser)
  } catch (cause) {
    const error =
      cause instanceof FleetError
        ? cause
        : new FleetError('FLEET_UPLOAD', 'not a whole multipart upload', { cause })
    file?.stream.destroy(error)
    await file?.taking.catch(() => undefined)
    throw error
  }
  if (!file) throw new FleetError('FLEET_UPLOAD', 'no file in the upload')
  await file.taking
  return { fields, fileName: file.name }
}

/** Reads what still comes to nowhere, so that an answer is not lost in a reset; within the same limits. */
export async function drain(request: IncomingMessage, limits: UploadLimits): Promise<void> {
  await finished(Readable.from(paced(request, limits)).resume()).catch(() => undefined)
}

async function* bounded(stream: Readable, limitBytes: number): AsyncGenerator<Buffer, void, void> {
  let bytes = 0
  for await (const chunk of stream.iterator({ destroyOnReturn: false })) {
    bytes += chunk.length
    if (bytes > limitBytes) throw new FleetError('FLEET_TOO_LARGE', `more than ${limitBytes} bytes`)
    yield chunk
  }
}

async function* paced(
  chunks: AsyncIterable<Buffer>,
  { fileBytes, clock }: UploadLimits,
): AsyncGenerator<Buffer, void, void> {
  const sinceMs = clock.nowMs()
  let bytes = 0
  for await (const chunk of chunks) {
    bytes += chunk.length
    const countedS = (clock.nowMs() - sinceMs - GRACE_MS) / 1000
    if (bytes < countedS * MIN_BYTES_PER_S)
      throw new FleetError('FLEET_UPLOAD', `slower than ${MIN_BYTES_PER_S} bytes/s`)
    if (bytes > 2 * fileBytes) throw new FleetError('FLEET_TOO_LARGE', `${bytes} bytes and more`)
    yield chunk
  }
}

function parserOf(request: IncomingMessage): BusboyInstance {
  const contentType = request.headers['content-type']
  if (contentType === undefined) throw new FleetError('FLEET_UPLOAD', 'no content type')
  try {
    return new Busboy({
      headers: { ...request.headers, 'content-type': contentType },
      limits: { files: 1, fields: MAX_FIELDS, fieldSize: MAX_FIELD_BYTES },
    })
  } catch (cause) {
    throw new FleetError('FLEET_UPLOAD', 'not a multipart upload', { cause })
  }
}
