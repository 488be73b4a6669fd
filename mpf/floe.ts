/** FLOE (c2sp.org/FLOE) with AES-256-GCM and HKDF-Expand-SHA-384: the one place where content is encrypted and opened. */

import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  type KeyObject,
  randomBytes,
  timingSafeEqual,
} from 'node:crypto'
import { view } from './container.ts'
import { MpfError } from './errors.ts'

const AEAD_IV_BYTES = 12
const AEAD_TAG_BYTES = 16
const LENGTH_BYTES = 4
const IV_BYTES = 32
const PARAMETER_BYTES = 10
const HEADER_TAG_BYTES = 32
/** AEAD_ROTATION_MASK: 2^20 segments a derived key. */
const ROTATION_BITS = 20
const NOT_FINAL = 0xffffffff

export const FLOE_KEY_BYTES = 32
export const FLOE_HEADER_BYTES = PARAMETER_BYTES + IV_BYTES + HEADER_TAG_BYTES
/** Bytes a segment adds to its plaintext. */
export const SEGMENT_OVERHEAD_BYTES = LENGTH_BYTES + AEAD_IV_BYTES + AEAD_TAG_BYTES

/** Options only the published vectors need. */
export interface FloeOptions {
  readonly rotationBits?: number
}

/** One FLOE message: its header and the keys derived for it. */
interface FloeState extends Disposable {
  readonly header: Uint8Array
  readonly segmentBytes: number
  keyFor(position: number): KeyObject
}

export interface FloeEncryptor extends FloeState {
  /** Plaintext of exactly `segmentBytes - 32` unless final. Allocates the segment. */
  seal(plaintext: Uint8Array, position: number, isFinal: boolean): Uint8Array
}

export interface FloeDecryptor extends FloeState {
  /**
   * The plaintext of one segment, released only after its tag has verified.
   * @throws MpfError MPF_SEG_LEN (wrong length for its place), MPF_NO_FINAL (final where none belongs, or the reverse), MPF_SEG_AUTH
   */
  open(segment: Uint8Array, position: number, isFinal: boolean): Buffer
}

/** Starts a message under `key` (32 bytes, used for nothing else), bound to `aad`. */
export function startEncryption(
  key: Uint8Array,
  aad: Uint8Array,
  segmentBytes: number,
): FloeEncryptor {
  const iv = randomBytes(IV_BYTES)
  const info = Buffer.concat([parameters(segmentBytes), iv])
  const header = Buffer.concat([info, expand(key, info, 'HEADER_TAG:', aad, HEADER_TAG_BYTES)])
  const state = derive(key, aad, header, segmentBytes, ROTATION_BITS)
  return {
    ...state,
    seal: (plaintext, position, isFinal) => sealSegment(state, plaintext, position, isFinal),
  }
}

/**
 * Checks the header against `key` and `aad` and derives the message's keys.
 * @throws MpfError MPF_PARAMS (not the one accepted parameter set), MPF_KEY_COMMIT (another key or another context)
 */
export function startDecryption(
  key: Uint8Array,
  aad: Uint8Array,
  header: Uint8Array,
  segmentBytes: number,
  options: FloeOptions = {},
): FloeDecryptor {
  const expected = parameters(segmentBytes)
  if (header.length !== FLOE_HEADER_BYTES || !expected.equals(header.subarray(0, PARAMETER_BYTES)))
    throw new MpfError('MPF_PARAMS', 'FLOE parameters differ')
  const info = header.subarray(0, PARAMETER_BYTES + IV_BYTES)
  const tag = expand(key, info, 'HEADER_TAG:', aad, HEADER_TAG_BYTES)
  if (!timingSafeEqual(tag, header.subarray(PARAMETER_BYTES + IV_BYTES)))
    throw new MpfError('MPF_KEY_COMMIT', 'header tag does not match the content key')
  const state = derive(key, aad, header, segmentBytes, options.rotationBits ?? ROTATION_BITS)
  return {
    ...state,
    open: (segment, position, isFinal) => openSegment(state, segment, position, isFinal),
  }
}

function derive(
  key: Uint8Array,
  aad: Uint8Array,
  header: Uint8Array,
  segmentBytes: number,
  rotationBits: number,
): FloeState {
  const info = header.subarray(0, PARAMETER_BYTES + IV_BYTES)
  const messageKey = expand(key, info, 'MESSAGE_KEY:', aad, 48)
  let isDisposed = false
  let epoch = -1
  let current: KeyObject | undefined
  return {
    header,
    segmentBytes,
    keyFor(position) {
      // The message key is zeros by then, and so known to everybody.
      if (isDisposed) throw new Error('a FLOE message was used after its keys were wiped')
      const wanted = Math.floor(position / 2 ** rotationBits)
      if (current === undefined || wanted !== epoch) {
        const masked = Buffer.alloc(8)
        masked.writeBigUInt64BE(BigInt(wanted) << BigInt(rotationBits))
        const bytes = expand(
          messageKey,
          info,
          Buffer.concat([Buffer.from('DEK:'), masked]),
          aad,
          32,
        )
        current = createSecretKey(bytes)
        bytes.fill(0)
        epoch = wanted
      }
      return current
    },
    [Symbol.dispose]() {
      isDisposed = true
      messageKey.fill(0)
      current = undefined
    },
  }
}

function sealSegment(
  state: FloeState,
  plaintext: Uint8Array,
  position: number,
  isFinal: boolean,
): Uint8Array {
  const room = state.segmentBytes - SEGMENT_OVERHEAD_BYTES
  if (isFinal ? plaintext.length > room : plaintext.length !== room)
    throw new MpfError('MPF_SEG_LEN', `segment ${position} of ${plaintext.length} plaintext bytes`)
  const segment = Buffer.allocUnsafe(plaintext.length + SEGMENT_OVERHEAD_BYTES)
  segment.writeUInt32BE(isFinal ? segment.length : NOT_FINAL, 0)
  const iv = randomBytes(AEAD_IV_BYTES)
  segment.set(iv, LENGTH_BYTES)
  const cipher = createCipheriv('aes-256-gcm', state.keyFor(position), iv, {
    authTagLength: AEAD_TAG_BYTES,
  })
  cipher.setAAD(segmentAad(position, isFinal))
  segment.set(cipher.update(plaintext), LENGTH_BYTES + AEAD_IV_BYTES)
  cipher.final()
  segment.set(cipher.getAuthTag(), segment.length - AEAD_TAG_BYTES)
  return segment
}

function openSegment(
  state: FloeState,
  segment: Uint8Array,
  position: number,
  isFinal: boolean,
): Buffer {
  expectLength(state, segment, position, isFinal)
  const tagAt = segment.length - AEAD_TAG_BYTES
  const decipher = createDecipheriv(
    'aes-256-gcm',
    state.keyFor(position),
    segment.subarray(LENGTH_BYTES, LENGTH_BYTES + AEAD_IV_BYTES),
    // Without it Node accepts tags of 4 bytes.
    { authTagLength: AEAD_TAG_BYTES },
  )
  decipher.setAAD(segmentAad(position, isFinal))
  decipher.setAuthTag(segment.subarray(tagAt))
  const plaintext = decipher.update(segment.subarray(LENGTH_BYTES + AEAD_IV_BYTES, tagAt))
  try {
    decipher.final()
  } catch (cause) {
    plaintext.fill(0)
    throw new MpfError('MPF_SEG_AUTH', `segment ${position}: tag mismatch`, {
      segment: position,
      cause,
    })
  }
  return plaintext
}

function expectLength(
  state: FloeState,
  segment: Uint8Array,
  position: number,
  isFinal: boolean,
): void {
  const isPossible = isFinal
    ? segment.length >= SEGMENT_OVERHEAD_BYTES && segment.length <= state.segmentBytes
    : segment.length === state.segmentBytes
  if (!isPossible)
    throw new MpfError('MPF_SEG_LEN', `segment ${position} of ${segment.length} bytes`, {
      segment: position,
    })
  const declared = view(segment).getUint32(0)
  if ((declared === NOT_FINAL) === isFinal)
    throw new MpfError(
      'MPF_NO_FINAL',
      `segment ${position}: final mark ${isFinal ? 'missing' : 'out of place'}`,
      {
        segment: position,
      },
    )
  if (isFinal && declared !== segment.length)
    throw new MpfError(
      'MPF_SEG_LEN',
      `segment ${position} declares ${declared} of ${segment.length} bytes`,
      {
        segment: position,
      },
    )
}

function segmentAad(position: number, isFinal: boolean): Uint8Array {
  const aad = Buffer.alloc(9)
  aad.writeUInt32BE(Math.floor(position / 2 ** 32), 0)
  aad.writeUInt32BE(position >>> 0, 4)
  aad[8] = isFinal ? 1 : 0
  return aad
}

/** PARAM_ENCODE: AEAD 0 (AES-256-GCM), KDF 0 (HKDF-Expand-SHA-384), segment length, IV length. */
function parameters(segmentBytes: number): Buffer {
  const encoded = Buffer.alloc(PARAMETER_BYTES)
  encoded.writeUInt32BE(segmentBytes, 2)
  encoded.writeUInt32BE(IV_BYTES, 6)
  return encoded
}

/** FLOE_KDF for one SHA-384 output block or less: HKDF-Expand (RFC 5869 2.3) is then a single HMAC over info || 0x01. */
function expand(
  key: Uint8Array,
  parametersAndIv: Uint8Array,
  purpose: string | Uint8Array,
  aad: Uint8Array,
  bytes: number,
): Buffer {
  const mac = createHmac('sha384', key).update(parametersAndIv).update(purpose).update(aad)
  return mac.update(Uint8Array.of(1)).digest().subarray(0, bytes)
}
