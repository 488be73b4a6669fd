/** One client of the control socket: its requests in order but for a stop, its notifications as they come, and no patience with a slow reader. */

import type { Socket } from 'node:net'
import { RPC } from '#lib/control-protocol.ts'
import {
  createLineReader,
  formatFailure,
  formatNotification,
  formatResult,
  MAX_REQUEST_BYTES,
  parseRequest,
  type RequestMessage,
  type RpcFailure,
} from '#lib/json-rpc.ts'
import type { Logger } from '#lib/logger.ts'
import { answer, type ControlHandlers } from './methods.ts'

/** A client that leaves more unread than this is dropped: a stalled terminal must not fill the core's memory. */
const MAX_UNREAD_BYTES = 1024 * 1024
/** Requests that wait before the socket is read no further. */
const MAX_WAITING = 16

export class ClientConnection {
  readonly #socket: Socket
  readonly #handlers: ControlHandlers
  readonly #log: Logger
  readonly #refusal: RpcFailure | undefined
  #isWatching = false
  /** What the next request waits for, and all that is to be answered before the connection ends. */
  #turn: Promise<unknown> = Promise.resolve()
  #served: Promise<unknown> = Promise.resolve()

  /** `refusal`: the answer to everything but an emergency stop. */
  constructor(socket: Socket, handlers: ControlHandlers, log: Logger, refusal?: RpcFailure) {
    this.#socket = socket
    this.#handlers = handlers
    this.#log = log
    this.#refusal = refusal
  }

  /**
   * Serves until the client leaves or is dropped. Requests wait their turn; an emergency stop waits for nothing, least of all for
   * a cancel, and nothing waits for a signed command, which takes its turn among commands.
   */
  async serve(): Promise<void> {
    const reader = createLineReader(MAX_REQUEST_BYTES)
    let waiting = 0
    try {
      for await (const chunk of this.#socket.iterator({ destroyOnReturn: false })) {
        const { lines, isOverlong } = reader.push(chunk)
        for (const request of lines.map(parseRequest)) {
          this.#enqueue(request)
          if (++waiting % MAX_WAITING === 0) await this.#turn
        }
        if (isOverlong) {
          await this.#turn
          const message = `a line of more than ${MAX_REQUEST_BYTES} bytes`
          this.#send(formatFailure(null, { code: RPC.invalidRequest, message }))
          break
        }
      }
    } catch (error) {
      this.#log.debug({ err: error }, 'client left')
    } finally {
      await this.#served
      this.#socket.destroySoon()
    }
  }

  /** Tells a watching client; nothing happens for the others. */
  notify(method: string, params: unknown): void {
    if (this.#isWatching) this.#send(formatNotification(method, params))
  }

  get isWatching(): boolean {
    return this.#isWatching
  }

  #enqueue(request: RequestMessage): void {
    const serve = () =>
      this.#serveRequest(request).catch((error: unknown) => {
        this.#log.error({ err: error }, 'not answered')
      })
    const serving = isStop(request) ? serve() : this.#turn.then(serve)
    if (!isCommand(request)) this.#turn = Promise.all([this.#turn, serving])
    this.#served = Promise.all([this.#served, serving])
  }

  async #serveRequest(request: RequestMessage): Promise<void> {
    if (request.kind === 'malformed') {
      this.#send(formatFailure(request.id, request.failure))
      return
    }
    if (this.#refusal && !isStop(request)) {
      this.#send(formatFailure(request.id, this.#refusal))
      return
    }
    const reply = await answer(this.#handlers, request.method, request.params)
    if (reply.kind === 'failure') {
      if (reply.fault !== undefined)
        this.#log.error({ err: reply.fault, method: request.method }, 'control method failed')
      this.#send(formatFailure(request.id, reply.failure))
      return
    }
    this.#send(formatResult(request.id, reply.result))
    if (request.method === 'watch') this.#isWatching = true
  }

  #send(text: string): void {
    if (this.#socket.destroyed) return
    if (this.#socket.writableLength > MAX_UNREAD_BYTES) {
      this.#log.warn({ unreadBytes: this.#socket.writableLength }, 'slow client dropped')
      this.#socket.destroy()
      return
    }
    this.#socket.write(text)
  }
}

function isCommand(request: RequestMessage): boolean {
  return request.kind === 'request' && request.method === 'command.execute'
}

function isStop(request: RequestMessage): boolean {
  return request.kind === 'request' && request.method === 'print.stop'
}
