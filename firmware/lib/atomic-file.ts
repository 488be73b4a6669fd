/** Files that are either the old bytes or the new ones, whatever moment the power goes. */

import { randomBytes } from 'node:crypto'
import { type FileHandle, open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'

/** Ends the name of every unfinished file, so that a sweep at start can tell them. */
export const UNFINISHED_SUFFIX = '.tmp'

/**
 * Replaces the file at `path`: temporary file beside it, fsync, rename, fsync of the directory.
 * Resolves when the new bytes survive a power cut. Rejects with the system error; the old file is then untouched.
 */
export async function writeFileAtomically(
  path: string,
  bytes: Uint8Array,
  options: { readonly mode: number },
): Promise<void> {
  const unfinished = `${path}.${randomBytes(6).toString('hex')}${UNFINISHED_SUFFIX}`
  try {
    await using file = await open(unfinished, 'wx', options.mode)
    await file.writeFile(bytes)
    await finishFile(file, unfinished, path)
  } catch (error) {
    await rm(unfinished, { force: true })
    throw error
  }
}

/** Makes an open, completely written temporary file the file at `path`, durably. The handle stays the caller's. */
export async function finishFile(
  file: FileHandle,
  unfinished: string,
  path: string,
): Promise<void> {
  await file.sync()
  await rename(unfinished, path)
  await syncDirectory(dirname(path))
}

/** fsync of a directory: makes creations, renames and removals inside it durable. */
export async function syncDirectory(path: string): Promise<void> {
  await using directory = await open(path, 'r')
  await directory.sync()
}
