/** Samples at their rate, alarms at once, batches into the outbox; also while nothing is connected. */

import type { CourierPorts, CourierState } from './courier.ts'
import type { Host } from './host.ts'
import { batchOf, type MetricSources, metricsOf, sampleOf } from './metrics.ts'
import { isStored } from './stored.ts'
import { createAlarmEngine, THRESHOLDS } from './thresholds.ts'

const WATCHED_MS = 1000
/** While watched, what is seen is at most this old. */
const WATCHED_SAMPLES = 5

interface Sample {
  readonly atMs: number
  readonly values: readonly (number | null)[]
}

type Shared = Pick<CourierState, 'outbox' | 'view' | 'nowMs'> & {
  readonly cloud: Pick<CourierState['cloud'], 'tier' | 'sampleIntervalMs' | 'batchSamples'>
  readonly ports: Pick<CourierPorts, 'clock'>
  readonly sender: Pick<CourierState['sender'], 'added'>
  readonly reports: Pick<CourierState['reports'], 'add'>
}

export class Telemetry {
  readonly #state: Shared
  readonly #host: Pick<Host, 'read'>
  readonly #alarms = createAlarmEngine(THRESHOLDS)
  #samples: Sample[] = []
  /** Alarms that the store has not taken yet; of one metric the newest. */
  readonly #pending = new Map<string, Uint8Array>()
  #dropped = 0
  #watchedUntilMs = Number.NEGATIVE_INFINITY
  #wake = new AbortController()
  #lostTold: number

  constructor(state: Shared, host: Pick<Host, 'read'>) {
    this.#state = state
    this.#host = host
    // What an earlier life left over of the numbers it had set aside is no loss of samples.
    this.#lostTold = state.outbox.lastOf('tele')
  }

  /** Somebody watches from now on, for so long. */
  watchFor(forS: number): void {
    this.#watchedUntilMs = this.#state.ports.clock.nowMs() + forS * 1000
    this.#wake.abort()
  }

  async run(signal: AbortSignal): Promise<void> {
    const { cloud, ports } = this.#state
    while (!signal.aborted) {
      await this.#sample()
      const isWatched = ports.clock.nowMs() < this.#watchedUntilMs
      const wanted = isWatched ? WATCHED_SAMPLES : cloud.batchSamples
      if (this.#samples.length >= wanted) this.#flush()
      this.#wake = new AbortController()
      const either = AbortSignal.any([signal, this.#wake.signal])
      await ports.clock
        .sleep(isWatched ? WATCHED_MS : cloud.sampleIntervalMs, either)
        .catch(() => undefined)
    }
    this.#flush()
  }

  async #sample(): Promise<void> {
    const { cloud, view, outbox, nowMs } = this.#state
    const sources: MetricSources = {
      view,
      host: await this.#host.read(),
      outbox: {
        events: outbox.lastOf('evt') - outbox.ackedOf('evt'),
        bytes: outbox.bytesOf('evt') + outbox.bytesOf('tele'),
      },
    }
    this.#alarm(sources)
    if (cloud.tier === 'off') return
    this.#samples.push({ atMs: Math.trunc(nowMs()), values: sampleOf(cloud.tier, sources) })
  }

  /** Thresholds look at everything, whatever the tier sends; where it is off, only the events they make leave. */
  #alarm(sources: MetricSources): void {
    const { cloud, outbox, sender, reports, nowMs } = this.#state
    const values = sampleOf('full', sources)
    const names = metricsOf('full').map(({ name }, i) => [name, values[i] ?? null] as const)
    for (const alarm of this.#alarms.look(new Map(names))) {
      const { metric, state, value, limit, isSecurity } = alarm
      const item = { at: Math.trunc(nowMs()), metric, state, value, limit }
      if (cloud.tier !== 'off') this.#pending.set(metric, Buffer.from(JSON.stringify(item)))
      const detail = { metric, value, limit }
      if (isSecurity) reports.add({ type: 'cloud.alarm', message: `${metric} ${state}`, detail })
    }
    const items = [...this.#pending.values()]
    if (items.length === 0 || !isStored(() => outbox.append('alm', items))) return
    this.#pending.clear()
    sender.added()
  }

  /** What a full disk does not take is dropped: telemetry is the first to go, and its loss is told. */
  #flush(): void {
    const { outbox, sender, reports } = this.#state
    const samples = this.#samples
    if (samples.length === 0) return
    this.#samples = []
    const batch = Buffer.from(JSON.stringify(batchOf(samples)))
    if (!isStored(() => outbox.append('tele', [batch]))) {
      this.#dropped += samples.length
      return
    }
    sender.added()
    this.#tellLosses()
    if (this.#dropped === 0) return
    const detail = { count: this.#dropped }
    reports.add({ type: 'cloud.telemetry_lost', message: 'samples not stored', detail })
    this.#dropped = 0
  }

  /** Dropped telemetry is told once a drop grows: the ranges themselves go out with the next batches. */
  #tellLosses(): void {
    const { outbox, reports } = this.#state
    const { items, lost } = outbox.read('tele', outbox.ackedOf('tele'), 1, 1)
    if (!items[0] || !lost || lost[1] <= this.#lostTold) return
    this.#lostTold = lost[1]
    const detail = { from: lost[0], to: lost[1], count: lost[1] - lost[0] + 1 }
    reports.add({ type: 'cloud.telemetry_lost', message: 'telemetry dropped', detail })
  }
}
