/** One session with one broker: TLS with our own rules first, MQTT over it, never a plaintext socket. The only file that imports mqtt. */

import type { TLSSocket } from 'node:tls'
import { type IClientOptions, MqttClient, UniqueMessageIdProvider } from 'mqtt'
import { CloudError } from './errors.ts'
import { LinkWindow } from './link-window.ts'
import { refusalOfBroker, refusalOfClient, refusalOfMessage, refusalOfSocket } from './refusals.ts'
import { CONNECT_TIMEOUT_MS, openSocket, type SocketOptions } from './tls-socket.ts'

/** CLOUD 3.1: never more unacknowledged publishes than this, whatever the broker would take. */
export const MAX_WINDOW = 16
const KEEPALIVE_S = 30
/** A broker that acknowledges nothing for so long, though something waits, is given up. */
const ACK_TIMEOUT_MS = 60_000
/** How long an end of ours waits for what is on its way. */
const FAREWELL_MS = 1000
/** A block of a file and its header; a broker that sends more is cut off. */
const MAX_PACKET_BYTES = 1024 * 1024
/** What may follow a packet within one read of the socket. */
const SOCKET_CHUNK_BYTES = 128 * 1024
const DISCONNECT_WITH_WILL = 0x04

export interface Will {
  readonly topic: string
  readonly payload: string | Uint8Array
  readonly delayS: number
  /** Retained unless said otherwise. */
  readonly isRetained?: boolean
  /** Published when we end the link too (MQTT 5, 3.14.2.1: 0x04). */
  readonly isLastWord?: boolean
}

export interface LinkOptions extends SocketOptions {
  readonly clientId: string
  readonly protocol: 5 | 4
  readonly sessionExpiryS: number
  readonly will?: Will
  /** Published before we end the link; while the broker lets us not, the will is. */
  readonly goodbye?: Publication
  readonly subscriptions: readonly string[]
  /**
   * Messages one at a time, in order; the broker's flow control holds the rest. Must not reject, and must not wait for a
   * publish of this link: its acknowledgement comes behind the message.
   */
  readonly onMessage: (topic: string, payload: Uint8Array) => Promise<void>
}

export interface Publication {
  readonly topic: string
  readonly payload: Uint8Array | string
  readonly isRetained?: boolean
  /** QoS 1 unless said otherwise. */
  readonly qos?: 0 | 1
  readonly expiryS?: number
}

export interface Link extends AsyncDisposable {
  readonly endpoint: string
  readonly protocol: 5 | 4
  readonly tls: string
  /** Publishes at once in flight, at most. */
  readonly window: number
  /** Resolves with the broker's acknowledgement. Rejects with CLOUD_ACL, CLOUD_BROKER_*, CLOUD_LOST. */
  publish(publication: Publication): Promise<void>
  /** Resolves with why the link ended; undefined when it was us. */
  readonly closed: Promise<CloudError | undefined>
}

/**
 * Opens a link: TLS verified against the pinned authorities, CONNACK, subscriptions.
 * @throws CloudError CLOUD_UNREACHABLE, CLOUD_TIMEOUT, CLOUD_TLS_*, CLOUD_BROKER_*, CLOUD_UNANSWERED, CLOUD_ACL; the signal's reason
 */
export async function openLink(options: LinkOptions): Promise<Link> {
  const endpoint = `${options.host}:${options.port}`
  const { signal } = options
  const socket = await openSocket(options, endpoint)
  const opening = new LinkOpening(socket, options, endpoint)
  const onAbort = () => opening.abandon()
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    signal.throwIfAborted()
    return await opening.open()
  } catch (error) {
    opening.abandon()
    signal.throwIfAborted()
    throw error
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}

class LinkOpening {
  readonly #client: MqttClient
  readonly #socket: TLSSocket
  readonly #options: LinkOptions
  readonly #endpoint: string
  readonly #closed = Promise.withResolvers<CloudError | undefined>()
  #unacknowledged = 0
  #ackWatch: NodeJS.Timeout | undefined
  #cause: CloudError | undefined
  #isOurs = false
  #isAnswered = false
  #isClosed = false
  #ending: Promise<void> | undefined
  /** Of publishes without an acknowledgement: a link that has ended leaves none hanging. */
  readonly #unsettled = new Set<(error: CloudError) => void>()

  constructor(socket: TLSSocket, options: LinkOptions, endpoint: string) {
    this.#socket = socket
    this.#options = options
    this.#endpoint = endpoint
    socket.on('error', error => {
      this.#cause ??= refusalOfSocket(error, endpoint)
    })
    this.#client = new MqttClient(() => socket, clientOptions(options))
    this.#boundPackets()
    this.#client.on('error', error => {
      this.#cause ??= refusalOfClient(error, endpoint)
    })
    this.#client.on('disconnect', packet => {
      this.#cause = refusalOfBroker(packet.reasonCode ?? 0x80, endpoint)
    })
    this.#client.on('close', () => this.#close())
    this.#client.handleMessage = (packet, done) => {
      const payload =
        typeof packet.payload === 'string' ? Buffer.from(packet.payload) : packet.payload
      void options.onMessage(packet.topic, payload).then(() => done())
    }
  }

  /** mqtt.js looks at a packet's size only once all of it is in memory, and under 3.1.1 not at all. */
  #boundPackets(): void {
    let pendingBytes = 0
    this.#client.on('packetreceive', () => {
      pendingBytes = 0
    })
    this.#socket.on('data', (chunk: Buffer) => {
      pendingBytes += chunk.length
      if (pendingBytes <= MAX_PACKET_BYTES + SOCKET_CHUNK_BYTES) return
      const message = `${this.#endpoint}: a packet above ${MAX_PACKET_BYTES} bytes`
      this.#cause ??= new CloudError('CLOUD_MALFORMED', message)
      this.#socket.destroy()
    })
  }

  async open(): Promise<Link> {
    const { subscriptions, protocol } = this.#options
    const receiveMaximum = await this.#connack()
    if (subscriptions.length > 0) {
      const subscribing = this.#client.subscribeAsync([...subscriptions], { qos: 1 })
      const grants = await this.#acknowledged(subscribing).catch((cause: unknown) => {
        // Cut between CONNACK and SUBACK: mqtt.js rejects with an error of its own.
        throw this.#cause ?? new CloudError('CLOUD_LOST', `${this.#endpoint}: cut`, { cause })
      })
      const refused = grants.find(({ qos }) => qos >= 0x80)
      if (refused) throw refusalOfMessage(refused.qos, refused.topic)
    }
    const window = Math.min(MAX_WINDOW, receiveMaximum)
    const slots = new LinkWindow(window)
    return {
      endpoint: this.#endpoint,
      protocol,
      tls: this.#socket.getProtocol() ?? '',
      window,
      publish: publication => slots.within(() => this.#publish(publication)),
      closed: this.#closed.promise,
      [Symbol.asyncDispose]: () => {
        this.#ending ??= this.#end(slots)
        return this.#ending
      },
    }
  }

  abandon(): void {
    this.#isOurs = true
    this.#client.end(true)
    this.#socket.destroy()
  }

  #connack(): Promise<number> {
    const { promise, resolve, reject } = Promise.withResolvers<number>()
    this.#client.once('connect', packet => {
      this.#isAnswered = true
      resolve(packet.properties?.receiveMaximum ?? MAX_WINDOW)
    })
    void this.#closed.promise.then(cause => reject(cause ?? this.#lost()))
    return promise
  }

  /** A broker that keeps a line alive and acknowledges nothing any more is as good as gone. */
  async #acknowledged<T>(work: Promise<T>): Promise<T> {
    this.#unacknowledged += 1
    this.#ackWatch ??= this.#watchAcks()
    try {
      return await work
    } finally {
      clearTimeout(this.#ackWatch)
      this.#unacknowledged -= 1
      this.#ackWatch = this.#unacknowledged > 0 ? this.#watchAcks() : undefined
    }
  }

  #watchAcks(): NodeJS.Timeout {
    return setTimeout(() => {
      this.#cause ??= new CloudError('CLOUD_TIMEOUT', `${this.#endpoint}: nothing acknowledged`)
      this.#socket.destroy()
    }, ACK_TIMEOUT_MS)
  }

  async #publish(publication: Publication): Promise<void> {
    if (this.#isClosed) throw new CloudError('CLOUD_LOST', this.#endpoint)
    const { topic, payload, isRetained = false, qos = 1, expiryS } = publication
    const properties =
      this.#options.protocol === 5 && expiryS !== undefined
        ? { properties: { messageExpiryInterval: expiryS } }
        : {}
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const bytes = typeof payload === 'string' ? payload : Buffer.from(payload)
    this.#client.publish(topic, bytes, { qos, retain: isRetained, ...properties }, error => {
      if (!error) resolve()
      else if ('code' in error && typeof error.code === 'number')
        reject(refusalOfMessage(error.code, topic))
      else reject(new CloudError('CLOUD_LOST', `${this.#endpoint}: ${error.message}`))
    })
    this.#unsettled.add(reject)
    return this.#acknowledged(promise).finally(() => this.#unsettled.delete(reject))
  }

  #lost(): CloudError {
    return this.#isAnswered
      ? new CloudError('CLOUD_LOST', `${this.#endpoint}: connection closed`)
      : new CloudError('CLOUD_UNANSWERED', `${this.#endpoint}: closed instead of a CONNACK`)
  }

  #close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#socket.destroy()
    clearTimeout(this.#ackWatch)
    for (const reject of this.#unsettled) reject(new CloudError('CLOUD_LOST', this.#endpoint))
    this.#closed.resolve(this.#isOurs ? undefined : (this.#cause ?? this.#lost()))
  }

  async #end(slots: LinkWindow): Promise<void> {
    this.#isOurs = true
    const { protocol, will, goodbye } = this.#options
    const farewell = protocol === 5 && will?.isLastWord ? { reasonCode: DISCONNECT_WITH_WILL } : {}
    // mqtt.js waits for every acknowledgement, however long; of a client that is closed already it says nothing.
    const timer = setTimeout(() => this.#socket.destroy(), FAREWELL_MS)
    if (goodbye) await slots.within(() => this.#publish(goodbye)).catch(() => undefined)
    if (!this.#isClosed)
      await Promise.race([
        this.#client.endAsync(false, farewell).catch(() => undefined),
        this.#closed.promise,
      ])
    clearTimeout(timer)
    this.#close()
  }
}

function clientOptions(options: LinkOptions): IClientOptions {
  const { clientId, protocol, sessionExpiryS, will } = options
  const isFive = protocol === 5
  return {
    clientId,
    protocolVersion: protocol,
    clean: sessionExpiryS === 0,
    reconnectPeriod: 0,
    keepalive: KEEPALIVE_S,
    connectTimeout: CONNECT_TIMEOUT_MS,
    queueQoSZero: false,
    resubscribe: false,
    messageIdProvider: new UniqueMessageIdProvider(),
    ...(isFive && {
      properties: {
        sessionExpiryInterval: sessionExpiryS,
        receiveMaximum: MAX_WINDOW,
        maximumPacketSize: MAX_PACKET_BYTES,
        requestProblemInformation: true,
      },
    }),
    ...(will && {
      will: {
        topic: will.topic,
        payload: Buffer.from(will.payload),
        qos: 1 as const,
        retain: will.isRetained ?? true,
        ...(isFive && { properties: { willDelayInterval: will.delayS } }),
      },
    }),
  }
}
