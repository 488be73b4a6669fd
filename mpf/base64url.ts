/** base64url with exactly one accepted spelling (RFC 4648 section 5, no padding): the canonical re-encoding. */

const ALPHABET = /^[A-Za-z0-9_-]*$/

/** Unpadded base64url of `bytes`. */
export function encodeBase64url(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64url')
}

/**
 * The bytes `text` stands for, or undefined when it is not the canonical spelling of any: padding, white space, `+/`, or
 * unused trailing bits set. Node's own decoder accepts all of those.
 */
export function decodeBase64url(text: string): Uint8Array | undefined {
  if (!ALPHABET.test(text)) return undefined
  const bytes = Buffer.from(text, 'base64url')
  return bytes.toString('base64url') === text ? bytes : undefined
}
