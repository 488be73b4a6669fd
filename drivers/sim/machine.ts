/** The physics of the simulated printer: a planner that empties as moves take time, heaters that warm as degrees take time. Pure. */

import {
  type AxisValues,
  BlockPlanner,
  PLANNER_BLOCKS,
  type SimulatedKinematics,
} from './planner.ts'

const AMBIENT_C = 21
const DEFAULT_FEEDRATE_MM_PER_MIN = 1500

interface Heater {
  currentC: number
  targetC: number
  readonly heatingCPerS: number
  readonly coolingCPerS: number
}

export type HeaterName = 'hotend' | 'bed' | 'chamber'

/** A reading of one heater, degrees Celsius. */
export interface HeaterReading {
  readonly currentC: number
  readonly targetC: number
}

/** Milliseconds of machine time throughout; `advance` moves it forward. */
export class Machine {
  readonly position = { X: 0, Y: 0, Z: 0, E: 0 }
  isRelative = false
  isRelativeE = false
  maxHotendC = AMBIENT_C
  maxBedC = AMBIENT_C
  /** How often the planner ran dry between two moves of a stream that had not paused by itself. */
  starvations = 0
  #nowMs = 0
  #feedrateMmPerMin = DEFAULT_FEEDRATE_MM_PER_MIN
  readonly #planner: BlockPlanner
  #isPauseExpected = true
  readonly #heaters: Readonly<Record<HeaterName, Heater>> = {
    hotend: { currentC: AMBIENT_C, targetC: 0, heatingCPerS: 4, coolingCPerS: 1.5 },
    bed: { currentC: AMBIENT_C, targetC: 0, heatingCPerS: 1, coolingCPerS: 0.3 },
    chamber: { currentC: AMBIENT_C, targetC: 0, heatingCPerS: 0.5, coolingCPerS: 0.1 },
  }

  constructor(kinematics?: SimulatedKinematics) {
    this.#planner = new BlockPlanner(kinematics)
  }

  advance(nowMs: number): void {
    const elapsedS = (nowMs - this.#nowMs) / 1000
    if (elapsedS <= 0) return
    this.#nowMs = nowMs
    const { hotend, bed, chamber } = this.#heaters
    for (const heater of [hotend, bed, chamber]) warm(heater, elapsedS)
    if (hotend.currentC > this.maxHotendC) this.maxHotendC = hotend.currentC
    if (bed.currentC > this.maxBedC) this.maxBedC = bed.currentC
    this.#planner.advance(nowMs)
  }

  get plannerFree(): number {
    return PLANNER_BLOCKS - this.#planner.blocks
  }

  get isIdle(): boolean {
    return this.#planner.blocks === 0
  }

  /** When the planner next has a free block. */
  get nextBlockEndMs(): number {
    return this.#planner.nextEndMs() ?? this.#nowMs
  }

  get plannerEndMs(): number {
    return this.#planner.drainMs() ?? this.#nowMs
  }

  /** The next move may find an empty planner without that being starvation (the program waited or paused). */
  expectPause(): void {
    this.#isPauseExpected = true
  }

  /** Plans a move; the caller has seen `plannerFree > 0`. Millimetres, mm/min. */
  move(target: { readonly [axis in 'X' | 'Y' | 'Z' | 'E' | 'F']?: number }): void {
    if (target.F !== undefined && target.F > 0) this.#feedrateMmPerMin = target.F
    const dx = this.#displace('X', target.X, this.isRelative)
    const dy = this.#displace('Y', target.Y, this.isRelative)
    const dz = this.#displace('Z', target.Z, this.isRelative)
    const de = this.#displace('E', target.E, this.isRelative || this.isRelativeE)
    const delta: AxisValues = [dx, dy, dz, de]
    if (delta.every(part => part === 0)) return
    if (this.isIdle && !this.#isPauseExpected) this.starvations++
    this.#isPauseExpected = false
    this.#planner.push(delta, this.#feedrateMmPerMin / 60, this.#nowMs)
  }

  /** Stops at once: planned moves are lost. */
  quickStop(): void {
    this.#planner.stop()
    this.#isPauseExpected = true
  }

  /** Power-on: nobody knows where the head is, and that counts as zero. */
  restart(): void {
    this.quickStop()
    this.heatersOff()
    Object.assign(this.position, { X: 0, Y: 0, Z: 0, E: 0 })
    this.isRelative = false
    this.isRelativeE = false
  }

  reading(heater: HeaterName): HeaterReading {
    const { currentC, targetC } = this.#heaters[heater]
    return { currentC, targetC }
  }

  setTarget(heater: HeaterName, targetC: number): void {
    this.#heaters[heater].targetC = targetC
  }

  /** Machine milliseconds until a heater is within a degree of its target; 0 when it is, or when it is off or above it. */
  heatingMs(heater: HeaterName): number {
    const { currentC, targetC, heatingCPerS } = this.#heaters[heater]
    const missingC = targetC - 1 - currentC
    return missingC > 0 ? (missingC / heatingCPerS) * 1000 : 0
  }

  get isHeating(): boolean {
    return Object.values(this.#heaters).some(({ targetC }) => targetC > 0)
  }

  heatersOff(): void {
    for (const heater of Object.values(this.#heaters)) heater.targetC = 0
  }

  #displace(axis: 'X' | 'Y' | 'Z' | 'E', value: number | undefined, isRelative: boolean): number {
    if (value === undefined) return 0
    const before = this.position[axis]
    this.position[axis] = isRelative ? before + value : value
    return this.position[axis] - before
  }
}

function warm(heater: Heater, elapsedS: number): void {
  const goalC = Math.max(heater.targetC, AMBIENT_C)
  if (heater.currentC < goalC)
    heater.currentC = Math.min(goalC, heater.currentC + heater.heatingCPerS * elapsedS)
  else heater.currentC = Math.max(goalC, heater.currentC - heater.coolingCPerS * elapsedS)
}
