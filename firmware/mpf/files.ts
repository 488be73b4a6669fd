/** Files the `mpf` command reads and writes: sealed files by descriptor, G-code as a stream, ciphertext in waiting. */

import { createReadStream, createWriteStream } from 'node:fs'
import { type FileHandle, mkdtemp, open, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { Readable, pipeline as streamPipeline, type Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip, createZstdDecompress } from 'node:zlib'
import { type FileSource, openFileSource } from '#lib/file-source.ts'
import { MpfError, type SegmentStore } from '#mpf'
import { ToolError } from './command.ts'

const ZSTD = Buffer.from('28b52ffd', 'hex')
const GZIP = Buffer.from('1f8b08', 'hex')
const BYTE_ORDER_MARK = Buffer.from('efbbbf', 'hex')
/** libbgcode's container, what PrusaSlicer exports for newer Prusa printers. */
const BINARY_GCODE = Buffer.from('GCDE')

/**
 * Opens a sealed file for reading; `-` is standard input, kept as ciphertext in a temporary file because checks seek.
 * @throws MpfError MPF_IO; ToolError TOOL_FILE
 */
export async function openSealed(path: string): Promise<FileSource> {
  const open = (file: string) =>
    openFileSource(
      file,
      (message, cause) => new MpfError('MPF_IO', `${path}: ${message}`, { cause }),
    )
  if (path !== '-') return open(path)
  const directory = await mkdtemp(join(tmpdir(), 'mpf-'))
  try {
    const copy = join(directory, 'input')
    await pipeline(process.stdin, createWriteStream(copy, { mode: 0o600 }))
    return await open(copy)
  } catch (cause) {
    if (cause instanceof MpfError) throw cause
    throw new ToolError('TOOL_FILE', `cannot read ${path}: ${(cause as Error).message}`, cause)
  } finally {
    // The descriptor outlives the name.
    await rm(directory, { recursive: true, force: true })
  }
}

/**
 * G-code from a file or, for `-`, from standard input; zstd and gzip are decompressed on the way, a byte order mark is left out.
 * @throws ToolError TOOL_FILE
 */
export async function* readProgram(path: string): AsyncGenerator<Buffer, void, void> {
  const raw: Readable = path === '-' ? process.stdin : createReadStream(path)
  try {
    const chunks: AsyncIterator<Buffer> = raw.iterator({ destroyOnReturn: true })
    const head = await readHead(chunks)
    if (startsWith(head, BINARY_GCODE))
      throw new Error('binary G-code: switch it off in the slicer (PrusaSlicer: "Binary G-code")')
    const isMarked = startsWith(head, BYTE_ORDER_MARK)
    const all = Readable.from(
      prepend(isMarked ? head.subarray(BYTE_ORDER_MARK.length) : head, chunks),
    )
    if (startsWith(head, ZSTD)) yield* decompressed(all, createZstdDecompress())
    else if (startsWith(head, GZIP)) yield* decompressed(all, createGunzip())
    else yield* all
  } catch (cause) {
    throw new ToolError('TOOL_FILE', `cannot read ${path}: ${(cause as Error).message}`, cause)
  }
}

/** What goes wrong before the decompressor reaches who reads behind it. */
function decompressed(from: Readable, through: Transform): Readable {
  return streamPipeline(from, through, () => undefined)
}

/** Enough to know the kind of a file by, however small a pipe's first pieces are. */
async function readHead(chunks: AsyncIterator<Buffer>): Promise<Buffer> {
  let head: Buffer = Buffer.alloc(0)
  while (head.length < ZSTD.length) {
    const next = await chunks.next()
    if (next.done) break
    head = Buffer.concat([head, next.value])
  }
  return head
}

function startsWith(bytes: Buffer, magic: Buffer): boolean {
  return bytes.subarray(0, magic.length).equals(magic)
}

async function* prepend(
  first: Buffer,
  rest: AsyncIterator<Buffer>,
): AsyncGenerator<Buffer, void, void> {
  if (first.length > 0) yield first
  for (let next = await rest.next(); !next.done; next = await rest.next()) yield next.value
}

/** Body ciphertext in a temporary file without a name: gone once it is closed, or the process killed. */
export async function fileStore(): Promise<SegmentStore & AsyncDisposable> {
  const directory = await mkdtemp(join(tmpdir(), 'mpf-'))
  const file: FileHandle = await open(join(directory, 'body'), 'w+', 0o600).finally(() =>
    rm(directory, { recursive: true }),
  )
  const lengths: number[] = []
  return {
    async append(segment) {
      await file.write(segment)
      lengths.push(segment.length)
    },
    async *read() {
      let at = 0
      for (const length of lengths) {
        const segment = Buffer.alloc(length)
        await file.read(segment, 0, length, at)
        at += length
        yield segment
      }
    },
    [Symbol.asyncDispose]: () => file.close(),
  }
}

/** Writes a whole file: durable before it appears under its name, so nobody ever meets half of one. `-` is standard output. @throws ToolError TOOL_FILE */
export async function writeWhole(
  path: string,
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): Promise<number> {
  let bytes = 0
  const counted = Readable.from(
    (async function* () {
      for await (const chunk of chunks) {
        bytes += chunk.length
        yield chunk
      }
    })(),
  )
  try {
    if (path === '-') {
      await pipeline(counted, process.stdout, { end: false })
      return bytes
    }
    const temporary = join(dirname(path), `.${process.pid}.${Date.now()}.mpf-part`)
    await pipeline(counted, createWriteStream(temporary, { flags: 'wx', flush: true }))
    await rename(temporary, path)
    return bytes
  } catch (cause) {
    throw new ToolError('TOOL_FILE', `cannot write ${path}: ${(cause as Error).message}`, cause)
  }
}
