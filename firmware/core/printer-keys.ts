/** The keys that open what is sealed for this printer: wrapped at rest, destroyed by a wipe, made anew when a wiped printer is used again. */

import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { link, mkdir, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { z } from 'zod'
import { writeFileAtomically } from '#lib/atomic-file.ts'
import { type HybridKeyPair, keyId } from '#mpf'
import type { Journal } from './journal/journal.ts'
import {
  destroyFile,
  isMissing,
  type KeyEncryptionKey,
  openKeyEncryptionKey,
} from './key-encryption.ts'
import { parseHybridKey, parsePrinterKey, printerPublicKey, readKeyFile } from './keys.ts'

export interface PrinterKeyFiles {
  readonly printerKeyFile: string
  readonly hybridKeyFile?: string | undefined
  /** The key-encryption key's share, and the systemd credential that adds to it. */
  readonly kekFile: string
  readonly credentialPath?: string | undefined
}

/** A private key's file as this program leaves it. */
const wrappedFile = z.strictObject({
  v: z.literal(1),
  alg: z.literal('A256KWP'),
  kek: z.string(),
  wrapped: z.base64(),
})

const FILE_MODE = 0o600
const CURVE = 'P-384'

export class PrinterKeys implements Disposable {
  readonly #files: PrinterKeyFiles
  readonly #journal: Pick<Journal, 'record'>
  #kek: KeyEncryptionKey | undefined
  #hybridKey: HybridKeyPair | undefined
  #printerKey: KeyObject
  #isEmpty = true

  private constructor(files: PrinterKeyFiles, journal: Pick<Journal, 'record'>) {
    this.#files = files
    this.#journal = journal
    this.#printerKey = keyNobodyNames()
  }

  /**
   * Reads the key files, and wraps the plain ones they were installed as. A wiped printer may have none: nothing opens then.
   * @throws CoreError KEYS_MODE, KEYS_UNREADABLE
   */
  static async open(
    files: PrinterKeyFiles,
    { journal, isWiped }: { readonly journal: Pick<Journal, 'record'>; readonly isWiped: boolean },
  ): Promise<PrinterKeys> {
    const keys = new PrinterKeys(files, journal)
    try {
      keys.#printerKey = await keys.#load(files.printerKeyFile, parsePrinterKey)
      if (files.hybridKeyFile !== undefined)
        keys.#hybridKey = await keys.#load(files.hybridKeyFile, parseHybridKey)
      keys.#isEmpty = false
    } catch (error) {
      const isGone = error instanceof Error && isMissing(error.cause)
      if (!isWiped || !isGone) throw error
    }
    return keys
  }

  [Symbol.dispose](): void {
    this.#kek?.[Symbol.dispose]()
  }

  /** P-384; a key that no grant names while the printer has none. */
  get printerKey(): KeyObject {
    return this.#printerKey
  }

  get hybridKey(): HybridKeyPair | undefined {
    return this.#hybridKey
  }

  /** Wiped, and no key installed or made since. */
  get isEmpty(): boolean {
    return this.#isEmpty
  }

  /** The key-encryption key first. Resolves with the names of what is gone. @throws CoreError KEYS_UNREADABLE */
  async destroy(): Promise<{ readonly keyId: string; readonly kek: string }> {
    const gone = { keyId: keyId(this.#printerKey), kek: this.#kek?.id ?? '' }
    await this.#kek?.destroy()
    await destroyKeyFiles(this.#files)
    this.#kek = undefined
    this.#hybridKey = undefined
    this.#printerKey = keyNobodyNames()
    this.#isEmpty = true
    return gone
  }

  /** A new P-384 key under a new key-encryption key. Resolves with its public half, SubjectPublicKeyInfo. @throws CoreError KEYS_UNREADABLE */
  async renew(): Promise<Uint8Array> {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: CURVE })
    const pem = Buffer.from(privateKey.export({ type: 'pkcs8', format: 'pem' }))
    const { printerKeyFile } = this.#files
    await mkdir(dirname(printerKeyFile), { recursive: true, mode: 0o700 })
    const kek = await this.#keyEncryptionKey()
    await writeFileAtomically(printerKeyFile, wrappedText(pem, kek), { mode: FILE_MODE })
    pem.fill(0)
    this.#printerKey = privateKey
    this.#isEmpty = false
    const detail = { keyId: keyId(privateKey), kek: kek.id }
    this.#journal.record({ type: 'key.created', message: 'made on the printer', detail })
    return printerPublicKey(privateKey)
  }

  async #keyEncryptionKey(): Promise<KeyEncryptionKey> {
    this.#kek ??= await openKeyEncryptionKey(this.#files.kekFile, this.#files.credentialPath)
    return this.#kek
  }

  async #load<T>(path: string, parse: (bytes: Buffer) => T): Promise<T> {
    const bytes = await readKeyFile(path)
    const kek = await this.#keyEncryptionKey()
    const wrapped = parseWrapped(bytes)
    const plain = wrapped === undefined ? bytes : kek.unwrap(wrapped)
    try {
      const key = parse(plain)
      if (wrapped === undefined) await this.#wrap(path, bytes, kek)
      else await destroyFile(plainOf(path))
      return key
    } finally {
      plain.fill(0)
    }
  }

  /** The plain file keeps a second name until it is overwritten: whenever the power goes, the next start finds and destroys it. */
  async #wrap(path: string, bytes: Buffer, kek: KeyEncryptionKey): Promise<void> {
    await rm(plainOf(path), { force: true })
    await link(path, plainOf(path))
    await writeFileAtomically(path, wrappedText(bytes, kek), { mode: FILE_MODE })
    await destroyFile(plainOf(path))
    const detail = { kek: kek.id }
    this.#journal.record({ type: 'key.wrapped', message: 'no plain key is on the disk', detail })
  }
}

/** Whatever of them is there, opened or not; the key-encryption key first. @throws CoreError KEYS_UNREADABLE */
export async function destroyKeyFiles(files: PrinterKeyFiles): Promise<void> {
  const { kekFile, printerKeyFile, hybridKeyFile } = files
  const wrapped = [printerKeyFile, ...(hybridKeyFile === undefined ? [] : [hybridKeyFile])]
  for (const file of [kekFile, ...wrapped, ...wrapped.map(plainOf)]) await destroyFile(file)
}

function plainOf(path: string): string {
  return `${path}.plain`
}

function wrappedText(plain: Buffer, kek: KeyEncryptionKey): Buffer {
  const wrapped = kek.wrap(plain).toString('base64')
  return Buffer.from(`${JSON.stringify({ v: 1, alg: 'A256KWP', kek: kek.id, wrapped })}\n`)
}

function parseWrapped(bytes: Buffer): Buffer | undefined {
  try {
    const { data } = wrappedFile.safeParse(JSON.parse(bytes.toString('utf8')))
    return data && Buffer.from(data.wrapped, 'base64')
  } catch {
    return undefined
  }
}

function keyNobodyNames(): KeyObject {
  return generateKeyPairSync('ec', { namedCurve: CURVE }).privateKey
}
