/** The broker's side of the courier: birth, state and will, the outbox going up, what comes down, and the signed head of the log. */

import { readFile } from 'node:fs/promises'
import type { CourierState } from './courier.ts'
import { type DownlinkHandlers, takeMessage } from './downlink.ts'
import { CloudError } from './errors.ts'
import type { EventsPump } from './events-pump.ts'
import { type Link, openLink } from './mqtt-link.ts'
import { parseEndpoint, superviseLink } from './supervisor.ts'
import { type AckStatement, deviceTopics, type NoticeStatement, STREAMS, topicOf } from './wire.ts'

/** CLOUD 3.1: a command survives a day of absence; a death is told after half a minute. */
const SESSION_EXPIRY_S = 86_400
const WILL_DELAY_S = 30
/** CLOUD 3.6: a checkpoint every 50 events or 60 s. */
const CHECKPOINT_EVENTS = 50
const CHECKPOINT_MS = 60_000
/** A rebirth costs a few kilobytes: not more often than this, whoever asks. */
const REBIRTH_MS = 5000
const COMMAND_WAIT_MS = 10_000

export class CloudLink {
  readonly #state: CourierState
  pump: EventsPump | undefined
  #link: Link | undefined
  #checkpointSize = 0
  #bornAtMs = Number.NEGATIVE_INFINITY
  #dirty = Promise.withResolvers<void>()

  constructor(state: CourierState) {
    this.#state = state
  }

  async run(signal: AbortSignal): Promise<void> {
    const { cloud, ports } = this.#state
    const ca = await readFile(cloud.caFile, 'utf8').catch((cause: unknown) => {
      throw new CloudError('CLOUD_IDENTITY', 'the pinned authorities cannot be read', { cause })
    })
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
    this.#dirty.resolve()
  }

  /** Events were added to the outbox. */
  eventsAdded(): void {
    this.#dirty.resolve()
  }

  async #open(
    endpoint: { readonly host: string; readonly port: number },
    protocol: 5 | 4,
    ca: string,
    signal: AbortSignal,
  ): Promise<Link> {
    const { identity, session } = this.#state
    return openLink({
      ...endpoint,
      ...{ ca, identity, protocol, signal },
      clientId: identity.device,
      sessionExpiryS: SESSION_EXPIRY_S,
      will: {
        topic: topicOf(identity.device, 'state'),
        payload: JSON.stringify({ online: false, session }),
        delayS: WILL_DELAY_S,
      },
      subscriptions: deviceTopics(identity.device),
      onMessage: (topic, payload) => this.#take(topic, payload),
    })
  }

  async #use(link: Link, signal: AbortSignal): Promise<void> {
    const { reports, sender, ports } = this.#state
    ports.log.info({ endpoint: link.endpoint, protocol: link.protocol }, 'connected')
    const { endpoint, protocol, tls } = link
    const detail = { endpoint, protocol, tls }
    reports.add({ type: 'cloud.connected', message: 'session opened', detail })
    this.#link = link
    this.#bornAtMs = Number.NEGATIVE_INFINITY
    this.#checkpointSize = 0
    try {
      await this.#birth()
      await Promise.all([sender.run(link, signal), this.#tellState(signal), this.#tellHead(signal)])
    } finally {
      this.#link = undefined
      reports.add({ type: 'cloud.disconnected', message: 'session ended', detail: { endpoint } })
    }
  }

  #refused(error: CloudError): void {
    const { reports, ports } = this.#state
    const { code, reason, message } = error
    ports.log.warn({ code, reason }, message)
    const type = code === 'CLOUD_TAKEN_OVER' ? 'cloud.taken_over' : 'cloud.refused'
    reports.add({ type, code, message, detail: { reason } })
  }

  async #birth(): Promise<void> {
    const { config, cloud, identity, boot, session, view, ports, trust } = this.#state
    const nowMs = ports.clock.nowMs()
    if (nowMs - this.#bornAtMs < REBIRTH_MS) return
    this.#bornAtMs = nowMs
    const { serial, tenant, profile } = config.printer
    await this.#publish('birth', {
      v: 1,
      ...{ dev: identity.device, serial, tenant, model: profile.model, boot, session },
      ...{ courier: ports.version, core: view?.version ?? null, region: cloud.region },
      ...{ tier: cloud.tier, trustEpoch: trust.epoch, at: Math.trunc(this.#state.nowMs()) },
      clk: view?.clock.quality ?? 'unknown',
      certificate: { serial: identity.serialNumber, notAfterMs: identity.notAfterMs },
    })
  }

  /** Retained state with every change; the supervisor's end publishes nothing, the will does. */
  async #tellState(signal: AbortSignal): Promise<void> {
    let last = ''
    signal.addEventListener('abort', () => this.#dirty.resolve(), { once: true })
    while (!signal.aborted) {
      this.#dirty = Promise.withResolvers()
      const { view, session, outbox } = this.#state
      const text = JSON.stringify({
        ...{ online: true, session, state: view?.state ?? 'unknown' },
        ...{ job: view?.job?.id ?? null, percent: Math.trunc(view?.job?.progress.percent ?? 0) },
        degraded: outbox.isEventStoreFull ? ['INTAKE_EVENTS_FULL'] : [],
      })
      if (text !== last) await this.#publish('state', JSON.parse(text), true)
      last = text
      await this.#dirty.promise
    }
  }

  async #tellHead(signal: AbortSignal): Promise<void> {
    const { clock } = this.#state.ports
    while (!signal.aborted) {
      const { outbox } = this.#state
      const size = outbox.lastOf('evt')
      if (size > this.#checkpointSize) await this.#checkpoint(signal)
      const untilMs = clock.nowMs() + CHECKPOINT_MS
      while (!signal.aborted && clock.nowMs() < untilMs) {
        if (outbox.lastOf('evt') >= this.#checkpointSize + CHECKPOINT_EVENTS) break
        const woken = new AbortController()
        const rest = clock.sleep(1000, AbortSignal.any([signal, woken.signal]))
        await rest.catch(() => undefined)
      }
    }
  }

  async #checkpoint(signal: AbortSignal): Promise<void> {
    try {
      const core = await this.#state.whenCore(signal)
      const head = await core.request('log.checkpoint', {})
      this.#checkpointSize = head.size
      await this.#publish('audit/cp', { v: 1, ...head }, true)
    } catch (error) {
      if (signal.aborted || error instanceof CloudError) return
      throw error
    }
  }

  async #publish(
    name: 'birth' | 'state' | 'audit/cp',
    value: unknown,
    isRetained = false,
  ): Promise<void> {
    const topic = topicOf(this.#state.identity.device, name)
    await this.#link
      ?.publish({ topic, payload: JSON.stringify(value), isRetained })
      .catch((error: unknown) => {
        if (!(error instanceof CloudError)) throw error
        if (error.code !== 'CLOUD_LOST') this.#refused(error)
      })
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
      onAck: ack => this.#acked(ack),
      onNotice: notice => this.#noticed(notice),
      onCommand: envelope => this.#command(envelope),
      onOffer: async () => undefined,
      onBlock: async () => undefined,
      onForged: (topic, { code, message }) =>
        this.#state.reports.add({ type: 'cloud.forged', code, message, detail: { topic } }),
    }
  }

  #acked(ack: AckStatement): void {
    const { outbox, sender } = this.#state
    for (const stream of STREAMS) {
      const seq = ack.acks[stream]
      if (seq !== undefined && !outbox.ack(stream, seq))
        throw new CloudError('CLOUD_FORGED', `${stream}: ${seq} was never sent`)
    }
    if (ack.cosig) outbox.setFact('cosignature', JSON.stringify(ack.cosig))
    sender.acknowledged()
    this.pump?.news()
    this.#dirty.resolve()
  }

  async #noticed(notice: NoticeStatement): Promise<void> {
    if (notice.kind === 'rebirth') await this.#birth()
  }

  async #command(envelope: Uint8Array): Promise<void> {
    const { outbox, sender } = this.#state
    try {
      const core = await this.#state.whenCore(AbortSignal.timeout(COMMAND_WAIT_MS))
      const answer = await core.request('command.execute', {
        envelope: Buffer.from(envelope).toString('base64'),
      })
      outbox.append('resp', [Buffer.from(answer.result, 'base64')])
      sender.added()
      if (answer.verb === 'rebirth') await this.#birth()
    } catch (error) {
      // The fleet end sends a command again until it has an answer; the core counts it once.
      this.#state.ports.log.warn({ err: error }, 'command not handed over')
    }
  }
}
