/** FLOE and fs-verity, written a second time from their specifications. */

import { createCipheriv, createHmac } from 'node:crypto'
import { roundUp, same, sha256 } from './mpf-bytes.ts'
import type { Forgery } from './mpf-forgery.ts'
import { FILE_ID } from './mpf-world.ts'

export const META_KEY = Buffer.alloc(32, 0x55)

export const BODY_KEY = Buffer.alloc(32, 0x66)

export const SALT = Buffer.alloc(32, 0x77)

interface Stream {
  readonly header: Buffer
  seal(plaintext: Uint8Array, position: number, isFinal: boolean): Buffer
}

/** FLOE, written a second time from its specification. IVs are fixed: the same forgery is the same file. */
export function createStream(
  stream: 'meta' | 'body',
  segmentBytes: number,
  publicDigest: Uint8Array,
  forgery: Forgery,
): Stream {
  const key = stream === 'meta' ? META_KEY : BODY_KEY
  const id = stream === 'meta' ? 1 : 2
  const context = (bytes: Buffer) => forgery.context?.(bytes, stream) ?? bytes
  const aad = context(Buffer.concat([Buffer.from('MPF1\0'), Buffer.of(id), FILE_ID, publicDigest]))
  const parameters = Buffer.alloc(10)
  parameters.writeUInt32BE(segmentBytes, 2)
  parameters.writeUInt32BE(32, 6)
  const info = Buffer.concat([parameters, Buffer.alloc(32, 0x80 + id)])
  const derive = (secret: Uint8Array, purpose: Uint8Array, bytes: number) =>
    createHmac('sha384', secret)
      .update(Buffer.concat([info, purpose, aad, Buffer.of(1)]))
      .digest()
      .subarray(0, bytes)
  const header = Buffer.concat([info, derive(key, Buffer.from('HEADER_TAG:'), 32)])
  const messageKey = derive(key, Buffer.from('MESSAGE_KEY:'), 48)
  const segmentKey = derive(messageKey, Buffer.from('DEK:\0\0\0\0\0\0\0\0'), 32)
  return {
    header: forgery.streamHeader?.(header, stream) ?? header,
    seal(plaintext, position, isFinal) {
      const head = Buffer.alloc(16)
      head.fill(id, 4)
      head.writeUInt32BE(isFinal ? plaintext.length + 32 : 0xffffffff, 0)
      head.writeUInt32BE(position, 12)
      const bound = Buffer.alloc(9)
      bound.writeUInt32BE(position, 4)
      bound[8] = isFinal ? 1 : 0
      const cipher = createCipheriv('aes-256-gcm', segmentKey, head.subarray(4))
      cipher.setAAD(bound)
      const text = Buffer.concat([cipher.update(plaintext), cipher.final()])
      return Buffer.concat([head, text, cipher.getAuthTag()])
    },
  }
}

export function sealAll(plaintext: Uint8Array, stream: Stream, segmentBytes: number): Buffer[] {
  const room = segmentBytes - 32
  const count = Math.max(1, Math.ceil(plaintext.length / room))
  return Array.from({ length: count }, (_, i) =>
    stream.seal(plaintext.subarray(i * room, (i + 1) * room), i, i === count - 1),
  )
}

/** fs-verity, written a second time from the kernel's documentation. */
export function buildVerity(
  data: Buffer,
  blockBytes: number,
  salt: Uint8Array = SALT,
  spoil: (level: Buffer) => Buffer = same,
): { readonly tree: Buffer; readonly digest: Buffer } {
  const prefix =
    salt.length === 0 ? Buffer.alloc(0) : Buffer.concat([salt, Buffer.alloc(64 - salt.length)])
  const hashBlocks = (bytes: Buffer) => {
    const hashes: Buffer[] = []
    for (let at = 0; at < bytes.length; at += blockBytes) {
      const block = Buffer.alloc(blockBytes)
      bytes.copy(block, 0, at, at + blockBytes)
      hashes.push(sha256(prefix, block))
    }
    return Buffer.concat(hashes)
  }
  const levels: Buffer[] = []
  let hashes = hashBlocks(data)
  while (hashes.length > 32) {
    const padded = Buffer.alloc(roundUp(hashes.length, blockBytes))
    hashes.copy(padded)
    const level = spoil(padded)
    levels.unshift(level)
    hashes = hashBlocks(level)
  }
  const descriptor = Buffer.alloc(256)
  descriptor.set([1, 1, Math.log2(blockBytes), salt.length])
  descriptor.writeBigUInt64LE(BigInt(data.length), 8)
  descriptor.set(hashes.length === 0 ? Buffer.alloc(32) : hashes, 16)
  descriptor.set(salt, 80)
  return { tree: Buffer.concat(levels), digest: sha256(descriptor) }
}
