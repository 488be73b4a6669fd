/** A broker that says what a test wants: TLS, packets cut out of the stream, and answers as bytes (MQTT 5, 2 and 3). */
import { once } from 'node:events'
import { createServer, type TLSSocket } from 'node:tls'
import type { Test } from 'tap'
import { type Authority, createAuthority, issueClient, issueServer } from '../../fleet/ca.ts'

export const PACKET = { connect: 1, publish: 3, subscribe: 8, disconnect: 14 } as const

export interface Packet {
  readonly type: number
  /** The low half of the first byte. */
  readonly flags: number
  readonly body: Buffer
  readonly socket: TLSSocket
}

export const connack = (receiveMaximum?: number): Buffer =>
  receiveMaximum === undefined
    ? Buffer.from([0x20, 3, 0, 0, 0])
    : Buffer.from([0x20, 6, 0, 0, 3, 0x21, receiveMaximum >> 8, receiveMaximum & 0xff])
/** Grants one subscription. */
export const suback = ({ body }: Packet): Buffer =>
  Buffer.from([0x90, 4, body[0] ?? 0, body[1] ?? 0, 0, 1])
export const puback = (id: number): Buffer => Buffer.from([0x40, 2, id >> 8, id & 0xff])
/** Of a PUBLISH with QoS 1: after its topic. */
export const idOf = ({ body }: Packet): number => body.readUInt16BE(2 + body.readUInt16BE(0))

/** `onPacket` is told of each packet; `options` are those of openLink. */
export async function scriptedBroker(
  t: Test,
  onPacket: (packet: Packet) => void,
  authority: Authority = createAuthority('test', Date.now()),
) {
  const { certPem, keyPem } = issueServer(authority, ['localhost'], Date.now())
  const sockets = new Set<TLSSocket>()
  const server = createServer({ cert: certPem, key: keyPem }, socket => {
    sockets.add(socket)
    socket.setNoDelay(true)
    socket.on('error', () => socket.destroy())
    let rest = Buffer.alloc(0)
    socket.on('data', (chunk: Buffer) => {
      rest = Buffer.concat([rest, chunk])
      for (let cut = cutPacket(rest); cut; cut = cutPacket(rest)) {
        onPacket({
          type: cut.type,
          flags: cut.flags,
          body: rest.subarray(cut.start, cut.end),
          socket,
        })
        rest = rest.subarray(cut.end)
      }
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const address = server.address()
  const port = typeof address === 'object' && address ? address.port : 0
  const client = issueClient(authority, 'P-1', Date.now())
  const identity = { cert: client.certPem, key: client.keyPem }
  const options = {
    ...{ host: 'localhost', port, ca: authority.certPem, identity, clientId: 'P-1' },
    ...{ protocol: 5 as const, sessionExpiryS: 0, subscriptions: ['a'] },
    ...{ signal: new AbortController().signal, onMessage: async () => undefined },
  }
  return { options }
}

/** Where the first packet's body lies; undefined while it is not whole. */
function cutPacket(bytes: Buffer) {
  let length = 0
  for (let i = 0; i < 4; i++) {
    const byte = bytes[1 + i]
    if (byte === undefined) return undefined
    length += (byte & 0x7f) << (7 * i)
    const start = 2 + i
    if (byte < 0x80)
      return bytes.length < start + length
        ? undefined
        : { type: (bytes[0] ?? 0) >> 4, flags: (bytes[0] ?? 0) & 15, start, end: start + length }
  }
  return undefined
}
