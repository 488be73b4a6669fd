/** Sealed files the gateway made: kept for one printer, gone when no offer can name them any more. */

import { access, mkdir, readdir, rm, stat, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { FleetError } from './errors.ts'

const NAME = /^[0-9a-f-]{36}\.mpf$/
/** An offer lives a week (jobs.ts). */
const KEEP_MS = 8 * 86_400_000

/** Where a file of this name is sealed to. */
export async function placeFor(
  tenantDirectory: string,
  serial: string,
  name: string,
): Promise<string> {
  const directory = join(tenantDirectory, 'files', serial)
  await mkdir(directory, { recursive: true, mode: 0o700 })
  return join(directory, name)
}

/** Path of a file kept for this printer; it is kept from now on for as long as a new one. @throws FleetError FLEET_UPLOAD */
export async function findKept(
  tenantDirectory: string,
  serial: string,
  name: string,
  atMs: number,
): Promise<string> {
  const path = join(tenantDirectory, 'files', serial, name)
  const isKept =
    NAME.test(name) &&
    (await access(path).then(
      () => true,
      () => false,
    ))
  if (!isKept) throw new FleetError('FLEET_UPLOAD', 'no such file is kept')
  await utimes(path, atMs / 1000, atMs / 1000)
  return path
}

/** Removes what was sealed and last offered more than eight days ago. */
export async function removeOld(tenantDirectory: string, atMs: number): Promise<void> {
  const directory = join(tenantDirectory, 'files')
  const entries = await readdir(directory, { recursive: true, withFileTypes: true }).catch(() => [])
  for (const entry of entries) {
    const path = join(entry.parentPath, entry.name)
    if (!NAME.test(entry.name) || (await stat(path)).mtimeMs > atMs - KEEP_MS) continue
    await rm(path, { force: true })
  }
}
