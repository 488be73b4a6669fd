/** The few things that are done to bytes everywhere in a forged file. */
import { createHash } from 'node:crypto'

export function sha256(...parts: readonly Uint8Array[]): Buffer {
  return createHash('sha256').update(Buffer.concat(parts)).digest()
}

export function b64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64url')
}

export function roundUp(value: number, multiple: number): number {
  return Math.ceil(value / multiple) * multiple
}

export function same<T>(value: T): T {
  return value
}
