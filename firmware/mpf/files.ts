/** Files the `mpf` command reads and writes: sealed files by descriptor, G-code as a stream, ciphertext in waiting. */

import { createReadStream, createWriteStream, rmSync } from 'node:fs'
import { type FileHandle, mkdtemp, open, realpath, rename, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { Readable, pipeline as streamPipeline, type Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip, createZstdDecompress } from 'node:zlib'
import { type FileSource, openFileSource } from '#lib/file-source.ts'
import { MpfError, type SegmentStore } from '#mpf'
import { ToolError } from './errors.ts'

const ZSTD = Buffer.from('28b52ffd', 'hex')
const GZIP = Buffer.from('1f8b08', 'hex')
const BYTE_ORDER_MARK = Buffer.from('efbbbf', 'hex')
/** What is taken for G-code by mistake, by its first bytes, and what to do instead. */
const NOT_GCODE: readonly (readonly [magic: Buffer, what: string])[] = [
  // libbgcode's container, what PrusaSlicer exports for newer Prusa printers.
  [
    Buffer.from('GCDE'),
    'binary G-code: switch it off in the slicer (PrusaSlicer: "Binary G-code")',
  ],
  [Buffer.from('PK\x03\x04'), 'a ZIP archive (3MF): export plain G-code from the slicer'],
  [Buffer.from('fffe', 'hex'), 'UTF-16 text: save it as UTF-8 or ASCII'],
  [Buffer.from('feff', 'hex'), 'UTF-16 text: save it as UTF-8 or ASCII'],
]
const ENDING_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

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
  // A person's own links are followed; a stick's are not.
  if (path !== '-') return open(await realpath(path).catch(() => path))
  const directory = await waitingRoom()
  using _ = removedAtLast(directory)
  try {
    const copy = join(directory, 'input')
    await pipeline(process.stdin, createWriteStream(copy, { mode: 0o600 }))
    // The descriptor outlives the name.
    return await open(copy)
  } catch (cause) {
    if (cause instanceof MpfError) throw cause
    throw fileFault(`keep standard input in ${directory}`, cause)
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
    const other = NOT_GCODE.find(([magic]) => startsWith(head, magic))
    if (other) throw new Error(other[1])
    const isMarked = startsWith(head, BYTE_ORDER_MARK)
    const all = Readable.from(
      prepend(isMarked ? head.subarray(BYTE_ORDER_MARK.length) : head, chunks),
    )
    if (startsWith(head, ZSTD)) yield* decompressed(all, createZstdDecompress())
    else if (startsWith(head, GZIP)) yield* decompressed(all, createGunzip())
    else yield* all
  } catch (cause) {
    throw fileFault(`read ${path}`, cause)
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

/** Body ciphertext in a temporary file without a name: gone once it is closed, or the process killed. @throws ToolError TOOL_FILE */
export async function fileStore(): Promise<SegmentStore & AsyncDisposable> {
  const directory = await waitingRoom()
  const file: FileHandle = await open(join(directory, 'body'), 'w+', 0o600).finally(() =>
    rm(directory, { recursive: true }),
  )
  const lengths: number[] = []
  return {
    async append(segment) {
      await file.writeFile(segment).catch((cause: unknown) => {
        throw fileFault(`keep ciphertext in ${directory}`, cause)
      })
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

/** @throws ToolError TOOL_FILE */
function waitingRoom(): Promise<string> {
  return mkdtemp(join(tmpdir(), 'mpf-')).catch((cause: unknown) => {
    throw fileFault(`keep files in ${tmpdir()}`, cause)
  })
}

/**
 * Writes a whole file: durable before it appears under its name, so nobody ever meets half of one. A link is followed; a device
 * or a pipe is written to as it is. `-` is standard output.
 * @throws ToolError TOOL_FILE
 */
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
    if (path === '-') await pipeline(counted, process.stdout, { end: false })
    else await writeTo(await realpath(path).catch(() => path), counted)
    return bytes
  } catch (cause) {
    if (cause instanceof MpfError || cause instanceof ToolError) throw cause
    throw fileFault(`write ${path}`, cause)
  }
}

async function writeTo(target: string, bytes: Readable): Promise<void> {
  const present = await stat(target).catch(() => undefined)
  if (present?.isDirectory()) throw new Error('a directory')
  if (present && !present.isFile()) return pipeline(bytes, createWriteStream(target))
  const unfinished = join(dirname(target), `.${process.pid}.${Date.now()}.mpf-part`)
  using _ = removedAtLast(unfinished)
  await pipeline(bytes, createWriteStream(unfinished, { flags: 'wx', flush: true }))
  await rename(unfinished, target)
}

/** Removes what is at `path`, if anything, when it is disposed and when a signal ends the process before. */
function removedAtLast(path: string): Disposable {
  const remove = () => rmSync(path, { recursive: true, force: true })
  const end = (signal: NodeJS.Signals) => {
    remove()
    process.kill(process.pid, signal)
  }
  for (const signal of ENDING_SIGNALS) process.once(signal, end)
  return {
    [Symbol.dispose]() {
      for (const signal of ENDING_SIGNALS) process.off(signal, end)
      remove()
    },
  }
}

/** Whether two names are of one file. */
export async function isSameFile(one: string, other: string): Promise<boolean> {
  const [a, b] = await Promise.all([one, other].map(path => stat(path).catch(() => undefined)))
  return a !== undefined && a.ino === b?.ino && a.dev === b.dev
}

/** What could not be done with a file, as the error that says so. */
export function fileFault(what: string, cause: unknown): ToolError {
  return new ToolError('TOOL_FILE', `cannot ${what}: ${(cause as Error).message}`, cause)
}
