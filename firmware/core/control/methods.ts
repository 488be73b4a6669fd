/** What may be asked on the control socket: every method with the exact shape of its parameters. Nothing else exists. */

import { z } from 'zod'
import { DriverError } from '#drivers'
import { type ControlMethods, RPC } from '#lib/control-protocol.ts'
import { COURIER_EVENTS, type CourierMethods } from '#lib/courier-protocol.ts'
import type { RpcFailure } from '#lib/json-rpc.ts'
import { MpfError } from '#mpf'
import { CoreError } from '../errors.ts'

type Methods = ControlMethods & CourierMethods
type Method = keyof Methods

/** The core behind the socket: one function a method. */
export type ControlHandlers = {
  readonly [M in Method]: (
    params: Methods[M]['params'],
  ) => Methods[M]['result'] | Promise<Methods[M]['result']>
}

const MAX_PAGE = 1000

const nothing = z.strictObject({})
const jobId = z.string().regex(/^[0-9a-f-]{1,36}$/)
const state = z.enum([
  'received',
  'ready',
  'refused',
  'printing',
  'paused',
  'interrupted',
  'done',
  'cancelled',
  'failed',
])

const code = z.string().regex(/^[A-Z][A-Z0-9_]{0,63}$/)
const reportValue = z.union([z.string().max(256), z.number(), z.boolean(), z.null()])

type ParameterSchemas = {
  readonly [M in Method]: z.ZodType<Methods[M]['params']>
}

const PARAMETERS: ParameterSchemas = {
  status: nothing,
  'jobs.list': z.strictObject({ state: state.exactOptional() }),
  'jobs.show': z.strictObject({ job: jobId }),
  'jobs.report': z.strictObject({ job: jobId }),
  'jobs.preview': z.strictObject({
    job: jobId,
    view: z.enum(['isometric', 'top']).exactOptional(),
    layer: z.int().min(1).max(1_000_000).exactOptional(),
  }),
  'print.start': z.strictObject({ job: jobId.exactOptional() }),
  'print.pause': nothing,
  'print.resume': nothing,
  'print.cancel': z.strictObject({ job: jobId.exactOptional() }),
  'print.stop': nothing,
  'print.respond': z.strictObject({ choice: z.int().min(0).max(9) }),
  'events.list': z.strictObject({
    after: z.int().min(0).exactOptional(),
    limit: z.int().min(1).max(MAX_PAGE).exactOptional(),
  }),
  'events.verify': nothing,
  watch: nothing,
  'log.checkpoint': nothing,
  'log.segment': z.strictObject({ from: z.int().min(1), to: z.int().min(1) }),
  'intake.hold': z.strictObject({ isHeld: z.boolean() }),
  'command.execute': z.strictObject({ envelope: z.base64().max(64 * 1024) }),
  'cloud.alarms': z.strictObject({ codes: z.array(code).max(16) }),
  'cloud.report': z.strictObject({
    type: z.enum(COURIER_EVENTS),
    code: code.exactOptional(),
    message: z.string().max(256),
    detail: z.record(z.string().max(32), reportValue).exactOptional(),
  }),
}

export type Answer =
  | { readonly kind: 'result'; readonly result: unknown }
  | {
      readonly kind: 'failure'
      readonly failure: RpcFailure
      /** Present when it is a fault of ours and not a refusal. */
      readonly fault?: unknown
    }

/** True for a method of the protocol. */
export function isControlMethod(name: string): name is Method {
  return Object.hasOwn(PARAMETERS, name)
}

/** Carries out one request. Never rejects: whatever goes wrong is an answer. */
export async function answer(
  handlers: ControlHandlers,
  method: string,
  params: unknown,
): Promise<Answer> {
  if (!isControlMethod(method))
    return failed({ code: RPC.methodNotFound, message: 'no such method' })
  try {
    return { kind: 'result', result: await call(handlers, method, params) }
  } catch (error) {
    return failureOf(error)
  }
}

function call<M extends Method>(
  handlers: ControlHandlers,
  method: M,
  params: unknown,
): Promise<unknown> {
  const schema: ParameterSchemas[M] = PARAMETERS[method]
  const handler: (params: Methods[M]['params']) => unknown = handlers[method]
  return Promise.try(() => handler(schema.parse(params)))
}

function failureOf(error: unknown): Answer {
  if (error instanceof z.ZodError) {
    const where = error.issues.map(issue => issue.path.join('.') || issue.code).join(', ')
    return failed({ code: RPC.invalidParams, message: `parameters: ${where}` })
  }
  if (error instanceof CoreError || error instanceof MpfError || error instanceof DriverError)
    return failed({ code: RPC.refused, message: error.message, data: { code: error.code } })
  return {
    kind: 'failure',
    failure: { code: RPC.internalError, message: 'internal fault' },
    fault: error,
  }
}

function failed(failure: RpcFailure): Answer {
  return { kind: 'failure', failure }
}
