/** JSON-RPC 2.0, one object a line: bytes to messages and back. Pure; the core's server and its clients share it. */

import { z } from 'zod'
import { RPC } from './control-protocol.ts'

/** No request is longer; a longer line ends the connection. */
export const MAX_REQUEST_BYTES = 64 * 1024
/** No answer or notification is longer (a page of events, a queue of jobs). */
export const MAX_REPLY_BYTES = 4 * 1024 * 1024

const LINE_FEED = 0x0a

export type RpcId = number | string

export interface RpcFailure {
  readonly code: number
  readonly message: string
  /** The stable code of docs/errors.md, where the refusal has one. */
  readonly data?: { readonly code: string } | undefined
}

export type RequestMessage =
  | {
      readonly kind: 'request'
      readonly id: RpcId
      readonly method: string
      readonly params: unknown
    }
  | { readonly kind: 'malformed'; readonly id: RpcId | null; readonly failure: RpcFailure }

export type ReplyMessage =
  | { readonly kind: 'result'; readonly id: RpcId; readonly result: unknown }
  | { readonly kind: 'error'; readonly id: RpcId | null; readonly failure: RpcFailure }
  | { readonly kind: 'notification'; readonly method: string; readonly params: unknown }
  | { readonly kind: 'malformed'; readonly reason: string }

const id = z.union([z.int(), z.string().max(64)])

const requestSchema = z.strictObject({
  jsonrpc: z.literal('2.0'),
  id,
  method: z.string().min(1).max(64),
  params: z.record(z.string(), z.unknown()).optional(),
})

const replySchema = z.union([
  z.strictObject({ jsonrpc: z.literal('2.0'), id, result: z.unknown() }),
  z.strictObject({
    jsonrpc: z.literal('2.0'),
    id: id.nullable(),
    error: z.object({
      code: z.int(),
      message: z.string(),
      data: z.object({ code: z.string() }).optional(),
    }),
  }),
  z.strictObject({
    jsonrpc: z.literal('2.0'),
    method: z.string(),
    params: z.unknown(),
  }),
])

/** Cuts a byte stream into lines. `overlong` is final: drop the connection, what follows cannot be trusted to be a line. */
export interface LineReader {
  push(chunk: Uint8Array): { readonly lines: readonly Uint8Array[]; readonly isOverlong: boolean }
}

/** A reader holding at most `maxBytes` of an unfinished line. */
export function createLineReader(maxBytes: number): LineReader {
  let held: Uint8Array[] = []
  let heldBytes = 0
  return {
    push(chunk) {
      const lines: Uint8Array[] = []
      let rest = chunk
      for (let end = rest.indexOf(LINE_FEED); end >= 0; end = rest.indexOf(LINE_FEED)) {
        if (heldBytes + end > maxBytes) return { lines, isOverlong: true }
        lines.push(Buffer.concat([...held, rest.subarray(0, end)]))
        held = []
        heldBytes = 0
        rest = rest.subarray(end + 1)
      }
      heldBytes += rest.length
      if (heldBytes > maxBytes) return { lines, isOverlong: true }
      if (rest.length > 0) held.push(rest)
      return { lines, isOverlong: false }
    },
  }
}

/** What a client asked. Batches, notifications and positional parameters are not part of this protocol: malformed. */
export function parseRequest(line: Uint8Array): RequestMessage {
  const json = parseJson(line)
  if (json === undefined)
    return {
      kind: 'malformed',
      id: null,
      failure: { code: RPC.parseError, message: 'not a JSON object' },
    }
  const request = requestSchema.safeParse(json.value)
  if (!request.success)
    return {
      kind: 'malformed',
      id: idOf(json.value),
      failure: { code: RPC.invalidRequest, message: 'not a JSON-RPC 2.0 request' },
    }
  const { id, method, params } = request.data
  return { kind: 'request', id, method, params: params ?? {} }
}

/** What the core answered or told. */
export function parseReply(line: Uint8Array): ReplyMessage {
  const json = parseJson(line)
  if (json === undefined) return { kind: 'malformed', reason: 'not JSON' }
  const reply = replySchema.safeParse(json.value)
  if (!reply.success) return { kind: 'malformed', reason: 'not a JSON-RPC 2.0 reply' }
  if ('error' in reply.data) return { kind: 'error', id: reply.data.id, failure: reply.data.error }
  if ('method' in reply.data)
    return { kind: 'notification', method: reply.data.method, params: reply.data.params }
  return { kind: 'result', id: reply.data.id, result: reply.data.result }
}

export function formatRequest(id: RpcId, method: string, params: unknown): string {
  return `${JSON.stringify({ jsonrpc: '2.0', id, method, params })}\n`
}

export function formatResult(id: RpcId, result: unknown): string {
  return `${JSON.stringify({ jsonrpc: '2.0', id, result: result ?? null })}\n`
}

export function formatFailure(id: RpcId | null, failure: RpcFailure): string {
  return `${JSON.stringify({ jsonrpc: '2.0', id, error: failure })}\n`
}

export function formatNotification(method: string, params: unknown): string {
  return `${JSON.stringify({ jsonrpc: '2.0', method, params })}\n`
}

function parseJson(line: Uint8Array): { readonly value: unknown } | undefined {
  try {
    return { value: JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(line)) }
  } catch {
    return undefined
  }
}

/** The id of a request that is otherwise wrong, so that its sender can tell which one. */
function idOf(value: unknown): RpcId | null {
  const found = z.object({ id }).safeParse(value)
  return found.success ? found.data.id : null
}
