/** Where sealed files wait: ciphertext only, copied whole or not at all, never more than the disk can spare. */

import { createHash } from 'node:crypto'
import { type FileHandle, mkdir, open, readdir, rm, stat, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { finishFile, syncDirectory, UNFINISHED_SUFFIX } from '#lib/atomic-file.ts'
import { type FileSource, openFileSource } from '#lib/file-source.ts'
import { CoreError, coreFault } from './errors.ts'

export interface SpoolLimits {
  readonly maxBytes: number
  readonly maxFileBytes: number
  /** Free space of the disk the spool never uses. */
  readonly reserveBytes: number
}

/** What a copy reads from: a file on a stick that may vanish or change under the copy. */
export type CopySource = Pick<FileSource, 'sizeBytes' | 'read' | 'identity' | 'identify'>

export interface SpooledFile {
  readonly sizeBytes: number
  /** Of every byte copied, hex. */
  readonly sha256: string
}

/** One read of the stick: large enough for a USB 2 stick's full rate, small enough to stop soon. */
const COPY_BYTES = 1024 * 1024
const SEALED_SUFFIX = '.mpf'
const DIRECTORY_MODE = 0o700
const FILE_MODE = 0o600

export class Spool {
  readonly #directory: string
  readonly #limits: SpoolLimits
  #usedBytes = 0

  private constructor(directory: string, limits: SpoolLimits) {
    this.#directory = directory
    this.#limits = limits
  }

  /** Opens the spool, making its directory; unfinished copies of an earlier life are removed. @throws CoreError SPOOL_IO. */
  static async open(directory: string, limits: SpoolLimits): Promise<Spool> {
    const spool = new Spool(directory, limits)
    try {
      await mkdir(directory, { recursive: true, mode: DIRECTORY_MODE })
      await spool.#sweep()
      await spool.#measure()
      return spool
    } catch (error) {
      throw coreFault('SPOOL_IO', 'the spool directory cannot be used', error)
    }
  }

  get usedBytes(): number {
    return this.#usedBytes
  }

  get capBytes(): number {
    return this.#limits.maxBytes
  }

  pathOf(id: string): string {
    return join(this.#directory, `${id}${SEALED_SUFFIX}`)
  }

  /** Opens a spooled file for reading. @throws CoreError JOB_FILE_LOST. */
  open(id: string): Promise<FileSource> {
    return openFileSource(this.pathOf(id), (message, cause) =>
      coreFault('JOB_FILE_LOST', message, cause),
    )
  }

  /**
   * Copies `source` into the spool as `<id>.mpf`; durable when it resolves, without trace when it rejects.
   * @throws CoreError INTAKE_SIZE, SPOOL_FULL, SPOOL_RESERVE, SPOOL_IO, INTAKE_CHANGED, whatever `source` throws; `signal.reason`.
   */
  async take(source: CopySource, id: string, signal: AbortSignal): Promise<SpooledFile> {
    await this.#expectRoom(source.sizeBytes)
    const path = this.pathOf(id)
    const unfinished = `${path}${UNFINISHED_SUFFIX}`
    // Counted before the copy, so that two copies at once cannot both fit into the last gap.
    this.#usedBytes += source.sizeBytes
    try {
      await using file = await this.#create(unfinished)
      const sha256 = await copy(source, file, signal)
      await expectUnchanged(source)
      await finishFile(file, unfinished, path).catch((error: unknown) => {
        throw coreFault('SPOOL_IO', 'the copy could not be made durable', error)
      })
      return { sizeBytes: source.sizeBytes, sha256 }
    } catch (error) {
      this.#usedBytes -= source.sizeBytes
      await rm(unfinished, { force: true })
      throw error
    }
  }

  /** Removes a job's file, durably. Nothing happens when there is none. */
  async remove(id: string): Promise<void> {
    const found = await stat(this.pathOf(id)).catch(() => undefined)
    if (found === undefined) return
    await rm(this.pathOf(id), { force: true })
    this.#usedBytes -= found.size
    await syncDirectory(this.#directory)
  }

  /** Removes anything else that was found in the spool directory. */
  async removeStray(name: string): Promise<void> {
    await rm(join(this.#directory, name), { force: true, recursive: true })
    await syncDirectory(this.#directory)
  }

  /** SHA-256 and size of a file already in the spool: for one whose job was never written down. */
  async measureFile(id: string, signal: AbortSignal): Promise<SpooledFile> {
    await using source = await this.open(id)
    return {
      sizeBytes: source.sizeBytes,
      sha256: await digest(source, signal, async () => undefined),
    }
  }

  /** Ids of the files in the spool, and the names of whatever else lies there. */
  async contents(): Promise<{
    readonly ids: readonly string[]
    readonly strays: readonly string[]
  }> {
    const entries = await readdir(this.#directory, { withFileTypes: true })
    const ids: string[] = []
    const strays: string[] = []
    for (const entry of entries) {
      const isSealed = entry.isFile() && /^[0-9a-f-]{1,36}\.mpf$/.test(entry.name)
      if (isSealed) ids.push(entry.name.slice(0, -SEALED_SUFFIX.length))
      else strays.push(entry.name)
    }
    return { ids, strays }
  }

  async #expectRoom(sizeBytes: number): Promise<void> {
    const { maxBytes, maxFileBytes, reserveBytes } = this.#limits
    if (sizeBytes === 0 || sizeBytes > maxFileBytes)
      throw new CoreError('INTAKE_SIZE', `${sizeBytes} bytes, at most ${maxFileBytes} are taken`)
    const disk = await statfs(this.#directory)
    // Nothing is awaited from here until the bytes count as used.
    if (this.#usedBytes + sizeBytes > maxBytes)
      throw new CoreError(
        'SPOOL_FULL',
        `${sizeBytes} bytes, ${this.#usedBytes} of ${maxBytes} are used`,
      )
    const freeBytes = disk.bavail * disk.bsize
    if (freeBytes - sizeBytes < reserveBytes)
      throw new CoreError(
        'SPOOL_RESERVE',
        `${sizeBytes} bytes, ${freeBytes} free with ${reserveBytes} reserved`,
      )
  }

  async #create(path: string): Promise<FileHandle> {
    try {
      return await open(path, 'wx', FILE_MODE)
    } catch (error) {
      throw coreFault('SPOOL_IO', 'no file could be made in the spool', error)
    }
  }

  async #sweep(): Promise<void> {
    for (const name of await readdir(this.#directory))
      if (name.endsWith(UNFINISHED_SUFFIX)) await rm(join(this.#directory, name), { force: true })
  }

  async #measure(): Promise<void> {
    const { ids } = await this.contents()
    const sizes = await Promise.all(ids.map(id => stat(this.pathOf(id))))
    this.#usedBytes = sizes.reduce((sum, { size }) => sum + size, 0)
  }
}

async function copy(source: CopySource, file: FileHandle, signal: AbortSignal): Promise<string> {
  return digest(source, signal, async bytes => {
    // writeFile, not write: a disk that fills up may take a part of the bytes and say so in its result alone.
    await file.writeFile(bytes).catch((error: unknown) => {
      throw coreFault('SPOOL_IO', 'the copy could not be written', error)
    })
  })
}

async function digest(
  source: Pick<CopySource, 'sizeBytes' | 'read'>,
  signal: AbortSignal,
  use: (bytes: Uint8Array) => Promise<void>,
): Promise<string> {
  const hash = createHash('sha256')
  for (let offset = 0; offset < source.sizeBytes; offset += COPY_BYTES) {
    signal.throwIfAborted()
    const bytes = await source.read(offset, Math.min(COPY_BYTES, source.sizeBytes - offset))
    hash.update(bytes)
    await use(bytes)
  }
  return hash.digest('hex')
}

/** A file that was written to during the copy is a mixture of two files, whatever its bytes say. */
async function expectUnchanged(source: CopySource): Promise<void> {
  const now = await source.identify()
  const { identity } = source
  const isSame =
    now.isLinked &&
    now.sizeBytes === identity.sizeBytes &&
    now.modifiedNs === identity.modifiedNs &&
    now.inode === identity.inode
  if (!isSame) throw new CoreError('INTAKE_CHANGED', 'the file changed while it was copied')
}
