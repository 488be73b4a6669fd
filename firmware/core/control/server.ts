/** The core's only door: a Unix socket with a mode, a bounded number of clients, and notifications for those who watch. */

import { chmod, lstat, unlink } from 'node:fs/promises'
import { connect, createServer, type Server, type Socket } from 'node:net'
import type { Clock } from '#lib/clock.ts'
import type { EventView } from '#lib/control-protocol.ts'
import { RPC } from '#lib/control-protocol.ts'
import { formatFailure } from '#lib/json-rpc.ts'
import type { Logger } from '#lib/logger.ts'
import { CoreError, coreFault } from '../errors.ts'
import { ClientConnection } from './client-connection.ts'
import type { ControlHandlers } from './methods.ts'

export interface ControlServerOptions {
  readonly path: string
  /** Permission bits of the socket: who is in its group may use the printer. */
  readonly mode: number
  readonly handlers: ControlHandlers
  readonly clock: Clock
  readonly log: Logger
}

const MAX_CLIENTS = 16
/** Beyond them so many may press the emergency stop, and do nothing else. */
const MAX_STOPPING = 4
/** Watchers are told of progress at most four times a second. */
const PROGRESS_INTERVAL_MS = 250
/** Owner only until the configured mode is set. */
const NARROW_UMASK = 0o177

export class ControlServer implements AsyncDisposable {
  readonly #options: ControlServerOptions
  readonly #server: Server
  readonly #clients = new Map<ClientConnection, Socket>()
  #change = Promise.withResolvers<void>()

  private constructor(options: ControlServerOptions) {
    this.#options = options
    // A client that has said all it wanted may still wait for its answers.
    this.#server = createServer({ allowHalfOpen: true }, socket => this.#accept(socket))
  }

  /** Listens. A socket left by a core that died is replaced; one that answers is not. @throws CoreError CONTROL_SOCKET. */
  static async listen(options: ControlServerOptions): Promise<ControlServer> {
    const control = new ControlServer(options)
    await clearStale(options.path)
    const umask = process.umask(NARROW_UMASK)
    try {
      await listening(control.#server, options.path)
    } catch (error) {
      throw coreFault('CONTROL_SOCKET', `cannot listen at ${options.path}`, error)
    } finally {
      process.umask(umask)
    }
    await chmod(options.path, options.mode)
    return control
  }

  /** Something a watcher shows has changed. */
  changed(): void {
    this.#change.resolve()
  }

  /** Tells watchers of an event. */
  tell(event: EventView): void {
    for (const client of this.#clients.keys()) client.notify('event', event)
  }

  /** Sends progress to watchers until the signal aborts. */
  async reportProgress(signal: AbortSignal): Promise<void> {
    const { clock, handlers } = this.#options
    signal.addEventListener('abort', () => this.changed(), { once: true })
    while (!signal.aborted) {
      await this.#change.promise
      this.#change = Promise.withResolvers()
      const watchers = [...this.#clients.keys()].filter(client => client.isWatching)
      if (watchers.length > 0) {
        const view = await handlers.status({})
        for (const client of watchers) client.notify('progress', view)
      }
      await clock.sleep(PROGRESS_INTERVAL_MS, signal)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#clients.values()) socket.destroy()
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#server.close(() => resolve())
    await promise
  }

  #accept(socket: Socket): void {
    const { handlers, log } = this.#options
    socket.on('error', error => log.debug({ err: error }, 'client socket failed'))
    const message = `${MAX_CLIENTS} clients are connected`
    const refusal = { code: RPC.refused, message, data: { code: 'CONTROL_CLIENTS' } }
    if (this.#clients.size >= MAX_CLIENTS + MAX_STOPPING) {
      socket.end(formatFailure(null, refusal))
      socket.destroySoon()
      return
    }
    const isFull = this.#clients.size >= MAX_CLIENTS
    const client = new ClientConnection(socket, handlers, log, isFull ? refusal : undefined)
    this.#clients.set(client, socket)
    // Both ends of the map's entry: `serve` never rejects.
    void client.serve().finally(() => this.#clients.delete(client))
  }
}

function listening(server: Server, path: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  server.once('error', reject)
  server.listen(path, () => resolve())
  return promise
}

async function clearStale(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined)
  if (found === undefined) return
  if (!found.isSocket()) throw new CoreError('CONTROL_SOCKET', `${path} is not a socket`)
  if (await answers(path)) throw new CoreError('CONTROL_SOCKET', `${path} is in use`)
  await unlink(path)
}

function answers(path: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const probe = connect(path)
  probe.once('connect', () => resolve(true))
  probe.once('error', () => resolve(false))
  return promise.finally(() => probe.destroy())
}
