/** Random access to one regular file that cannot be swapped under us: opened once, no link followed, read by descriptor. */

import { read as readCallback } from 'node:fs'
import { constants, type FileHandle, open } from 'node:fs/promises'
import { promisify } from 'node:util'

const readAt = promisify(readCallback)

/** Makes the error a reader throws, so that this leaf needs to know no error class. */
export type SourceFault = (message: string, cause?: unknown) => Error

/** Shaped as the `ByteSource` of the file format, which this leaf must not import. */
export interface FdSource {
  readonly sizeBytes: number
  /** Exactly `length` bytes at `offset`, in a buffer the caller owns. Rejects with the fault. */
  read(offset: number, length: number): Promise<Uint8Array>
}

/** What tells one state of a file from another without reading it. */
export interface FileIdentity {
  readonly inode: bigint
  readonly modifiedNs: bigint
  readonly sizeBytes: number
  /** False once the last name of the file is gone. */
  readonly isLinked: boolean
}

export interface FileSource extends FdSource, AsyncDisposable {
  readonly fd: number
  readonly identity: FileIdentity
  /** The identity now; differs from `identity` when somebody wrote, truncated or removed the file. */
  identify(): Promise<FileIdentity>
}

/** Reads an open descriptor, which stays the caller's to close; may be used from a worker thread. */
export function fdSource(fd: number, sizeBytes: number, fault: SourceFault): FdSource {
  return {
    sizeBytes,
    async read(offset, length) {
      if (offset < 0 || length < 0 || offset + length > sizeBytes)
        throw fault(`read of ${length} bytes at ${offset} past ${sizeBytes}`)
      return readExactly(fd, offset, length, fault)
    },
  }
}

/**
 * Opens a regular file read-only, following no link in its last component. O_NONBLOCK: a FIFO on a
 * stick must not hang the open. Dispose closes it.
 */
export async function openFileSource(path: string, fault: SourceFault): Promise<FileSource> {
  let file: FileHandle
  try {
    file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  } catch (error) {
    throw fault(`open: ${codeOf(error)}`, error)
  }
  try {
    const identity = await identifyFile(file, fault)
    return {
      ...fdSource(file.fd, identity.sizeBytes, fault),
      fd: file.fd,
      identity,
      identify: () => identifyFile(file, fault),
      [Symbol.asyncDispose]: () => file.close(),
    }
  } catch (error) {
    await file.close()
    throw error
  }
}

async function identifyFile(file: FileHandle, fault: SourceFault): Promise<FileIdentity> {
  const stats = await file.stat({ bigint: true }).catch((error: unknown) => {
    throw fault(`stat: ${codeOf(error)}`, error)
  })
  if (!stats.isFile()) throw fault('not a regular file')
  return {
    inode: stats.ino,
    modifiedNs: stats.mtimeNs,
    sizeBytes: Number(stats.size),
    isLinked: stats.nlink > 0n,
  }
}

async function readExactly(
  fd: number,
  offset: number,
  length: number,
  fault: SourceFault,
): Promise<Uint8Array> {
  const bytes = new Uint8Array(length)
  let done = 0
  while (done < length) {
    const { bytesRead } = await readAt(fd, bytes, done, length - done, offset + done).catch(
      (error: unknown) => {
        throw fault(`read of ${length} bytes at ${offset}: ${codeOf(error)}`, error)
      },
    )
    if (bytesRead === 0)
      throw fault(`read of ${length} bytes at ${offset}: the file ends after ${done}`)
    done += bytesRead
  }
  return bytes
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
}
