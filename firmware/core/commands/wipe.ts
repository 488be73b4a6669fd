/** The end of everything sealed for this printer: its keys destroyed, then what they open removed; finished after a crash. */

import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Journal } from '../journal/journal.ts'
import { destroyKeyFiles, type PrinterKeyFiles, type PrinterKeys } from '../printer-keys.ts'
import type { Spool } from '../spool.ts'
import type { CommandLedger } from './ledger.ts'

export interface WipeParts {
  readonly ledger: CommandLedger
  readonly journal: Journal
  readonly keys: PrinterKeys
  readonly spool: Spool
  /** Their files are removed too: grants, flight records. */
  readonly directories: readonly string[]
}

/** The keys first: from then on the sealed files are noise, whatever else still fails. @throws CoreError KEYS_UNREADABLE */
export async function wipe(parts: WipeParts): Promise<string> {
  const { ledger, journal, keys, spool, directories } = parts
  ledger.set('wiped', true)
  ledger.set('wiping', true)
  const { keyId, kek } = await keys.destroy()
  const { ids, strays } = await spool.contents()
  for (const id of ids) await spool.remove(id)
  for (const name of strays) await spool.removeStray(name)
  const files = ids.length + (await empty(directories))
  const detail = { keyId, kek, files }
  journal.record({ type: 'key.destroyed', message: `key ${keyId}`, detail: { keyId, kek } })
  journal.record({ type: 'printer.wiped', message: 'keys destroyed, files removed', detail })
  ledger.set('wiping', false)
  return `key ${keyId} and key-encryption key ${kek} destroyed, ${files} files removed, log of ${journal.lastSequence()} events`
}

/**
 * At start, before a key is read: ends a wipe that was cut off. Nothing happens when there was none; a key installed
 * after a finished wipe is left alone.
 * @throws CoreError KEYS_UNREADABLE
 */
export async function finishWipe(
  parts: Omit<WipeParts, 'keys' | 'spool'> & { readonly keyFiles: PrinterKeyFiles },
): Promise<void> {
  const { ledger, journal, keyFiles, directories } = parts
  if (!ledger.isSet('wiping')) return
  await destroyKeyFiles(keyFiles)
  const files = await empty(directories)
  const message = 'a wipe that was cut off is finished'
  journal.record({ type: 'printer.wiped', message, detail: { files } })
  ledger.set('wiping', false)
}

/** Resolves with the number of files removed; a directory that is not there is empty. */
async function empty(directories: readonly string[]): Promise<number> {
  let files = 0
  for (const directory of directories)
    for (const name of await readdir(directory).catch(() => [])) {
      await rm(join(directory, name), { recursive: true, force: true })
      files += 1
    }
  return files
}
