/** Small zod types the signed objects are made of, and the one way signed bytes become a value. */

import { z } from 'zod'
import { decodeBase64url } from './base64url.ts'
import { MpfError, type MpfErrorCode } from './errors.ts'
import { type Json, parseStrictJson } from './strict-json.ts'

/** Exactly `length` bytes as canonical base64url. */
export const base64urlBytes = (length: number) =>
  z
    .string()
    .refine(
      text => decodeBase64url(text)?.length === length,
      `${length} bytes as canonical base64url`,
    )

export const count = z.int().min(0)
/** Seconds since 1970 UTC. */
export const timestamp = z.int().min(0).max(253402300799)

/** Strict JSON, then the schema. @throws MpfError `code` naming the member, never its content */
export function parseSigned<T>(
  schema: z.ZodType<T>,
  bytes: Uint8Array,
  code: MpfErrorCode,
  what: string,
): T {
  let json: Json
  try {
    json = parseStrictJson(bytes)
  } catch (cause) {
    throw new MpfError(code, `${what}: ${(cause as Error).message}`, { cause })
  }
  const result = schema.safeParse(json)
  if (result.success) return result.data
  const issue = result.error.issues[0]
  throw new MpfError(
    code,
    `${what}: ${issue?.path.join('.') || 'object'}: ${issue?.code ?? 'invalid'}`,
  )
}

export function encodeJson(value: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(value))
}
