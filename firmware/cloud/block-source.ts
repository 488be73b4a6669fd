/** Where the blocks of an offer are asked for: at the URL it names; over the broker when it names none, or once that URL has failed. */

import { CloudError } from './errors.ts'
import { HttpsBlocks } from './https-blocks.ts'
import type { Identity } from './tls-socket.ts'
import type { BlockRequest, OfferStatement } from './wire.ts'

/** Downloads at a time; two are usual. A server that trickles is asked again and again, and must not gather them. */
export const MOST_DOWNLOADS = 8

export interface BlockSourceOptions {
  readonly identity: () => Identity
  /** PEM: the pinned authorities. */
  readonly ca: () => Promise<string>
  /** Asks over the broker; false while there is no link. */
  readonly publish: (request: BlockRequest) => Promise<boolean>
  /** A block that came by HTTPS; false when it is not what was signed. */
  readonly take: (offer: string, offset: number, bytes: Uint8Array) => Promise<boolean>
  /** What was asked for at the URL does not come. */
  readonly onFailed: (error: CloudError, offer: string) => void
}

export class BlockSource implements Disposable {
  readonly #options: BlockSourceOptions
  readonly #https = new HttpsBlocks()
  /** The one offer that is on its way has a URL that failed. */
  #failed = ''
  #downloads = 0

  constructor(options: BlockSourceOptions) {
    this.#options = options
  }

  [Symbol.dispose](): void {
    this.#https[Symbol.dispose]()
  }

  /** True when the blocks may come now. */
  async ask(ranges: BlockRequest['ranges'], { offer, url }: OfferStatement): Promise<boolean> {
    if (url === undefined || this.#failed === offer)
      return this.#options.publish({ v: 1, offer, ranges })
    if (this.#downloads >= MOST_DOWNLOADS) return false
    // Beside the caller: the next ranges are asked for while these come.
    void this.#download(ranges, offer, url)
    return true
  }

  async #download(ranges: BlockRequest['ranges'], offer: string, url: string): Promise<void> {
    const { ca, identity, take, onFailed } = this.#options
    this.#downloads += 1
    try {
      const source = { url, ca: await ca(), identity: identity() }
      for (const range of ranges)
        for await (const [offset, bytes] of this.#https.blocks(source, range))
          if (!(await take(offer, offset, bytes)))
            throw new CloudError('CLOUD_DOWNLOAD', 'not what was signed', { reason: 'wrong block' })
    } catch (error) {
      if (!(error instanceof CloudError)) throw error
      if (this.#failed === offer) return
      this.#failed = offer
      onFailed(error, offer)
    } finally {
      this.#downloads -= 1
    }
  }
}
