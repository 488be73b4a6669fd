/** A broker inside the program, for demo and tests: aedes over TLS, client certificates required, the rules of config/broker/acl.conf. The only file that imports aedes. */

import { createServer, type TLSSocket } from 'node:tls'
import { Aedes, type Client } from 'aedes'
import { parseTopic } from '#cloud'
import { FLEET, SPARKPLUG_HOST } from './broker-names.ts'

export interface EmbeddedBrokerOptions {
  readonly port: number
  readonly ca: string
  readonly cert: string
  readonly key: string
}

export interface EmbeddedBroker extends AsyncDisposable {
  readonly port: number
}

const SPARKPLUG = 'spBv1.0/'
const HOST_SAYS = /^spBv1\.0\/(STATE\/|[^/]+\/[ND]CMD\/)/
const DOWN: ReadonlySet<string> = new Set(['ack', 'cmd', 'job', 'blk', 'notice'])

/** Listens on the loopback; port 0 takes a free one. */
export async function startEmbeddedBroker(options: EmbeddedBrokerOptions): Promise<EmbeddedBroker> {
  const { ca, cert, key, port } = options
  const names = new WeakMap<Client, string>()
  const aedes = await Aedes.createBroker({
    preConnect: (client, _packet, done) => {
      const name = nameOf(client.conn as TLSSocket)
      if (name !== undefined) names.set(client, name)
      done(null, name !== undefined)
    },
    authorizePublish: (client, packet, done) => {
      const isAllowed = client === null || mayWrite(names.get(client), packet.topic)
      done(isAllowed ? null : new Error('not authorised'))
    },
    authorizeSubscribe: (client, subscription, done) => {
      done(null, mayRead(names.get(client), subscription.topic) ? subscription : null)
    },
  })
  const sockets = new Set<TLSSocket>()
  const server = createServer(
    { ca, cert, key, requestCert: true, rejectUnauthorized: true, minVersion: 'TLSv1.2' },
    socket => {
      sockets.add(socket)
      socket.on('close', () => sockets.delete(socket))
      socket.on('error', () => socket.destroy())
      aedes.handle(socket)
    },
  )
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', resolve)
  })
  const address = server.address()
  return {
    port: typeof address === 'object' && address ? address.port : port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise<void>(resolve => server.close(() => resolve()))
      await new Promise<void>(resolve => aedes.close(() => resolve()))
    },
  }
}

function nameOf(socket: TLSSocket): string | undefined {
  const name = socket.getPeerCertificate().subject?.CN
  return typeof name === 'string' ? name : undefined
}

function mayWrite(name: string | undefined, topic: string): boolean {
  if (topic.startsWith(SPARKPLUG))
    return HOST_SAYS.test(topic) ? name === SPARKPLUG_HOST : name === FLEET
  const parsed = parseTopic(topic)
  if (!parsed || name === undefined) return false
  const isDown = DOWN.has(parsed.name)
  return name === FLEET ? isDown : !isDown && parsed.device === name
}

function mayRead(name: string | undefined, filter: string): boolean {
  if (name === FLEET) return true
  if (name === SPARKPLUG_HOST) return filter.startsWith(SPARKPLUG)
  const parsed = parseTopic(filter)
  return parsed !== undefined && parsed.device === name && DOWN.has(parsed.name)
}
