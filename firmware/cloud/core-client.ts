/** The courier's connection to the core: requests, their answers, and what the core tells unasked. */

import { createConnection, type Socket } from 'node:net'
import { z } from 'zod'
import type { ControlMethods, EventView, PrinterView } from '#lib/control-protocol.ts'
import type { CourierMethods } from '#lib/courier-protocol.ts'
import { createLineReader, formatRequest, MAX_REPLY_BYTES, parseReply } from '#lib/json-rpc.ts'
import { CloudError } from './errors.ts'

type Methods = Pick<ControlMethods, 'status' | 'watch' | 'events.list'> & CourierMethods

export interface CoreClient extends Disposable {
  /** @throws CloudError CLOUD_CORE; `reason` is the core's own code when it refused */
  request<M extends keyof Methods>(
    method: M,
    params: Methods[M]['params'],
  ): Promise<Methods[M]['result']>
  /** True once the connection has ended; what it was asked may or may not have been done. */
  readonly isEnded: boolean
  /** Resolves when the connection has ended. */
  readonly closed: Promise<void>
}

export interface CoreListener {
  /** A new event may be there: ask for it by number. */
  onEvent(): void
  onProgress(view: PrinterView): void
}

const reading = z.object({ currentC: z.number(), targetC: z.number() })
const nullableNumber = z.number().nullable()
const linkView = z.looseObject({
  okToNextMs: z.object({ p50: nullableNumber, p99: nullableNumber, p999: nullableNumber }),
  wireUtilisation: nullableNumber,
  plannerFree: nullableNumber,
  plannerBlocks: nullableNumber,
  stalls: z.number(),
  reattachments: z.number(),
  bytesSent: z.number(),
  bytesReceived: z.number(),
  savedBytes: z.number(),
})
const jobView = z.looseObject({
  id: z.string(),
  state: z.string(),
  progress: z.looseObject({
    line: z.number(),
    lines: z.number(),
    layer: z.number(),
    layers: z.number(),
    percent: z.number(),
    timeLeftS: nullableNumber,
    feedMmPerMin: nullableNumber.exactOptional(),
    fanPercent: nullableNumber.exactOptional(),
  }),
})
const printerView = z.looseObject({
  printer: z.string(),
  serial: z.string(),
  version: z.string(),
  state: z.string(),
  job: jobView.nullable(),
  controllers: z.array(
    z.looseObject({
      name: z.string(),
      connected: z.boolean(),
      temperatures: z.record(z.string(), reading),
      linesSent: z.number(),
      resends: z.number(),
      inFlightLines: z.number(),
      windowLines: z.number(),
      link: linkView.nullable(),
    }),
  ),
  queue: z.looseObject({ ready: z.number(), received: z.number() }),
  spool: z.looseObject({ usedBytes: z.number(), capBytes: z.number() }),
  events: z.looseObject({ lastSequence: z.number() }),
  clock: z.looseObject({ nowMs: z.number(), quality: z.string() }),
})
const eventView = z.looseObject({
  sequence: z.int().min(1),
  atMs: z.number(),
  type: z.string(),
  severity: z.enum(['info', 'notice', 'warning', 'error', 'critical']),
  job: z.string().nullable(),
  code: z.string().nullable(),
  message: z.string(),
  detail: z.record(z.string(), z.unknown()),
  hash: z.string(),
  clock: z.string().exactOptional(),
})

const RESULTS = {
  status: printerView,
  watch: printerView,
  'events.list': z.looseObject({ events: z.array(eventView) }),
  'log.checkpoint': z.looseObject({
    size: z.int(),
    note: z.string(),
    name: z.string(),
    publicKey: z.string(),
  }),
  'log.segment': z.looseObject({ envelope: z.base64(), to: z.int() }),
  'intake.hold': z.looseObject({ isHeld: z.boolean() }),
  'command.execute': z.looseObject({
    result: z.string(),
    outcome: z.enum(['done', 'refused', 'failed', 'handed-over']),
    code: z.string().nullable(),
    verb: z.string().nullable(),
    args: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])),
  }),
  'cloud.alarms': z.looseObject({ codes: z.array(z.string()) }),
  'cloud.report': z.looseObject({ sequence: z.int() }),
} as const

interface Waiting {
  readonly resolve: (result: unknown) => void
  readonly reject: (error: CloudError) => void
}

/** Opens the control socket; `signal` ends it, whatever is still to be answered. @throws CloudError CLOUD_CORE */
export async function connectCore(
  path: string,
  listener: CoreListener,
  signal: AbortSignal,
): Promise<CoreClient> {
  const socket = createConnection({ path })
  const onAbort = () => socket.destroy()
  signal.addEventListener('abort', onAbort, { once: true })
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  socket.once('connect', resolve)
  socket.once('error', cause => reject(new CloudError('CLOUD_CORE', 'no core', { cause })))
  socket.once('close', () => {
    signal.removeEventListener('abort', onAbort)
    reject(new CloudError('CLOUD_CORE', 'no core'))
  })
  await promise
  return new SocketClient(socket, listener)
}

class SocketClient implements CoreClient {
  readonly closed: Promise<void>
  readonly #socket: Socket
  readonly #listener: CoreListener
  readonly #waiting = new Map<number, Waiting>()
  #lastId = 0
  #isEnded = false

  constructor(socket: Socket, listener: CoreListener) {
    this.#socket = socket
    this.#listener = listener
    const { promise, resolve } = Promise.withResolvers<void>()
    this.closed = promise
    const reader = createLineReader(MAX_REPLY_BYTES)
    socket.on('error', () => socket.destroy())
    socket.on('data', (chunk: Buffer) => {
      const { lines, isOverlong } = reader.push(chunk)
      for (const line of lines) this.#take(line)
      if (isOverlong) socket.destroy()
    })
    socket.on('close', () => {
      this.#end()
      resolve()
    })
  }

  get isEnded(): boolean {
    return this.#isEnded
  }

  async request<M extends keyof Methods>(
    method: M,
    params: Methods[M]['params'],
  ): Promise<Methods[M]['result']> {
    if (this.#isEnded) throw new CloudError('CLOUD_CORE', 'the core has gone')
    const id = ++this.#lastId
    const answer = new Promise<unknown>((resolve, reject) =>
      this.#waiting.set(id, { resolve, reject }),
    )
    this.#socket.write(formatRequest(id, method, params))
    const parsed = RESULTS[method].safeParse(await answer)
    if (!parsed.success) throw new CloudError('CLOUD_CORE', `answer to ${method} not understood`)
    return parsed.data as Methods[M]['result']
  }

  [Symbol.dispose](): void {
    this.#socket.destroy()
  }

  #end(): void {
    this.#isEnded = true
    for (const { reject } of this.#waiting.values())
      reject(new CloudError('CLOUD_CORE', 'the core has gone'))
    this.#waiting.clear()
  }

  #take(line: Uint8Array): void {
    const message = parseReply(line)
    if (message.kind === 'notification') {
      this.#tell(message.method, message.params)
      return
    }
    if (message.kind === 'malformed') {
      this.#socket.destroy()
      return
    }
    const waiting = this.#waiting.get(Number(message.id))
    this.#waiting.delete(Number(message.id))
    if (message.kind === 'result') waiting?.resolve(message.result)
    else {
      const { message: text, data } = message.failure
      waiting?.reject(new CloudError('CLOUD_CORE', text, { reason: data?.code ?? '' }))
    }
  }

  #tell(method: string, params: unknown): void {
    if (method === 'event') this.#listener.onEvent()
    if (method !== 'progress') return
    const parsed = printerView.safeParse(params)
    if (parsed.success) this.#listener.onProgress(parsed.data as unknown as PrinterView)
  }
}

/** Kept beside the schema so that a change of the protocol is a compile error here. */
export type { EventView }
