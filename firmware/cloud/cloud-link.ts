/** The broker's side of the courier: birth, state and will, the outbox going up, what comes down, and the signed head of the log. */

import type { CommandStatement } from '#lib/command-statement.ts'
import type { EventView } from '#lib/control-protocol.ts'
import { BlockSource } from './block-source.ts'
import { Commands } from './commands.ts'
import type { CoreClient } from './core-client.ts'
import { keepCosignature } from './cosignature.ts'
import type { CourierState } from './courier.ts'
import { type DownlinkHandlers, takeMessage } from './downlink.ts'
import { CloudError } from './errors.ts'
import { type EventsPump, PAGE } from './events-pump.ts'
import { LogExports } from './log-exports.ts'
import { type Link, openLink } from './mqtt-link.ts'
import { Presence } from './presence.ts'
import type { CertificateRenewal } from './renewal.ts'
import { isStored } from './stored.ts'
import { parseEndpoint, superviseLink } from './supervisor.ts'
import { readPinned } from './tls-socket.ts'
import { Transfers } from './transfers.ts'
import {
  type AckStatement,
  type BlockRequest,
  deviceTopics,
  type NoticeStatement,
  STREAMS,
  topicOf,
} from './wire.ts'

/** CLOUD 3.1: a command survives a day of absence; a death is told after half a minute. */
const SESSION_EXPIRY_S = 86_400
const WILL_DELAY_S = 30
const EXPIRY_LOOK_MS = 60_000

export class CloudLink {
  readonly #state: CourierState
  pump: EventsPump | undefined
  #link: Link | undefined
  #opened = 0
  #presence: Presence | undefined

  readonly #transfers: Transfers | undefined
  readonly #blocks: BlockSource

  readonly #onWatch: (forS: number) => void

  readonly #renewal: CertificateRenewal
  readonly commands: Commands
  readonly exports: LogExports

  constructor(
    state: CourierState,
    parts: {
      readonly renewal: CertificateRenewal
      readonly onWatch: (forS: number) => void
    },
  ) {
    this.#state = state
    this.#renewal = parts.renewal
    this.commands = new Commands(state, (verb, args) => this.#carryOut(verb, args))
    this.exports = new LogExports(state)
    this.#onWatch = parts.onWatch
    const { cloud, config, trust, ports, nowMs } = state
    this.#blocks = new BlockSource({
      ca: () => readPinned(cloud.caFile),
      identity: () => state.identity,
      publish: request => this.#ask(request),
      take: async (offer, offset, bytes) =>
        (await this.#transfers?.block(offer, offset, bytes)) ?? true,
      onFailed: ({ code, message, reason }, offer) => {
        const detail = { offer, reason }
        state.reports.add({ type: 'cloud.refused', code, message, detail })
        this.#transfers?.askAgain()
      },
    })
    const directory = config.intake.dropDirectory
    this.#transfers =
      directory === undefined
        ? undefined
        : new Transfers({
            ...{ directory, trust, nowMs, clock: ports.clock, tenant: config.printer.tenant },
            maxFileBytes: config.spool.maxFileBytes,
            lastEvent: () => state.outbox.lastOf('evt'),
            ask: (ranges, offer) => this.#blocks.ask(ranges, offer),
            report: (type, message, detail, code) =>
              state.reports.add({ type, message, detail, ...(code !== undefined && { code }) }),
          })
  }

  /** The core was connected anew. */
  async coreConnected(core: CoreClient): Promise<void> {
    await this.#transfers?.dropped.reconcile(async after => {
      const { events } = await core.request('events.list', { after, limit: PAGE })
      return events
    })
  }

  async runTransfers(signal: AbortSignal): Promise<void> {
    using _ = this.#blocks
    // What is there already is judged by trusted time, which the core knows.
    await this.#state.core.when(signal)
    await this.#transfers?.run(signal)
  }

  async run(signal: AbortSignal): Promise<void> {
    const { cloud, ports } = this.#state
    const ca = await readPinned(cloud.caFile)
    await superviseLink(
      {
        endpoints: cloud.endpoints.map(parseEndpoint),
        clock: ports.clock,
        random: ports.random,
        open: (endpoint, protocol, opening) => this.#open(endpoint, protocol, ca, opening),
        use: (link, linkSignal) => this.#use(link, linkSignal),
        onRefused: async error => this.#refused(error),
      },
      signal,
    )
  }

  /** The core told of progress. */
  progressed(): void {
    this.#presence?.changed()
  }

  /** Events were added to the outbox. */
  eventsAdded(events: readonly EventView[]): void {
    this.#presence?.changed()
    void this.#transfers?.dropped.saw(events).catch((error: unknown) => {
      this.#state.ports.log.warn({ err: error }, 'a dropped file was not cleared')
    })
  }

  async #open(
    endpoint: { readonly host: string; readonly port: number },
    protocol: 5 | 4,
    ca: string,
    signal: AbortSignal,
  ): Promise<Link> {
    const { session, trust, identities, nowMs, unaccepted } = this.#state
    await trust.refresh()
    const identity = await identities.usable(nowMs(), unaccepted)
    if (!identity)
      throw new CloudError('CLOUD_TLS_OWN_EXPIRED', 'no slot has a certificate that is still valid')
    this.#state.identity = identity
    this.#opened += 1
    const topic = topicOf(identity.device, 'state')
    const death = { online: false, session, link: this.#opened }
    return openLink({
      ...endpoint,
      ...{ ca, identity, protocol, signal },
      clientId: identity.device,
      sessionExpiryS: SESSION_EXPIRY_S,
      will: { topic, payload: JSON.stringify(death), delayS: WILL_DELAY_S },
      // At once, and not to be taken for a fault.
      goodbye: { topic, payload: JSON.stringify({ ...death, planned: true }), isRetained: true },
      subscriptions: deviceTopics(identity.device),
      onMessage: (topic, payload) => this.#take(topic, payload),
    })
  }

  async #use(link: Link, signal: AbortSignal): Promise<void> {
    const { reports, sender, ports, identity } = this.#state
    ports.log.info({ endpoint: link.endpoint, protocol: link.protocol }, 'connected')
    const { endpoint, protocol, tls } = link
    const detail = { endpoint, protocol, tls }
    reports.add({ type: 'cloud.connected', message: 'session opened', detail })
    this.#link = link
    const presence = new Presence(this.#state, {
      ...{ link, identity, number: this.#opened },
      onRefused: error => this.#refused(error),
    })
    this.#presence = presence
    try {
      await presence.birth()
      this.#transfers?.askAgain()
      await Promise.all([
        sender.run(link, identity, signal),
        presence.run(signal),
        this.#endWithCertificate(link, identity.notAfterMs, signal),
      ])
    } finally {
      this.#link = undefined
      this.#presence = undefined
      reports.add({ type: 'cloud.disconnected', message: 'session ended', detail: { endpoint } })
    }
  }

  /** A broker may keep a session after the client certificate has ended; the printer does not. */
  async #endWithCertificate(link: Link, notAfterMs: number, signal: AbortSignal): Promise<void> {
    const { ports, nowMs } = this.#state
    while (!signal.aborted && notAfterMs > nowMs())
      await ports.clock.sleep(EXPIRY_LOOK_MS, signal).catch(() => undefined)
    if (!signal.aborted) await link[Symbol.asyncDispose]()
  }

  #refused(error: CloudError): void {
    const { reports, ports } = this.#state
    const { code, reason, message } = error
    if (code === 'CLOUD_TLS_OWN_EXPIRED' || code === 'CLOUD_TLS_OWN_REFUSED')
      this.#state.unaccepted = this.#state.identity.serialNumber
    ports.log.warn({ code, reason }, message)
    const type = code === 'CLOUD_TAKEN_OVER' ? 'cloud.taken_over' : 'cloud.refused'
    reports.add({ type, code, message, detail: { reason } })
  }

  #take(topic: string, payload: Uint8Array): Promise<void> {
    const { identity, config, trust, outbox, nowMs } = this.#state
    return takeMessage(
      {
        ...{ device: identity.device, tenant: config.printer.tenant, trust, outbox, nowMs },
        handlers: this.#handlers(),
      },
      topic,
      payload,
    )
  }

  #handlers(): DownlinkHandlers {
    return {
      onAck: ack => void isStored(() => this.#acked(ack)),
      onNotice: notice => this.#noticed(notice),
      onCommand: envelope => this.commands.take(envelope),
      onOffer: async offer => {
        if (!this.#transfers) throw new CloudError('CLOUD_OFFER', 'no drop directory')
        await this.#transfers.offered(offer)
      },
      onBlock: async (offer, offset, bytes) => {
        await this.#transfers?.block(offer, offset, bytes)
      },
      onForged: (topic, { code, message }) =>
        this.#state.reports.add({ type: 'cloud.forged', code, message, detail: { topic } }),
    }
  }

  async #ask(request: BlockRequest): Promise<boolean> {
    const link = this.#link
    if (!link) return false
    const topic = topicOf(this.#state.identity.device, 'req')
    const sending = link.publish({ topic, payload: JSON.stringify(request) })
    return sending.then(
      () => true,
      () => false,
    )
  }

  /** One that came before changes nothing and costs no write; one that cannot be written down comes again. */
  #acked(ack: AckStatement): void {
    const { outbox, sender } = this.#state
    let isNews = false
    let refusal: CloudError | undefined
    for (const stream of STREAMS) {
      const seq = ack.acks[stream]
      if (seq === undefined) continue
      const isHigher = seq > outbox.ackedOf(stream)
      if (outbox.ack(stream, seq)) isNews ||= isHigher
      else refusal = new CloudError('CLOUD_FORGED', `${stream}: ${seq} was never sent`)
    }
    if (keepCosignature(outbox, ack.cosig) || isNews) {
      sender.acknowledged()
      this.pump?.news()
      this.#presence?.changed()
    }
    // One stream's number that cannot be does not hold up the others'.
    if (refusal) throw refusal
  }

  async #noticed(notice: NoticeStatement): Promise<void> {
    if (notice.kind === 'rebirth') this.#presence?.bearAgain()
    if (notice.kind === 'watch') this.#onWatch(notice.forS)
    if (notice.kind === 'cancel') await this.#transfers?.cancelled(notice.offer)
  }

  /** Within the transaction that stores the answer: what is cut off is gone on with by the next life. A new life is born anyway. */
  #carryOut(verb: string, args: CommandStatement['args']): void {
    if (verb === 'rebirth') this.#presence?.bearAgain()
    if (verb === 'cert.renew') this.#renewal.want()
    if (verb === 'log.export') this.exports.want(args)
  }
}
