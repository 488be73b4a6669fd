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
  isSudden,
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

/** Heaters that were told of in one breath are told of by one controller; while it waits for one of them it may name that alone. */
interface Source {
  heardAtMs: number
}

/** What was told of one heater last, believed or not. */
interface Told {
  readonly report: Temperature
  readonly atMs: number
  readonly source: Source
  /** By the reports that were told twice alike. */
  readonly state: HeaterState | undefined
  /** A fault if the next report shows one as well: each carries no check of its own. */
  readonly isSuspect: boolean
}

const LOOK_MS = 1000
/** Above this a heater that was just switched off is not merely coasting. */
const STILL_RISING_C = 5

export class ThermalWatch {
  readonly #options: ThermalWatchOptions
  readonly #heaters = new Map<string, Told>()
  /** Since when a print runs that nobody has told a temperature of. */
  #unheardSinceMs: number | undefined
  #wasSilent = false
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
    const heaters = Object.keys(temperatures)
    const known = heaters.map(heater => this.#heaters.get(heater)).find(told => told !== undefined)
    const source = known?.source ?? { heardAtMs: 0 }
    source.heardAtMs = this.#options.clock.nowMs()
    let fault: (() => Promise<void>) | undefined
    for (const [heater, report] of Object.entries(temperatures)) {
      const code = this.#judge(heater, report, source)
      if (code && !this.#fault) fault ??= () => this.#stop(heater, code, report)
    }
    return fault
  }

  /** The fault of which this report is the second witness, if any. */
  #judge(heater: string, report: Temperature, source: Source): CoreErrorCode | undefined {
    const { clock, settings } = this.#options
    const nowMs = clock.nowMs()
    const before = this.#heaters.get(heater)
    const next = before?.state ? follow(before.state, report, nowMs) : firstSight(report, nowMs)
    const code = faultOf(next, report, { heater, maxC: this.#maxOf(heater), settings, nowMs })
    const state = before && !isSudden(before.report, report) ? next : before?.state
    this.#heaters.set(heater, { report, atMs: nowMs, source, state, isSuspect: code !== undefined })
    return before?.isSuspect ? code : undefined
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
    const silent = [...this.#heaters].find(
      ([, { report, source }]) =>
        report.targetC > 0 && nowMs - source.heardAtMs > settings.reportTimeoutMs,
    )
    // A process that was stopped itself finds its timers due before it has read what came meanwhile: it looks twice.
    const wasSilent = this.#wasSilent
    this.#wasSilent = silent !== undefined
    if (!silent || !wasSilent) return undefined
    const [heater, { report }] = silent
    return () => this.#stop(heater, 'THERMAL_SILENT', report)
  }

  /** A controller that has heaters and prints, and has never said how hot they are. */
  #isUnheard(nowMs: number): boolean {
    const { engine, machine, settings } = this.#options
    const isOwed = engine.isBusy && machine.hasHeaters && this.#heaters.size === 0
    this.#unheardSinceMs = isOwed ? (this.#unheardSinceMs ?? nowMs) : undefined
    return nowMs - (this.#unheardSinceMs ?? nowMs) > settings.reportTimeoutMs
  }

  /** A heater that was told to be off, by a controller that still reports, and that gets no hotter. */
  #hasCeased({ heater, currentC, atMs }: Fault): boolean {
    const now = this.#heaters.get(heater)
    if (!now || now.atMs <= atMs || now.report.targetC > 0) return false
    return !(now.report.currentC > currentC + STILL_RISING_C)
  }

  async #stop(heater: string, code: CoreErrorCode, report: Temperature): Promise<void> {
    const { clock, engine, journal } = this.#options
    const { currentC, targetC } = report
    this.#fault = { heater, code, atMs: clock.nowMs(), currentC }
    const message = Number.isNaN(currentC)
      ? 'no temperature was ever reported'
      : `${heater} at ${currentC} C, target ${targetC} C`
    const detail = { heater, targetC, currentC: Number.isFinite(currentC) ? currentC : null }
    try {
      journal.record({ type: 'printer.thermal_fault', code, message, detail })
    } finally {
      await engine.abandon(new CoreError(code, message))
    }
  }

  async #force({ heater, code }: Fault): Promise<void> {
    const { engine, journal } = this.#options
    const message = `${heater}: heat goes on, or nobody can say that it does not`
    try {
      journal.record({ type: 'printer.thermal_stop', code, message, detail: { heater } })
    } finally {
      await engine.forceStop(new CoreError(code, message))
    }
  }

  #forget(): void {
    this.#heaters.clear()
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
