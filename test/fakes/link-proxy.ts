/** A bad line between a printer and its broker: a TCP proxy on loopback that delays, jitters, stalls, throttles, drops and goes offline. */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

export interface LinkConditions {
  /** One way, milliseconds: half of the round trip. */
  readonly delayMs?: number
  /** Added to each chunk's delay, uniform; order is kept, as TCP keeps it. */
  readonly jitterMs?: number
  /** What the loss of a segment looks like above TCP: this share of the chunks waits `stallMs` for the retransmission, and all behind it. */
  readonly stallChance?: number
  /** RFC 6298: a retransmission timer is 200 ms to 1 s in practice. */
  readonly stallMs?: number
  /** Each way, each connection. */
  readonly bytesPerS?: number
}

export interface LinkProxy extends AsyncDisposable {
  readonly port: number
  /** Takes effect for what arrives from now on. */
  conditions: LinkConditions
  /** `performance.now()` of the newest connection; undefined before the first. */
  readonly connectedAtMs: number | undefined
  /** Bytes handed over to the broker's side, and to the printer's. */
  readonly bytes: { readonly up: number; readonly down: number }
  /** Cuts every connection. */
  drop(): void
  /** Offline: cuts every connection, and each new one, until it is false again. */
  isOffline: boolean
}

/** On its way at most, each direction: beyond that the sender is not read, as with full socket buffers. */
const MAX_IN_TRANSIT_BYTES = 8 * 1024 * 1024

export async function startLinkProxy(
  toPort: number,
  options: LinkConditions & { readonly random: () => number; readonly host?: string },
): Promise<LinkProxy> {
  const { random, host = '127.0.0.1', ...conditions } = options
  const sockets = new Set<Socket>()
  const bytes = { up: 0, down: 0 }
  const state = { conditions: conditions as LinkConditions, isOffline: false }
  let connectedAtMs: number | undefined
  const keep = (socket: Socket) => {
    sockets.add(socket.setNoDelay(true))
    socket.on('error', () => socket.destroy())
    socket.once('close', () => sockets.delete(socket))
  }
  const drop = () => {
    for (const socket of sockets) socket.destroy()
  }
  const server = createServer(near => {
    if (state.isOffline) {
      near.destroy()
      return
    }
    connectedAtMs = performance.now()
    const far = connect(toPort, '127.0.0.1')
    for (const socket of [near, far]) keep(socket)
    carry(near, far, { random, conditions: () => state.conditions, onBytes: n => (bytes.up += n) })
    carry(far, near, {
      ...{ random, conditions: () => state.conditions },
      onBytes: n => (bytes.down += n),
    })
  })
  server.listen(0, host)
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    ...{ bytes, drop },
    get connectedAtMs() {
      return connectedAtMs
    },
    get conditions() {
      return state.conditions
    },
    set conditions(next) {
      state.conditions = next
    },
    get isOffline() {
      return state.isOffline
    },
    set isOffline(isOffline) {
      state.isOffline = isOffline
      if (isOffline) drop()
    },
    async [Symbol.asyncDispose]() {
      drop()
      server.close()
      await once(server, 'close')
    },
  }
}

interface Carriage {
  readonly random: () => number
  readonly conditions: () => LinkConditions
  readonly onBytes: (count: number) => void
}

/** One direction: each chunk is written when it would have arrived, never before the one ahead of it. */
function carry(from: Socket, to: Socket, { random, conditions, onBytes }: Carriage): void {
  const queue: { readonly dueMs: number; readonly chunk: Buffer }[] = []
  let lastDueMs = 0
  let transitBytes = 0
  let timer: NodeJS.Timeout | undefined
  const flush = () => {
    timer = undefined
    for (let head = queue[0]; head; head = queue[0]) {
      const waitMs = head.dueMs - performance.now()
      if (waitMs > 0.5) {
        timer = setTimeout(flush, waitMs)
        return
      }
      queue.shift()
      transitBytes -= head.chunk.length
      to.write(head.chunk)
      onBytes(head.chunk.length)
      if (from.isPaused() && transitBytes < MAX_IN_TRANSIT_BYTES) from.resume()
    }
    if (from.readableEnded) to.end()
  }
  from.on('data', (chunk: Buffer) => {
    const { delayMs = 0, jitterMs = 0, stallChance = 0, stallMs = 0, bytesPerS } = conditions()
    const stalledMs = random() < stallChance ? stallMs : 0
    const arrivalMs = performance.now() + delayMs + random() * jitterMs + stalledMs
    const wireMs = bytesPerS === undefined ? 0 : (chunk.length / bytesPerS) * 1000
    lastDueMs = Math.max(lastDueMs, arrivalMs) + wireMs
    queue.push({ dueMs: lastDueMs, chunk })
    transitBytes += chunk.length
    if (transitBytes >= MAX_IN_TRANSIT_BYTES) from.pause()
    timer ??= setTimeout(flush, Math.max(0, lastDueMs - performance.now()))
  })
  from.on('end', () => {
    timer ??= setTimeout(flush, 0)
  })
  from.once('close', () => {
    clearTimeout(timer)
    to.destroy()
  })
}
