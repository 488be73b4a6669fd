/** One multipart upload as slicers send it: form fields, and one file handed on as a stream. The only file that imports busboy. */

import type { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { Busboy, type BusboyInstance } from '@fastify/busboy'
import { FleetError } from './errors.ts'

export interface UploadLimits {
  readonly fileBytes: number
}

export interface Upload<T> {
  readonly fields: ReadonlyMap<string, string>
  readonly fileName: string
  /** What `take` made of the file. */
  readonly taken: T
}

const MAX_FIELDS = 16
const MAX_FIELD_BYTES = 1024

/**
 * Reads the request to its end; `take` consumes the file while it arrives. Fields may come before or after it.
 * @throws FleetError FLEET_UPLOAD, FLEET_TOO_LARGE; whatever `take` throws
 */
export async function readUpload<T>(
  request: IncomingMessage,
  limits: UploadLimits,
  take: (file: Readable, name: string) => Promise<T>,
): Promise<Upload<T>> {
  const fields = new Map<string, string>()
  const parser = parserOf(request)
  let file:
    | { readonly name: string; readonly stream: Readable; readonly taking: Promise<T> }
    | undefined
  parser.on('field', (name, value) => fields.set(name, value))
  parser.on('file', (field, stream, name) => {
    if (field !== 'file' || file) return stream.resume()
    const taking = take(Readable.from(bounded(stream, limits.fileBytes)), name)
    // The rest is read to nowhere: a slicer listens for the answer only when it has sent everything.
    taking.catch(() => stream.resume())
    file = { name, stream, taking }
    return stream
  })
  try {
    await pipeline(request, parser)
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
  return { fields, fileName: file.name, taken: await file.taking }
}

async function* bounded(stream: Readable, limitBytes: number): AsyncGenerator<Buffer, void, void> {
  let bytes = 0
  for await (const chunk of stream.iterator({ destroyOnReturn: false })) {
    bytes += chunk.length
    if (bytes > limitBytes) throw new FleetError('FLEET_TOO_LARGE', `more than ${limitBytes} bytes`)
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
