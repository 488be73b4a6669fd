/** Key files and the file that says whom the printer believes: read once, checked for who else could. */

import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto'
import { constants, open } from 'node:fs/promises'
import { type HybridKeyPair, parseHybridKeyFile } from '#mpf'
import { CoreError, coreFault } from './errors.ts'

const MAX_KEY_BYTES = 16 * 1024
const MAX_BUNDLE_BYTES = 1024 * 1024
/** Any of these bits lets somebody else read the key. */
const GROUP_AND_OTHERS = 0o077
const CURVE = 'secp384r1'

/** A P-384 private key (PEM, PKCS#8 or SEC 1). @throws CoreError KEYS_UNREADABLE */
export function parsePrinterKey(bytes: Buffer): KeyObject {
  try {
    const key = createPrivateKey(bytes)
    if (key.asymmetricKeyDetails?.namedCurve !== CURVE)
      throw new CoreError('KEYS_UNREADABLE', 'the printer key is not a P-384 key')
    return key
  } catch (error) {
    if (error instanceof CoreError) throw error
    throw coreFault('KEYS_UNREADABLE', 'the printer key is not a private key', error)
  }
}

/** The printer's key for hybrid grants, as `mpf keygen --kind hybrid` writes it. @throws CoreError KEYS_UNREADABLE */
export function parseHybridKey(bytes: Buffer): HybridKeyPair {
  const { publicKey, privateKey } = parseHybridKeyFile(bytes) ?? {}
  if (!publicKey || !privateKey)
    throw new CoreError('KEYS_UNREADABLE', 'the hybrid key is not a private hybrid key')
  return { publicKey, privateKey }
}

/** The bytes of a private key's file; the caller zeroes them. @throws CoreError KEYS_MODE when group or others have any access, KEYS_UNREADABLE. */
export async function readKeyFile(path: string): Promise<Buffer> {
  const { bytes, mode } = await readSmallFile(path, MAX_KEY_BYTES)
  if ((mode & GROUP_AND_OTHERS) === 0) return bytes
  bytes.fill(0)
  throw new CoreError('KEYS_MODE', `${path} has mode ${(mode & 0o777).toString(8)}`)
}

/** The trust bundle's bytes; the file format parses them. @throws CoreError KEYS_UNREADABLE. */
export async function loadTrustBundle(path: string): Promise<Uint8Array> {
  const { bytes } = await readSmallFile(path, MAX_BUNDLE_BYTES)
  return bytes
}

/** The public half, as DER SubjectPublicKeyInfo: what a grant names the printer by. */
export function printerPublicKey(key: KeyObject): Uint8Array {
  return createPublicKey(key).export({ type: 'spki', format: 'der' })
}

async function readSmallFile(
  path: string,
  maxBytes: number,
): Promise<{ readonly bytes: Buffer; readonly mode: number }> {
  try {
    await using file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW)
    const { size, mode } = await file.stat()
    if (size > maxBytes) throw new RangeError(`${size} bytes, at most ${maxBytes}`)
    return { bytes: await file.readFile(), mode }
  } catch (error) {
    throw coreFault('KEYS_UNREADABLE', `${path} cannot be read`, error)
  }
}
