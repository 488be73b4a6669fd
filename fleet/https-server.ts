/** The HTTPS listener each server of the fleet end stands on: TLS 1.2 and later, a port of its own, closed with everything open on it. */

import type { RequestListener } from 'node:http'
import { createServer, type ServerOptions } from 'node:https'
import type { IssuedKey } from './ca.ts'

export interface HttpsPlace {
  readonly server: IssuedKey
  readonly host: string
  /** 0 takes a free one. */
  readonly port: number
}

export interface HttpsServer extends AsyncDisposable {
  readonly port: number
}

/** @throws Error of the socket, such as EADDRINUSE */
export async function serveHttps(
  { server, host, port }: HttpsPlace,
  rules: Pick<ServerOptions, 'ca' | 'requestCert' | 'rejectUnauthorized' | 'requestTimeout'> & {
    /** Silence on a connection ends it; unlimited otherwise. */
    readonly idleMs?: number
  },
  answer: RequestListener,
): Promise<HttpsServer> {
  const { idleMs = 0, ...tls } = rules
  const https = createServer(
    { ...tls, cert: server.certPem, key: server.keyPem, minVersion: 'TLSv1.2' },
    answer,
  )
  https.timeout = idleMs
  await new Promise<void>((resolve, reject) => {
    https.once('error', reject)
    https.listen(port, host, resolve)
  })
  const address = https.address()
  return {
    port: typeof address === 'object' && address ? address.port : port,
    async [Symbol.asyncDispose]() {
      https.closeAllConnections()
      await new Promise<void>(resolve => https.close(() => resolve()))
    },
  }
}
