/** The host's own eye on heat: every report compared with its target; a fault stops the print safely, and with force if heat goes on. */

import type { Temperature, Temperatures } from '#drivers'
import type { Clock } from '#lib/clock.ts'
import { TaskGroup } from '#lib/task-group.ts'
import { CoreError, type CoreErrorCode } from '../errors.ts'
import type { Journal } from '../journal/journal.ts'
import type { Machine } from './machine.ts'
import type { PrintEngine } from './print-engine.ts'
import {
  faultOf,
  firstSight,
  follow,
  type HeaterState,
  type ThermalSettings,
} from './thermal-rules.ts'

export interface ThermalWatchOptions {
  readonly machine: Machine
  readonly engine: Pick<PrintEngine, 'abandon' | 'forceStop' | 'isBusy'>
  readonly journal: Journal
  readonly clock: Clock
  readonly settings: ThermalSettings & {
    readonly reportTimeoutMs: number
    readonly escalateAfterMs: number
  }
  readonly maxTempC: {
    readonly hotend: readonly number[]
    readonly bed: number
    readonly chamber: number
  }
}

interface Fault {
  readonly heater: string
  readonly code: CoreErrorCode
  readonly atMs: number
  /** At the fault; NaN where there was no report. */
  readonly currentC: number
}

const LOOK_MS = 1000
/** Above this a heater that was just switched off is not merely coasting. */
const STILL_RISING_C = 5

export class ThermalWatch {
  readonly #options: ThermalWatchOptions
  readonly #heaters = new Map<string, HeaterState>()
  #last: Temperatures = {}
  #reportedAtMs: number | undefined
  /** Since when a print runs that nobody has told a temperature of. */
  #unheardSinceMs: number | undefined
  #fault: Fault | undefined

  constructor(options: ThermalWatchOptions) {
    this.#options = options
  }

  /** Watches until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { machine, clock } = this.#options
    // Not awaited one by one: a safe stop that takes its time must not hold up the stop that follows it.
    await using acts = new TaskGroup(signal)
    const start = (act: (() => Promise<void>) | undefined) => act && acts.start(act)
    using _ = machine.onEvent(event => {
      if (event.kind === 'temperatures') start(this.#take(event.temperatures))
      if (event.kind === 'lost') this.#forget()
    })
    while (!acts.signal.aborted) {
      await clock.sleep(LOOK_MS, acts.signal)
      start(this.#look())
    }
  }

  #take(temperatures: Temperatures): (() => Promise<void>) | undefined {
    const nowMs = this.#options.clock.nowMs()
    this.#reportedAtMs = nowMs
    this.#last = temperatures
    if (this.#fault) return undefined
    for (const [heater, report] of Object.entries(temperatures)) {
      const before = this.#heaters.get(heater)
      const state = before ? follow(before, report, nowMs) : firstSight(report, nowMs)
      this.#heaters.set(heater, state)
      const { settings } = this.#options
      const code = faultOf(state, report, { heater, maxC: this.#maxOf(heater), settings, nowMs })
      if (code) return () => this.#stop(heater, code, report)
    }
    return undefined
  }

  /** Silence, and what became of a fault. */
  #look(): (() => Promise<void>) | undefined {
    const { clock, settings } = this.#options
    const nowMs = clock.nowMs()
    const fault = this.#fault
    if (fault) {
      if (nowMs - fault.atMs < settings.escalateAfterMs) return undefined
      const hasCeased = this.#hasCeased(fault)
      this.#forget()
      return hasCeased ? undefined : () => this.#force(fault)
    }
    if (this.#isUnheard(nowMs))
      return () => this.#stop('heaters', 'THERMAL_SILENT', { currentC: Number.NaN, targetC: 0 })
    const hot = Object.entries(this.#last).find(([, { targetC }]) => targetC > 0)
    const isSilent =
      this.#reportedAtMs !== undefined && nowMs - this.#reportedAtMs > settings.reportTimeoutMs
    if (!hot || !isSilent) return undefined
    const [heater, report] = hot
    return () => this.#stop(heater, 'THERMAL_SILENT', report)
  }

  /** A controller that has heaters and prints, and has never said how hot they are. */
  #isUnheard(nowMs: number): boolean {
    const { engine, machine, settings } = this.#options
    const isOwed = engine.isBusy && machine.hasHeaters && this.#reportedAtMs === undefined
    this.#unheardSinceMs = isOwed ? (this.#unheardSinceMs ?? nowMs) : undefined
    return nowMs - (this.#unheardSinceMs ?? nowMs) > settings.reportTimeoutMs
  }

  /** A heater that was told to be off, by a controller that still reports, and that gets no hotter. */
  #hasCeased({ heater, currentC, atMs }: Fault): boolean {
    const now = this.#last[heater]
    const isReported = this.#reportedAtMs !== undefined && this.#reportedAtMs > atMs
    if (!now || !isReported || now.targetC > 0) return false
    return !(now.currentC > currentC + STILL_RISING_C)
  }

  async #stop(heater: string, code: CoreErrorCode, report: Temperature): Promise<void> {
    const { clock, engine, journal } = this.#options
    const { currentC, targetC } = report
    this.#fault = { heater, code, atMs: clock.nowMs(), currentC }
    const message = Number.isNaN(currentC)
      ? 'no temperature was ever reported'
      : `${heater} at ${currentC} C, target ${targetC} C`
    const detail = { heater, targetC, currentC: Number.isFinite(currentC) ? currentC : null }
    journal.record({ type: 'printer.thermal_fault', code, message, detail })
    await engine.abandon(new CoreError(code, message))
  }

  async #force({ heater, code }: Fault): Promise<void> {
    const { engine, journal } = this.#options
    const message = `${heater}: heat goes on, or nobody can say that it does not`
    journal.record({ type: 'printer.thermal_stop', code, message, detail: { heater } })
    await engine.forceStop(new CoreError(code, message))
  }

  #forget(): void {
    this.#heaters.clear()
    this.#last = {}
    this.#reportedAtMs = undefined
    this.#fault = undefined
  }

  #maxOf(heater: string): number | undefined {
    const { hotend, bed, chamber } = this.#options.maxTempC
    if (heater === 'bed') return bed
    if (heater === 'chamber') return chamber === 0 ? undefined : chamber
    const [, tool] = /^hotend(\d*)$/.exec(heater) ?? []
    return tool === undefined ? undefined : hotend[Number(tool)]
  }
}
