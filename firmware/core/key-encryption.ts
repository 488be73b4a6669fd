/** The one key over the printer's private keys at rest: what destroys it destroys them all. */

import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes } from 'node:crypto'
import { open, readFile, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { syncDirectory, writeFileAtomically } from '#lib/atomic-file.ts'
import { CoreError, coreFault } from './errors.ts'

/** AES-256 key wrap with padding: RFC 5649, SP 800-38F (KWP). */
const KEY_WRAP = 'id-aes256-wrap-pad'
const ALTERNATIVE_IV = Buffer.from('a65959a6', 'hex')
const KEY_BYTES = 32
/** One block of the file system: a smaller file may live inside an inode, whose old copies the file system's own journal keeps. */
const SHARE_BYTES = 4096
const MAX_CREDENTIAL_BYTES = 4096
const GROUP_AND_OTHERS = 0o077

/** Where the key comes from is its maker's business: a sealed file, a systemd credential, a token. */
export interface KeyEncryptionKey extends Disposable {
  /** Names it in records; tells nothing about it. */
  readonly id: string
  wrap(key: Uint8Array): Buffer
  /** The caller zeroes what it gets. @throws CoreError KEYS_UNREADABLE for another key's bytes, or changed ones */
  unwrap(wrapped: Uint8Array): Buffer
  /** After it resolves nothing wrapped can be opened again, also after a power cut. @throws CoreError KEYS_UNREADABLE */
  destroy(): Promise<void>
}

/**
 * HKDF-SHA256 over a random share in `path` (made on first use, mode 0600) and, where it exists, the systemd credential in
 * `credentialPath`. The share alone decides its destruction: a program cannot destroy a credential. With a credential that a TPM
 * opens, neither an old copy of the share nor the disk without its board is enough.
 * @throws CoreError KEYS_MODE, KEYS_UNREADABLE
 */
export async function openKeyEncryptionKey(
  path: string,
  credentialPath?: string,
): Promise<KeyEncryptionKey> {
  const share = (await readShare(path)) ?? (await makeShare(path))
  const credential = await readCredential(credentialPath)
  const secret = Buffer.concat([share, credential])
  const key = Buffer.from(hkdfSync('sha256', secret, '', 'mpfd key encryption', KEY_BYTES))
  for (const bytes of [share, credential, secret]) bytes.fill(0)
  return {
    id: createHmac('sha256', key).update('mpfd key id').digest('hex').slice(0, 16),
    wrap(plain) {
      const cipher = createCipheriv(KEY_WRAP, key, ALTERNATIVE_IV)
      return Buffer.concat([cipher.update(plain), cipher.final()])
    },
    unwrap(wrapped) {
      try {
        const decipher = createDecipheriv(KEY_WRAP, key, ALTERNATIVE_IV)
        return Buffer.concat([decipher.update(wrapped), decipher.final()])
      } catch (cause) {
        throw coreFault('KEYS_UNREADABLE', 'not wrapped under this key-encryption key', cause)
      }
    },
    async destroy() {
      key.fill(0)
      await destroyFile(path)
    },
    [Symbol.dispose]: () => key.fill(0),
  }
}

/**
 * Overwritten before it is removed: on flash this may leave the old page, which only a credential outside that flash covers.
 * A file that is not there any more was destroyed before.
 * @throws CoreError KEYS_UNREADABLE
 */
export async function destroyFile(path: string): Promise<void> {
  try {
    await using file = await open(path, 'r+')
    const { size } = await file.stat()
    await file.write(randomBytes(size), 0, size, 0)
    await file.sync()
    await rm(path)
    await syncDirectory(dirname(path))
  } catch (error) {
    if (isMissing(error)) return
    throw coreFault('KEYS_UNREADABLE', 'a key could not be destroyed', error)
  }
}

export function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT'
}

async function readShare(path: string): Promise<Buffer | undefined> {
  try {
    await using file = await open(path, 'r')
    const { mode, size } = await file.stat()
    if ((mode & GROUP_AND_OTHERS) !== 0)
      throw new CoreError('KEYS_MODE', `${path} has mode ${(mode & 0o777).toString(8)}`)
    if (size !== SHARE_BYTES) throw new RangeError(`${size} bytes, not ${SHARE_BYTES}`)
    return await file.readFile()
  } catch (error) {
    if (isMissing(error)) return undefined
    if (error instanceof CoreError) throw error
    throw coreFault('KEYS_UNREADABLE', `${path} cannot be read`, error)
  }
}

async function makeShare(path: string): Promise<Buffer> {
  const share = randomBytes(SHARE_BYTES)
  await writeFileAtomically(path, share, { mode: 0o600 }).catch((error: unknown) => {
    throw coreFault('KEYS_UNREADABLE', `${path} cannot be made`, error)
  })
  return share
}

/** systemd.exec(5), LoadCredentialEncrypted=: a file that only this service sees. */
async function readCredential(path: string | undefined): Promise<Buffer> {
  if (path === undefined) return Buffer.alloc(0)
  try {
    const credential = await readFile(path)
    if (credential.length < KEY_BYTES || credential.length > MAX_CREDENTIAL_BYTES)
      throw new RangeError(`${credential.length} bytes, at least ${KEY_BYTES}`)
    return credential
  } catch (error) {
    if (isMissing(error)) return Buffer.alloc(0)
    throw coreFault('KEYS_UNREADABLE', 'the credential mpfd.kek cannot be used', error)
  }
}
