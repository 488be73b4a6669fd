/** One connection to the core: requests, their answers, and what the core tells unasked. */

import { createConnection, type Socket } from 'node:net'
import type {
  ControlMethod,
  ControlMethods,
  EventView,
  PrinterView,
} from '#lib/control-protocol.ts'
import {
  createLineReader,
  formatRequest,
  MAX_REPLY_BYTES,
  parseReply,
  type RpcFailure,
} from '#lib/json-rpc.ts'
import { CtlError, ctlFault } from './errors.ts'
import { createNoticeQueue, type NoticeQueue } from './notice-queue.ts'
import { eventView, printerView, replySchemas } from './reply-schema.ts'

/** What the core tells after `watch`. */
export type Notice =
  | { readonly kind: 'progress'; readonly view: PrinterView }
  | { readonly kind: 'event'; readonly event: EventView }

export interface CtlClient extends Disposable {
  /** @throws CtlError CTL_REFUSED, CTL_TIMEOUT, CTL_DISCONNECTED, CTL_PROTOCOL; the signal's reason when aborted. */
  request<M extends ControlMethod>(
    method: M,
    params: ControlMethods[M]['params'],
  ): Promise<ControlMethods[M]['result']>
  /** The next notice. Of several progress notices that wait, only the last is kept. */
  nextNotice(): Promise<Notice>
}

export interface ConnectOptions {
  readonly socketPath: string
  readonly timeoutMs: number
  /** Abort closes the connection; what waits on it rejects with the reason. */
  readonly signal: AbortSignal
}

interface Waiting {
  readonly resolve: (result: unknown) => void
  readonly reject: (error: unknown) => void
}

/** Opens the control socket. @throws CtlError CTL_UNREACHABLE, CTL_FORBIDDEN. */
export async function connectToCore(options: ConnectOptions): Promise<CtlClient> {
  options.signal.throwIfAborted()
  const socket = createConnection({ path: options.socketPath })
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve)
    socket.once('error', cause => reject(connectFault(options.socketPath, cause)))
  })
  return clientOf(socket, options)
}

function connectFault(path: string, cause: NodeJS.ErrnoException): CtlError {
  const isDenied = cause.code === 'EACCES' || cause.code === 'EPERM'
  const code = isDenied ? 'CTL_FORBIDDEN' : 'CTL_UNREACHABLE'
  return ctlFault(code, `${path}: ${cause.code ?? cause.message}`, cause)
}

function clientOf(socket: Socket, { timeoutMs, signal }: ConnectOptions): CtlClient {
  const waiting = new Map<number, Waiting>()
  const notices = createNoticeQueue()
  let lastId = 0
  let ended: { readonly reason: unknown } | undefined

  function end(reason: unknown): void {
    if (ended) return
    ended = { reason }
    signal.removeEventListener('abort', onAbort)
    socket.destroy()
    notices.end(reason)
    for (const { reject } of waiting.values()) reject(reason)
    waiting.clear()
  }
  function onAbort(): void {
    end(signal.reason)
  }
  signal.addEventListener('abort', onAbort, { once: true })
  socket.on('error', cause => end(ctlFault('CTL_DISCONNECTED', cause.message, cause)))
  socket.on('close', () => end(new CtlError('CTL_DISCONNECTED', 'the core closed the connection')))
  receiveLines(socket, line => takeLine(line, waiting, notices), end)

  return {
    async request(method, params) {
      if (ended) throw ended.reason
      const id = ++lastId
      const answer = new Promise<unknown>((resolve, reject) => waiting.set(id, { resolve, reject }))
      socket.write(formatRequest(id, method, params))
      const timer = setTimeout(
        () => waiting.get(id)?.reject(new CtlError('CTL_TIMEOUT', `no answer in ${timeoutMs} ms`)),
        timeoutMs,
      )
      try {
        const parsed = replySchemas[method].safeParse(await answer)
        if (!parsed.success)
          throw new CtlError('CTL_PROTOCOL', `answer to ${method} not understood`)
        return parsed.data
      } finally {
        clearTimeout(timer)
        waiting.delete(id)
      }
    },
    nextNotice: () => notices.next(),
    [Symbol.dispose]: () => end(new CtlError('CTL_DISCONNECTED', 'closed')),
  }
}

function receiveLines(
  socket: Socket,
  take: (line: Uint8Array) => void,
  end: (reason: unknown) => void,
): void {
  const reader = createLineReader(MAX_REPLY_BYTES)
  socket.on('data', (chunk: Buffer) => {
    const { lines, isOverlong } = reader.push(chunk)
    try {
      for (const line of lines) take(line)
      if (isOverlong) throw new CtlError('CTL_PROTOCOL', `answer above ${MAX_REPLY_BYTES} bytes`)
    } catch (error) {
      end(error)
    }
  })
}

/** @throws CtlError CTL_PROTOCOL */
function takeLine(line: Uint8Array, waiting: Map<number, Waiting>, notices: NoticeQueue): void {
  const message = parseReply(line)
  switch (message.kind) {
    case 'result':
      waiting.get(Number(message.id))?.resolve(message.result)
      return
    case 'error':
      waiting.get(Number(message.id))?.reject(refusalOf(message.failure))
      return
    case 'notification': {
      const notice = noticeOf(message.method, message.params)
      if (notice) notices.push(notice)
      return
    }
    case 'malformed':
      throw new CtlError('CTL_PROTOCOL', message.reason)
  }
}

function refusalOf(failure: RpcFailure): CtlError {
  if (failure.data === undefined) return new CtlError('CTL_PROTOCOL', failure.message)
  return new CtlError('CTL_REFUSED', failure.message, { coreCode: failure.data.code })
}

/** A notification of a newer core is none of ours. */
function noticeOf(method: string, params: unknown): Notice | undefined {
  if (method === 'progress') {
    const parsed = printerView.safeParse(params)
    if (parsed.success) return { kind: 'progress', view: parsed.data }
  } else if (method === 'event') {
    const parsed = eventView.safeParse(params)
    if (parsed.success) return { kind: 'event', event: parsed.data }
  } else return undefined
  throw new CtlError('CTL_PROTOCOL', `${method} not understood`)
}
