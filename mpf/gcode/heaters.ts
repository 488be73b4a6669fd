/** What a program asks of heaters, fan and flow, and whether it stays inside the limits. */

import type { MachineLimits, Refusal } from './limits.ts'
import { MAX_FLOW_PERCENT, type ModalState, TOOLS } from './modal.ts'
import type { LineScanner } from './scanner.ts'
import { bit } from './tables.ts'
import type { WordEffect } from './words.ts'

const MICRO = 1e6
/** Millionths of a degree to tenths. */
const DECI = 1e5
const MAX_DECI_C = 0xffff
const MAX_FAN = 255
const HAS = { P: bit('P'), R: bit('R'), S: bit('S'), T: bit('T') } as const
const LETTER = { P: 15, R: 17, S: 18, T: 19 } as const

type Parameter = keyof typeof HAS

/** Setpoints in tenths of a degree Celsius. With `isWidening` a setpoint above its limit raises the limit. */
export class Heaters {
  readonly hotend = new Float64Array(TOOLS)
  bed = 0
  chamber = 0
  fan = 0
  flowPercent = 100
  readonly maxHotend: Float64Array
  maxBed: number
  maxChamber: number
  readonly #scanner: LineScanner
  readonly #isWidening: boolean
  readonly #refuse: (code: Parameters<Refusal>[0], problem: string) => void

  constructor(
    limits: MachineLimits,
    scanner: LineScanner,
    isWidening: boolean,
    refuse: (code: Parameters<Refusal>[0], problem: string) => void,
  ) {
    this.maxHotend = Float64Array.from(
      { length: TOOLS },
      (_, tool) => limits.maxHotendDeciC[tool] ?? 0,
    )
    this.maxBed = limits.maxBedDeciC
    this.maxChamber = limits.maxChamberDeciC
    this.#scanner = scanner
    this.#isWidening = isWidening
    this.#refuse = refuse
  }

  /** Takes over the setpoints of a known state. */
  restore(modal: ModalState): void {
    this.hotend.set(modal.hotendDeciC)
    this.bed = modal.bedDeciC
    this.chamber = modal.chamberDeciC
    this.fan = modal.fan
    this.flowPercent = modal.flowPercent
  }

  /** Applies the scanned line; `tool` is the active one. */
  apply(effect: WordEffect, tool: number): void {
    // A controller reads `T` without a number as the active tool or as T0: nobody can say which heater it would be.
    if (this.#scanner.valued !== this.#scanner.mask)
      return this.#refuse('MPF_GCODE', 'a parameter without a number')
    switch (effect) {
      case 'hotend':
        return this.#heatTool(this.#number('T') ?? tool)
      case 'toolTemperature':
        return this.#heatTool(this.#number('P') ?? tool)
      case 'bed':
        this.bed = this.#setpoint(this.bed, this.maxBed, 'bed')
        this.maxBed = Math.max(this.maxBed, this.bed)
        return
      case 'chamber':
        this.chamber = this.#setpoint(this.chamber, this.maxChamber, 'chamber')
        this.maxChamber = Math.max(this.maxChamber, this.chamber)
        return
      case 'fan':
        return this.#setFan(this.#number('S') ?? MAX_FAN)
      case 'fanOff':
        return this.#setFan(0)
      case 'flow':
        return this.#setFlow()
      default:
        return
    }
  }

  /** The parameter in its own unit, or undefined when absent. */
  #number(letter: Parameter): number | undefined {
    if ((this.#scanner.mask & HAS[letter]) === 0) return undefined
    return (this.#scanner.values[LETTER[letter]] as number) / MICRO
  }

  #heatTool(tool: number): void {
    if (!Number.isInteger(tool) || tool < 0 || tool >= TOOLS)
      return this.#refuse('MPF_GCODE', 'a tool out of range')
    const deci = this.#setpoint(
      this.hotend[tool] as number,
      this.maxHotend[tool] as number,
      'hotend',
    )
    this.hotend[tool] = deci
    this.maxHotend[tool] = Math.max(this.maxHotend[tool] as number, deci)
  }

  /** The higher of what S and R ask for, negative is off (RepRapFirmware: S-273); `current` when neither is there or it is refused. */
  #setpoint(current: number, limit: number, heater: string): number {
    const { mask, values } = this.#scanner
    if ((mask & (HAS.S | HAS.R)) === 0) return current
    const asked = Math.max(
      0,
      (mask & HAS.S) === 0 ? 0 : (values[LETTER.S] as number),
      (mask & HAS.R) === 0 ? 0 : (values[LETTER.R] as number),
    )
    const deci = Math.ceil(asked / DECI)
    if (deci > MAX_DECI_C || (deci > limit && !this.#isWidening)) {
      this.#refuse('MPF_ENVELOPE', `${heater} temperature above its limit`)
      return current
    }
    return deci
  }

  /** Only the first fan is followed. */
  #setFan(speed: number): void {
    const fan = this.#number('P') ?? 0
    // 0.5 would be fan 0 to a controller that truncates.
    if (!Number.isInteger(fan) || fan < 0) return this.#refuse('MPF_GCODE', 'a fan out of range')
    if (fan === 0) this.fan = clamp(Math.round(speed), MAX_FAN)
  }

  #setFlow(): void {
    const flow = this.#number('S')
    if (flow === undefined) return
    if (flow < 0 || flow > MAX_FLOW_PERCENT) return this.#refuse('MPF_GCODE', 'a flow out of range')
    this.flowPercent = Math.round(flow)
  }
}

function clamp(value: number, max: number): number {
  return Math.min(max, Math.max(0, value))
}
