/** Keys as files: PEM (PKCS#8, SPKI) or PKCS#12, and the trust bundle as JSON. */

import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto'
import { readFile, rm, writeFile } from 'node:fs/promises'
import {
  type HybridKeyFile,
  keyId,
  MpfError,
  parseHybridKeyFile,
  parseTrustBundle,
  type Recipient,
  type RecipientKeys,
  readPkcs12,
  type SignatureAlgorithm,
  type SigningKey,
  type TrustBundle,
} from '#mpf'
import { ToolError } from './errors.ts'
import { fileFault } from './files.ts'

const ALGORITHM_OF_CURVE: Readonly<Record<string, SignatureAlgorithm>> = {
  secp384r1: 'ES384',
  prime256v1: 'ES256',
}

/** FIPS 186-5 */
const MIN_RSA_BITS = 2048
/** For messages. */
export const SIGNING_KEYS = 'P-384, P-256, Ed25519, ML-DSA or RSA key of 2,048 bits or more'

/** The signature algorithm a key is used with, or undefined when MPF allows none. */
export function algorithmOf(key: KeyObject): SignatureAlgorithm | undefined {
  if (key.asymmetricKeyType === 'ed25519') return 'EdDSA'
  if (key.asymmetricKeyType === 'ml-dsa-65') return 'ML-DSA-65'
  if (key.asymmetricKeyType === 'ml-dsa-87') return 'ML-DSA-87'
  if (key.asymmetricKeyType === 'rsa')
    return (key.asymmetricKeyDetails?.modulusLength ?? 0) < MIN_RSA_BITS ? undefined : 'PS384'
  return ALGORITHM_OF_CURVE[key.asymmetricKeyDetails?.namedCurve ?? '']
}

/**
 * A private key from a PEM file, or from a PKCS#12 file with the password in `passwordFile`.
 * @throws ToolError TOOL_FILE, TOOL_KEY
 */
export async function readPrivateKey(path: string, passwordFile?: string): Promise<KeyObject> {
  const bytes = await readBytes(path)
  expectOneKey(path, bytes, 'private')
  try {
    if (bytes.includes('-----BEGIN ')) return createPrivateKey(bytes)
    const password =
      passwordFile === undefined ? '' : (await readBytes(passwordFile)).toString('utf8').trimEnd()
    return createPrivateKey({
      key: Buffer.from(readPkcs12(bytes, password).privateKey),
      format: 'der',
      type: 'pkcs8',
    })
  } catch (cause) {
    throw new ToolError('TOOL_KEY', `${path} holds no private key that can be read`, cause)
  }
}

/** @throws ToolError TOOL_FILE, TOOL_KEY */
export async function readSigningKey(path: string, passwordFile?: string): Promise<SigningKey> {
  const privateKey = await readPrivateKey(path, passwordFile)
  const algorithm = algorithmOf(privateKey)
  if (!algorithm) throw new ToolError('TOOL_KEY', `${path} is not a ${SIGNING_KEYS}`)
  return { kid: keyId(privateKey), algorithm, privateKey }
}

/** @throws ToolError TOOL_FILE, TOOL_KEY */
export async function readPublicKey(path: string): Promise<KeyObject> {
  const bytes = await readBytes(path)
  expectOneKey(path, bytes, 'public')
  try {
    return createPublicKey(bytes)
  } catch (cause) {
    throw new ToolError('TOOL_KEY', `${path} holds no public key that can be read`, cause)
  }
}

/** A printer's public key to wrap for: PEM (P-384) or a hybrid key file. @throws ToolError TOOL_FILE, TOOL_KEY */
export async function readRecipient(path: string): Promise<Recipient> {
  const bytes = await readBytes(path)
  if (bytes[0] === 0x7b) return { ka: 'HPKE-0051', key: parseHybrid(bytes, path).publicKey }
  const key = await readPublicKey(path)
  if (key.asymmetricKeyDetails?.namedCurve !== 'secp384r1')
    throw new ToolError(
      'TOOL_KEY',
      `${path} is not a P-384 key: grants are wrapped to P-384 or hybrid keys`,
    )
  return { ka: 'JWE', key }
}

/** The private keys of a recipient, or undefined when neither file is given. @throws ToolError TOOL_FILE, TOOL_KEY */
export async function readRecipientKeys(
  files: { readonly p384: string | undefined; readonly hybrid: string | undefined },
  passwordFile: string | undefined,
): Promise<RecipientKeys | undefined> {
  const p384 = files.p384 === undefined ? undefined : await readP384Key(files.p384, passwordFile)
  const hybrid = files.hybrid === undefined ? undefined : await readHybridKey(files.hybrid)
  if (!p384 && !hybrid) return undefined
  return { ...(p384 && { p384 }), ...(hybrid && { hybrid }) }
}

async function readP384Key(path: string, passwordFile?: string): Promise<KeyObject> {
  const key = await readPrivateKey(path, passwordFile)
  if (key.asymmetricKeyDetails?.namedCurve !== 'secp384r1')
    throw new ToolError('TOOL_KEY', `${path} is not a P-384 key: no grant opens with it`)
  return key
}

async function readHybridKey(path: string): Promise<NonNullable<RecipientKeys['hybrid']>> {
  const { publicKey, privateKey } = parseHybrid(await readBytes(path), path)
  if (!privateKey) throw new ToolError('TOOL_KEY', `${path} holds no private key`)
  return { publicKey, privateKey }
}

function parseHybrid(bytes: Buffer, path: string): HybridKeyFile {
  const key = parseHybridKeyFile(bytes)
  if (!key) throw new ToolError('TOOL_KEY', `${path} is not a hybrid key`)
  return key
}

/** @throws ToolError TOOL_FILE, TOOL_KEY */
export async function readTrust(path: string): Promise<TrustBundle> {
  const bytes = await readBytes(path)
  try {
    return parseTrustBundle(bytes)
  } catch (cause) {
    if (!(cause instanceof MpfError)) throw cause
    throw new ToolError('TOOL_KEY', `${path}: ${cause.message}`, cause)
  }
}

/** @throws ToolError TOOL_FILE */
export async function readBytes(path: string): Promise<Buffer> {
  try {
    return await readFile(path)
  } catch (cause) {
    throw fileFault(`read ${path}`, cause)
  }
}

export interface NewFile {
  readonly path: string
  readonly contents: string
  readonly mode: number
}

/** New files, all or none; an existing one is never overwritten. @throws ToolError TOOL_FILE */
export async function writeNew(...files: readonly NewFile[]): Promise<void> {
  const written: string[] = []
  for (const { path, contents, mode } of files)
    try {
      await writeFile(path, contents, { mode, flag: 'wx', flush: true })
      written.push(path)
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') written.push(path)
      await Promise.allSettled(written.map(half => rm(half, { force: true })))
      throw fileFault(`write ${path}`, cause)
    }
}

/** Refuses a PEM file of which it is not plain which key is meant. @throws ToolError TOOL_KEY */
function expectOneKey(path: string, bytes: Buffer, kind: 'private' | 'public'): void {
  const refuse = (what: string) => new ToolError('TOOL_KEY', `${path} ${what}`)
  const text = bytes.toString('latin1')
  const keys = [...text.matchAll(/-----BEGIN ((?:[A-Z0-9]+ )*)(PRIVATE|PUBLIC) KEY-----/g)]
  if (keys.length > 1) throw refuse(`holds ${keys.length} keys: one is expected`)
  if (keys[0]?.[1] === 'ENCRYPTED ' || text.includes('Proc-Type: 4,ENCRYPTED'))
    throw refuse('is encrypted: decrypt it, or use PKCS#12 and --password-file')
  const found = keys[0]?.[2]?.toLowerCase() ?? kind
  if (found !== kind) throw refuse(`holds a ${found} key: the ${kind} one is expected`)
}
