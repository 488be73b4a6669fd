/** What a printer tells of itself over a link: its birth, its retained state, the signed head of its log. */

import { unlessAborted } from '#lib/unless-aborted.ts'
import { cosignedSize } from './cosignature.ts'
import type { CourierState } from './courier.ts'
import { CloudError } from './errors.ts'
import type { SlotIdentity } from './identity.ts'
import { takeInventory } from './inventory.ts'
import { dictionaryOf } from './metrics.ts'
import type { Link } from './mqtt-link.ts'
import { isStored } from './stored.ts'
import { topicOf } from './wire.ts'

/** CLOUD 3.6: a checkpoint every 50 events or 60 s; and once the log is quiet, so that the end of a print is soon proven. */
const CHECKPOINT_EVENTS = 50
const CHECKPOINT_MS = 60_000
const QUIET_MS = 3000
/** One that is not cosigned is told again, later each time. */
const RETELL_MS = 5000
const LOOK_MS = 1000
/** A rebirth costs a few kilobytes: not more often than this, whoever asks. */
const REBIRTH_MS = 5000

/** The newest head told over this link. */
interface ToldHead {
  readonly size: number
  readonly atMs: number
  /** How often this very head was told. */
  readonly times: number
}

interface LogNow {
  readonly size: number
  /** Since the last new event. */
  readonly quietMs: number
  /** The size the fleet end cosigned last. */
  readonly cosigned: number
  readonly nowMs: number
}

/** Whether the head of the log is to be told (again) now. */
export function isHeadDue(log: LogNow, told: ToldHead | undefined): boolean {
  if (log.size === 0) return false
  if (!told) return true
  const sinceMs = log.nowMs - told.atMs
  const fresh = log.size - told.size
  if (fresh >= CHECKPOINT_EVENTS) return true
  if (fresh > 0 && (log.quietMs >= QUIET_MS || sinceMs >= CHECKPOINT_MS)) return true
  return log.cosigned < told.size && sinceMs >= Math.min(RETELL_MS * told.times, CHECKPOINT_MS)
}

export interface PresenceParts {
  readonly link: Link
  /** Which session of this courier's life: its death is told from that of an earlier one. */
  readonly number: number
  /** What the link was opened with. */
  readonly identity: SlotIdentity
  readonly onRefused: (error: CloudError) => void
}

export class Presence {
  readonly #state: CourierState
  readonly #parts: PresenceParts
  #bornAtMs = Number.NEGATIVE_INFINITY
  #isBirthDue = false
  #dirty = Promise.withResolvers<void>()
  #asked = Promise.withResolvers<void>()

  constructor(state: CourierState, parts: PresenceParts) {
    this.#state = state
    this.#parts = parts
  }

  /** Something the state shows may have changed. */
  changed(): void {
    this.#dirty.resolve()
  }

  /** Not at once: a handler of messages never waits for a publish. */
  bearAgain(): void {
    this.#isBirthDue = true
    this.#asked.resolve()
  }

  /** Tells until the signal aborts; the end of a link is told by its goodbye, or its will. */
  async run(signal: AbortSignal): Promise<void> {
    const onAbort = () => {
      this.#dirty.resolve()
      this.#asked.resolve()
    }
    signal.addEventListener('abort', onAbort, { once: true })
    await Promise.all([
      this.#tellBirths(signal),
      this.#tellState(signal),
      this.#tellHead(signal),
      this.#tellInventory(signal),
    ])
  }

  async birth(): Promise<void> {
    const { config, cloud, identity, boot, session, view, ports, trust } = this.#state
    const { link, number, identity: shown } = this.#parts
    this.#bornAtMs = ports.clock.nowMs()
    const { serial, tenant, profile } = config.printer
    await this.#publish('birth', {
      v: 1,
      ...{ dev: identity.device, serial, tenant, model: profile.model, boot, session },
      ...{ link: number, protocol: link.protocol },
      ...{ courier: ports.version, core: view?.version ?? null, region: cloud.region },
      ...{ tier: cloud.tier, trustEpoch: trust.epoch, at: Math.trunc(this.#state.nowMs()) },
      clk: view?.clock.quality ?? 'unknown',
      dictionary: dictionaryOf(cloud.tier),
      certificate: {
        ...{ serial: shown.serialNumber, notAfterMs: shown.notAfterMs },
        pem: shown.cert,
      },
    })
  }

  /** Retained state with every change. */
  async #tellState(signal: AbortSignal): Promise<void> {
    let last = ''
    while (!signal.aborted) {
      this.#dirty = Promise.withResolvers()
      const { view, session, outbox } = this.#state
      const text = JSON.stringify({
        ...{ online: true, session, link: this.#parts.number, state: view?.state ?? 'unknown' },
        ...{ job: view?.job?.id ?? null, percent: Math.trunc(view?.job?.progress.percent ?? 0) },
        degraded: [
          ...(outbox.isEventStoreFull ? ['INTAKE_EVENTS_FULL'] : []),
          ...(outbox.fault ? [outbox.fault.code] : []),
        ],
      })
      if (text !== last) await this.#publish('state', JSON.parse(text), true)
      last = text
      await this.#dirty.promise
    }
  }

  /** One that was just told is told again a little later: whoever asks may not have got it. */
  async #tellBirths(signal: AbortSignal): Promise<void> {
    const { clock } = this.#state.ports
    while (!signal.aborted) {
      this.#asked = Promise.withResolvers()
      if (!this.#isBirthDue) await this.#asked.promise
      const waitMs = this.#bornAtMs + REBIRTH_MS - clock.nowMs()
      if (waitMs > 0) await clock.sleep(waitMs, signal).catch(() => undefined)
      this.#isBirthDue = false
      if (!signal.aborted) await this.birth()
    }
  }

  async #tellInventory(signal: AbortSignal): Promise<void> {
    if (this.#state.outbox.fact('inventory-boot') === this.#state.boot) return
    const inventory = await takeInventory(signal)
    if (!inventory || signal.aborted) return
    const { outbox, boot } = this.#state
    // One that cannot be noted is told again by the next life.
    if (await this.#publish('inv', { v: 1, ...inventory }, true))
      isStored(() => outbox.setFact('inventory-boot', boot))
  }

  /** Until the fleet end has cosigned it, a head is told again: the publish alone proves nothing. */
  async #tellHead(signal: AbortSignal): Promise<void> {
    const { ports, outbox } = this.#state
    let told: ToldHead | undefined
    let [size, changedAtMs] = [0, 0]
    while (!signal.aborted) {
      const nowMs = ports.clock.nowMs()
      if (outbox.lastOf('evt') !== size) [size, changedAtMs] = [outbox.lastOf('evt'), nowMs]
      const quietMs = nowMs - changedAtMs
      if (isHeadDue({ size, quietMs, cosigned: cosignedSize(outbox), nowMs }, told)) {
        const head = await this.#checkpoint(signal)
        const times = head !== undefined && head === told?.size ? told.times + 1 : 1
        if (head !== undefined) told = { size: head, atMs: nowMs, times }
      }
      await ports.clock.sleep(LOOK_MS, signal).catch(() => undefined)
    }
  }

  /** The size it told of. */
  async #checkpoint(signal: AbortSignal): Promise<number | undefined> {
    try {
      const core = await this.#state.core.when(signal)
      // The link's end does not wait for a core that is slow, or hangs.
      const head = await unlessAborted(core.request('log.checkpoint', {}), signal)
      await this.#publish('audit/cp', { v: 1, ...head }, true)
      return head.size
    } catch (error) {
      if (signal.aborted) return undefined
      if (!(error instanceof CloudError)) throw error
      this.#state.ports.log.warn({ err: error }, 'the head of the log was not told')
      return undefined
    }
  }

  /** True when the broker has it. */
  async #publish(
    name: 'birth' | 'state' | 'audit/cp' | 'inv',
    value: unknown,
    isRetained = false,
  ): Promise<boolean> {
    const topic = topicOf(this.#state.identity.device, name)
    try {
      await this.#parts.link.publish({ topic, payload: JSON.stringify(value), isRetained })
      return true
    } catch (error) {
      if (!(error instanceof CloudError)) throw error
      if (error.code !== 'CLOUD_LOST') this.#parts.onRefused(error)
      return false
    }
  }
}
