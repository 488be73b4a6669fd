/** TLS to a broker under our own rules, against the pinned authorities, with the printer's certificate. There is no other socket. */

import { readFile } from 'node:fs/promises'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { CloudError } from './errors.ts'
import { refusalOfSocket } from './refusals.ts'

/** TLS 1.3, and of 1.2 only ECDHE with AEAD (IPA/CRYPTREC high security; RFC 9325). */
const CIPHERS = [
  'TLS_AES_256_GCM_SHA384',
  'TLS_AES_128_GCM_SHA256',
  'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
].join(':')
export const TLS_RULES = { minVersion: 'TLSv1.2', ciphers: CIPHERS } as const

/** Of TLS, and of the broker's answer to CONNECT. */
export const CONNECT_TIMEOUT_MS = 20_000

export interface Identity {
  /** PEM: the client certificate with its chain, and its key. */
  readonly cert: string
  readonly key: string
}

export interface SocketOptions {
  readonly host: string
  readonly port: number
  /** PEM: the pinned authorities. */
  readonly ca: string
  readonly identity: Identity
  /** Aborts an opening, not an open socket. */
  readonly signal: AbortSignal
}

/** The pinned authorities, PEM. @throws CloudError CLOUD_IDENTITY */
export async function readPinned(path: string): Promise<string> {
  return readFile(path, 'utf8').catch((cause: unknown) => {
    throw new CloudError('CLOUD_IDENTITY', 'the pinned authorities cannot be read', { cause })
  })
}

/**
 * Resolves once the broker's certificate is verified.
 * @throws CloudError CLOUD_UNREACHABLE, CLOUD_TIMEOUT, CLOUD_TLS_*; the signal's reason
 */
export async function openSocket(options: SocketOptions, endpoint: string): Promise<TLSSocket> {
  const { host, port, ca, identity, signal } = options
  signal.throwIfAborted()
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const socket = connectTls({
    ...{ host, port, ca, cert: identity.cert, key: identity.key, ...TLS_RULES },
    servername: /^[\d.]+$/.test(host) ? '' : host,
    rejectUnauthorized: true,
  })
  const onAbort = () => socket.destroy(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  // From the beginning, not from the last byte: one that trickles must not keep us from the next endpoint.
  const deadline = setTimeout(
    () => socket.destroy(Object.assign(new Error('no TLS in time'), { code: 'ETIMEDOUT' })),
    CONNECT_TIMEOUT_MS,
  )
  socket.once('secureConnect', resolve)
  socket.on('error', reject)
  socket.once('close', () => reject(new Error('closed')))
  try {
    await promise
    socket.setNoDelay(true)
    return socket
  } catch (error) {
    signal.throwIfAborted()
    throw refusalOfSocket(error, endpoint)
  } finally {
    clearTimeout(deadline)
    signal.removeEventListener('abort', onAbort)
  }
}
