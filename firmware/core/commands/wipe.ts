/** The end of everything sealed for this printer: its keys destroyed, then what they open removed; finished after a crash. */

import { randomBytes } from 'node:crypto'
import { open, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { syncDirectory } from '#lib/atomic-file.ts'
import { coreFault } from '../errors.ts'
import type { Journal } from '../journal/journal.ts'
import type { Spool } from '../spool.ts'
import type { CommandLedger } from './ledger.ts'

export interface WipeParts {
  readonly ledger: CommandLedger
  readonly journal: Journal
  readonly spool: Spool
  /** The printer's private keys. */
  readonly keyFiles: readonly string[]
  /** Names the printer key in the receipt of its destruction. */
  readonly printerKeyId: string
  readonly signal: AbortSignal
}

/** The keys first: from then on the sealed files are noise, whatever else still fails. @throws CoreError KEYS_UNREADABLE */
export async function wipe(parts: WipeParts): Promise<string> {
  const { ledger, journal, spool, keyFiles, printerKeyId, signal } = parts
  ledger.set('wiped', true)
  ledger.set('wiping', true)
  for (const file of keyFiles) await destroyFile(file)
  const { ids, strays } = await spool.contents()
  for (const id of ids) {
    signal.throwIfAborted()
    await spool.remove(id)
  }
  for (const name of strays) await spool.removeStray(name)
  ledger.set('wiping', false)
  const detail = { keyId: printerKeyId, files: ids.length }
  journal.record({ type: 'printer.wiped', message: 'printer key destroyed, spool emptied', detail })
  return `key ${printerKeyId} destroyed, ${ids.length} files removed`
}

/**
 * At start, before a key is read: ends a wipe that was cut off. Nothing happens when there was none; a key installed
 * after a finished wipe is left alone.
 * @throws CoreError KEYS_UNREADABLE
 */
export async function finishWipe(
  parts: Pick<WipeParts, 'ledger' | 'journal' | 'keyFiles'> & { readonly spoolDirectory: string },
): Promise<void> {
  const { ledger, journal, keyFiles, spoolDirectory } = parts
  if (!ledger.isSet('wiping')) return
  for (const file of keyFiles) await destroyFile(file)
  await rm(spoolDirectory, { recursive: true, force: true })
  ledger.set('wiping', false)
  journal.record({ type: 'printer.wiped', message: 'a wipe that was cut off is finished' })
}

/**
 * Overwritten before it is removed: on flash this may leave the old page, which the disk's own encryption must cover.
 * A file that is not there any more was destroyed before.
 */
async function destroyFile(path: string): Promise<void> {
  try {
    await using file = await open(path, 'r+')
    const { size } = await file.stat()
    await file.write(randomBytes(size), 0, size, 0)
    await file.sync()
    await rm(path)
    await syncDirectory(dirname(path))
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return
    throw coreFault('KEYS_UNREADABLE', 'the printer key could not be destroyed', error)
  }
}
