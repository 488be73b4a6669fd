/** What a printer tells of itself over a link: its birth, its retained state, the signed head of its log. */

import type { CourierState } from './courier.ts'
import { CloudError } from './errors.ts'
import type { SlotIdentity } from './identity.ts'
import { takeInventory } from './inventory.ts'
import { dictionaryOf } from './metrics.ts'
import type { Link } from './mqtt-link.ts'
import { topicOf } from './wire.ts'

/** CLOUD 3.6: a checkpoint every 50 events or 60 s. */
const CHECKPOINT_EVENTS = 50
const CHECKPOINT_MS = 60_000
const LOOK_MS = 1000
/** A rebirth costs a few kilobytes: not more often than this, whoever asks. */
const REBIRTH_MS = 5000

export interface PresenceParts {
  readonly link: Link
  /** What the link was opened with. */
  readonly identity: SlotIdentity
  readonly onRefused: (error: CloudError) => void
}

export class Presence {
  readonly #state: CourierState
  readonly #link: Link
  readonly #identity: SlotIdentity
  readonly #onRefused: (error: CloudError) => void
  #checkpointSize = 0
  #bornAtMs = Number.NEGATIVE_INFINITY
  #isBirthDue = false
  #dirty = Promise.withResolvers<void>()

  constructor(state: CourierState, parts: PresenceParts) {
    this.#state = state
    this.#link = parts.link
    this.#identity = parts.identity
    this.#onRefused = parts.onRefused
  }

  /** Something the state shows may have changed. */
  changed(): void {
    this.#dirty.resolve()
  }

  /** Not at once: a handler of messages never waits for a publish. */
  bearAgain(): void {
    this.#isBirthDue = true
    this.#dirty.resolve()
  }

  /** Tells until the signal aborts; the end of a link tells nothing, its will does. */
  async run(signal: AbortSignal): Promise<void> {
    signal.addEventListener('abort', () => this.changed(), { once: true })
    await Promise.all([
      this.#tellState(signal),
      this.#tellHead(signal),
      this.#tellInventory(signal),
    ])
  }

  async birth(): Promise<void> {
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
      dictionary: dictionaryOf(cloud.tier),
      certificate: {
        ...{ serial: this.#identity.serialNumber, notAfterMs: this.#identity.notAfterMs },
        pem: this.#identity.cert,
      },
    })
  }

  /** Retained state with every change; the supervisor's end publishes nothing, the will does. */
  async #tellState(signal: AbortSignal): Promise<void> {
    let last = ''
    while (!signal.aborted) {
      this.#dirty = Promise.withResolvers()
      if (this.#isBirthDue) await this.birth()
      this.#isBirthDue = false
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

  async #tellInventory(signal: AbortSignal): Promise<void> {
    if (this.#state.outbox.fact('inventory-boot') === this.#state.boot) return
    const inventory = await takeInventory(signal)
    if (!inventory || signal.aborted) return
    await this.#publish('inv', { v: 1, ...inventory }, true)
    this.#state.outbox.setFact('inventory-boot', this.#state.boot)
  }

  async #tellHead(signal: AbortSignal): Promise<void> {
    const { clock } = this.#state.ports
    while (!signal.aborted) {
      const { outbox } = this.#state
      const size = outbox.lastOf('evt')
      if (size > this.#checkpointSize) await this.#checkpoint(signal)
      const untilMs = clock.nowMs() + CHECKPOINT_MS
      while (!signal.aborted && clock.nowMs() < untilMs) {
        // The first head of a link goes out at once, every later one with its share of events.
        const due = this.#checkpointSize === 0 ? 1 : this.#checkpointSize + CHECKPOINT_EVENTS
        if (outbox.lastOf('evt') >= due) break
        await clock.sleep(LOOK_MS, signal).catch(() => undefined)
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
    name: 'birth' | 'state' | 'audit/cp' | 'inv',
    value: unknown,
    isRetained = false,
  ): Promise<void> {
    const topic = topicOf(this.#state.identity.device, name)
    await this.#link
      .publish({ topic, payload: JSON.stringify(value), isRetained })
      .catch((error: unknown) => {
        if (!(error instanceof CloudError)) throw error
        if (error.code !== 'CLOUD_LOST') this.#onRefused(error)
      })
  }
}
