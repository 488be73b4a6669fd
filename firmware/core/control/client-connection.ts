/** One client of the control socket: its requests in order, its notifications as they come, and no patience with a slow reader. */

import type { Socket } from 'node:net'
import { RPC } from '#lib/control-protocol.ts'
import {
  createLineReader,
  formatFailure,
  formatNotification,
  formatResult,
  MAX_REQUEST_BYTES,
  parseRequest,
} from '#lib/json-rpc.ts'
import type { Logger } from '#lib/logger.ts'
import { answer, type ControlHandlers } from './methods.ts'

/** A client that leaves more unread than this is dropped: a stalled terminal must not fill the core's memory. */
const MAX_UNREAD_BYTES = 1024 * 1024

export class ClientConnection {
  readonly #socket: Socket
  readonly #handlers: ControlHandlers
  readonly #log: Logger
  #isWatching = false

  constructor(socket: Socket, handlers: ControlHandlers, log: Logger) {
    this.#socket = socket
    this.#handlers = handlers
    this.#log = log
  }

  /** Serves until the client leaves or is dropped. Requests wait their turn; the socket is not read meanwhile. */
  async serve(): Promise<void> {
    const reader = createLineReader(MAX_REQUEST_BYTES)
    try {
      for await (const chunk of this.#socket) {
        const { lines, isOverlong } = reader.push(chunk)
        for (const line of lines) await this.#serveLine(line)
        if (isOverlong) {
          const message = `a line of more than ${MAX_REQUEST_BYTES} bytes`
          this.#send(formatFailure(null, { code: RPC.invalidRequest, message }))
          break
        }
      }
    } catch (error) {
      this.#log.debug({ err: error }, 'client left')
    } finally {
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

  async #serveLine(line: Uint8Array): Promise<void> {
    const request = parseRequest(line)
    if (request.kind === 'malformed') {
      this.#send(formatFailure(request.id, request.failure))
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
