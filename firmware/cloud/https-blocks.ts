/** Ranges of an offered file from the HTTPS URL of its signed offer: the TLS rules of the broker's link, no redirect, no byte more than was asked for. */

import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { Agent, request as httpsRequest } from 'node:https'
import { CloudError } from './errors.ts'
import { BLOCK_BYTES } from './incoming-file.ts'
import { refusalOfSocket } from './refusals.ts'
import { type Identity, TLS_RULES } from './tls-socket.ts'

export interface HttpsSource {
  readonly url: string
  /** PEM: the pinned authorities. */
  readonly ca: string
  /** Shown to the server, which gives a file to nobody but the printer it is for. */
  readonly identity: Identity
}

const IDLE_MS = 20_000
const PARTIAL_CONTENT = 206

/** A connection is kept for the next ranges; its end ends what is still coming. */
export class HttpsBlocks implements Disposable {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 2 })

  /**
   * The blocks of one range, in order.
   * @throws CloudError CLOUD_DOWNLOAD for any answer but those bytes; CLOUD_UNREACHABLE, CLOUD_TIMEOUT, CLOUD_TLS_*
   */
  async *blocks(
    source: HttpsSource,
    [from, length]: readonly [number, number],
  ): AsyncGenerator<readonly [offset: number, bytes: Uint8Array]> {
    const { host } = new URL(source.url)
    try {
      const response = await this.#get(source, from, length)
      expectRange(response, host, from, length)
      let at = from
      let block = Buffer.alloc(0)
      for await (const chunk of response as AsyncIterable<Buffer>) {
        block = Buffer.concat([block, chunk])
        for (; block.length >= BLOCK_BYTES; at += BLOCK_BYTES) {
          yield [at, block.subarray(0, BLOCK_BYTES)]
          block = block.subarray(BLOCK_BYTES)
        }
      }
      if (block.length > 0) yield [at, block]
    } catch (error) {
      if (error instanceof CloudError) throw error
      throw refusalOfSocket(error, host)
    }
  }

  [Symbol.dispose](): void {
    this.#agent.destroy()
  }

  async #get(source: HttpsSource, from: number, length: number): Promise<IncomingMessage> {
    const { url, ca, identity } = source
    const request = httpsRequest(url, {
      ...{ agent: this.#agent, timeout: IDLE_MS, ...TLS_RULES },
      ...{ ca, cert: identity.cert, key: identity.key, rejectUnauthorized: true },
      headers: { range: `bytes=${from}-${from + length - 1}` },
    })
    request.on('timeout', () =>
      request.destroy(Object.assign(new Error('nothing comes'), { code: 'ETIMEDOUT' })),
    )
    request.end()
    const [response] = (await once(request, 'response')) as [IncomingMessage]
    return response
  }
}

/** The parser lets no more bytes through than the length that is announced. */
function expectRange(response: IncomingMessage, host: string, from: number, length: number): void {
  const { statusCode, headers } = response
  const isRange = headers['content-range']?.startsWith(`bytes ${from}-${from + length - 1}/`)
  if (statusCode === PARTIAL_CONTENT && isRange && headers['content-length'] === String(length))
    return
  response.destroy()
  const reason = `status ${statusCode}`
  throw new CloudError('CLOUD_DOWNLOAD', `${host}: ${reason}`, { reason })
}
