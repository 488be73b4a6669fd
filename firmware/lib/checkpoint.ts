/** Signed checkpoints of a log (C2SP signed-note, tlog-checkpoint, tlog-cosignature): text both ends read and sign. Pure. */

import { createHash, createPublicKey, type KeyObject, sign, verify } from 'node:crypto'

/** Signature types of C2SP signed-note: an Ed25519 signature, and an Ed25519 cosignature with a timestamp. */
const TYPE = { ed25519: 0x01, cosignature: 0x04 } as const
const ED25519_BYTES = 32

export interface Checkpoint {
  /** Names the log: one printer's. */
  readonly origin: string
  readonly size: number
  readonly root: Uint8Array
}

/** A key under the name it signs notes with. */
export interface NoteKey {
  readonly name: string
  readonly key: KeyObject
}

/** The note's text: origin, size, root hash, one a line. */
export function checkpointText(checkpoint: Checkpoint): string {
  return `${checkpoint.origin}\n${checkpoint.size}\n${Buffer.from(checkpoint.root).toString('base64')}\n`
}

/** A checkpoint signed by the log itself. `key` is an Ed25519 private key. */
export function signCheckpoint(checkpoint: Checkpoint, key: NoteKey): string {
  const text = checkpointText(checkpoint)
  const signature = sign(undefined, Buffer.from(text), key.key)
  return `${text}\n${signatureLine(key, TYPE.ed25519, signature)}`
}

/** The witness's line for a note it found consistent; `atS` seconds since 1970. */
export function cosign(note: string, key: NoteKey, atS: number): string {
  const signature = sign(undefined, cosignedMessage(textOf(note), atS), key.key)
  const time = Buffer.alloc(8)
  time.writeBigUInt64BE(BigInt(atS))
  return signatureLine(key, TYPE.cosignature, Buffer.concat([time, signature]))
}

/** The checkpoint when the log's signature on the note verifies; otherwise undefined. */
export function openCheckpoint(note: string, key: NoteKey): Checkpoint | undefined {
  const signature = signatureOf(note, key, TYPE.ed25519)
  const text = textOf(note)
  if (!signature || !verify(undefined, Buffer.from(text), key.key, signature)) return undefined
  const [origin, size, root, end, ...rest] = text.split('\n')
  const rootBytes = Buffer.from(root ?? '', 'base64')
  const isWhole = end === '' && rest.length === 0 && /^(0|[1-9]\d{0,15})$/.test(size ?? '')
  if (origin === undefined || !isWhole || rootBytes.length !== 32) return undefined
  return { origin, size: Number(size), root: rootBytes }
}

/** When the witness cosigned, in seconds, if its line on the note verifies. */
export function cosignedAtS(note: string, key: NoteKey): number | undefined {
  const bytes = signatureOf(note, key, TYPE.cosignature)
  if (bytes?.length !== 72) return undefined
  const atS = Number(bytes.readBigUInt64BE(0))
  const isGood = verify(undefined, cosignedMessage(textOf(note), atS), key.key, bytes.subarray(8))
  return isGood ? atS : undefined
}

function cosignedMessage(text: string, atS: number): Buffer {
  return Buffer.from(`cosignature/v1\ntime ${atS}\n${text}`)
}

function textOf(note: string): string {
  const end = note.indexOf('\n\n')
  return end < 0 ? '' : note.slice(0, end + 1)
}

function signatureLine(key: NoteKey, type: number, signature: Uint8Array): string {
  const bytes = Buffer.concat([noteKeyId(key, type), signature])
  return `— ${key.name} ${bytes.toString('base64')}\n`
}

function signatureOf(note: string, key: NoteKey, type: number): Buffer | undefined {
  const id = noteKeyId(key, type)
  for (const line of note.slice(note.indexOf('\n\n') + 2).split('\n')) {
    const [dash, name, text] = line.split(' ')
    const bytes = Buffer.from(text ?? '', 'base64')
    if (dash === '—' && name === key.name && bytes.subarray(0, 4).equals(id))
      return bytes.subarray(4)
  }
  return undefined
}

/** First four bytes of SHA-256(name LF type key). */
function noteKeyId(key: NoteKey, type: number): Buffer {
  const publicKey = key.key.type === 'private' ? createPublicKey(key.key) : key.key
  const raw = publicKey.export({ type: 'spki', format: 'der' }).subarray(-ED25519_BYTES)
  return createHash('sha256')
    .update(`${key.name}\n`)
    .update(Uint8Array.of(type))
    .update(raw)
    .digest()
    .subarray(0, 4)
}
