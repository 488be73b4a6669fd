/** How the simulated printer moves: Marlin's block buffer with look-ahead, run by the clock, so that a starved planner brakes to a stop. Pure. */

/** X, Y, Z, E. */
export type AxisValues = readonly [x: number, y: number, z: number, e: number]

/** Millimetres and seconds, as Marlin's M201, M203, M204, M205 name them. */
export interface SimulatedKinematics {
  readonly maxFeedMmPerS: AxisValues
  readonly maxAccelerationMmPerS2: AxisValues
  readonly printAccelerationMmPerS2: number
  readonly travelAccelerationMmPerS2: number
  readonly retractAccelerationMmPerS2: number
  readonly junctionDeviationMm: number
}

/** Marlin 2.1's Configuration.h as it comes. */
export const STOCK_KINEMATICS: SimulatedKinematics = {
  maxFeedMmPerS: [300, 300, 5, 25],
  maxAccelerationMmPerS2: [3000, 3000, 100, 10_000],
  printAccelerationMmPerS2: 3000,
  travelAccelerationMmPerS2: 3000,
  retractAccelerationMmPerS2: 3000,
  junctionDeviationMm: 0.013,
}

/** BLOCK_BUFFER_SIZE 16, of which one slot stays empty; `ok P` counts so too. */
export const PLANNER_BLOCKS = 15
/** BLOCK_DELAY_FOR_1ST_MOVE: out of an empty planner the first move waits for company. */
const FIRST_MOVE_DELAY_MS = 100
const COMPANY_BLOCKS = 3
/** MINIMUM_PLANNER_SPEED. */
const REST_MM_PER_S = 0.05

interface PlannedBlock {
  readonly direction: AxisValues
  readonly lengthMm: number
  readonly nominalMmPerS: number
  readonly accelerationMmPerS2: number
  readonly maxEntryMmPerS: number
  entryMmPerS: number
}

/** Machine milliseconds throughout. */
export class BlockPlanner {
  readonly #kinematics: SimulatedKinematics
  #blocks: PlannedBlock[] = []
  /** End of the block being executed, the first one; undefined while nothing moves. */
  #endMs: number | undefined
  /** When the first block starts, or started. */
  #startMs = 0
  /** Speed at which the block being executed is left. */
  #exitMmPerS = REST_MM_PER_S
  #before: PlannedBlock | undefined

  constructor(kinematics: SimulatedKinematics = STOCK_KINEMATICS) {
    this.#kinematics = kinematics
  }

  get blocks(): number {
    return this.#blocks.length
  }

  /** Adds a move; the caller has seen a free block. Nothing happens for one without length. */
  push(delta: AxisValues, feedMmPerS: number, nowMs: number): void {
    const block = this.#plan(delta, feedMmPerS)
    if (!block) return
    if (this.#blocks.length === 0) this.#startMs = nowMs + FIRST_MOVE_DELAY_MS
    this.#blocks.push(block)
    this.#before = block
    this.#lookAhead()
    if (this.#endMs === undefined && this.#blocks.length >= COMPANY_BLOCKS)
      this.#startMs = Math.min(this.#startMs, nowMs)
    this.advance(nowMs)
  }

  /** Executes what is due by `nowMs`. */
  advance(nowMs: number): void {
    for (;;) {
      if (this.#endMs === undefined) {
        if (this.#blocks.length === 0 || this.#startMs > nowMs) return
        this.#begin(this.#startMs, REST_MM_PER_S)
      } else if (this.#endMs <= nowMs) {
        const endMs = this.#endMs
        this.#blocks.shift()
        this.#endMs = undefined
        if (this.#blocks.length === 0) return this.stop()
        this.#begin(endMs, this.#exitMmPerS)
      } else return
    }
  }

  /** When the planner next has one block less, or `undefined` when it is empty. */
  nextEndMs(): number | undefined {
    if (this.#endMs !== undefined) return this.#endMs
    const [first, second] = this.#blocks
    if (!first) return undefined
    const exit = second?.entryMmPerS ?? REST_MM_PER_S
    return this.#startMs + durationMs(first, REST_MM_PER_S, reachable(first, REST_MM_PER_S, exit))
  }

  /** When everything planned so far will have been executed, or `undefined` when there is nothing. */
  drainMs(): number | undefined {
    if (this.#blocks.length === 0) return undefined
    let atMs = this.#endMs ?? this.#startMs
    let entry = this.#endMs === undefined ? REST_MM_PER_S : this.#exitMmPerS
    const from = this.#endMs === undefined ? 0 : 1
    for (let i = from; i < this.#blocks.length; i++) {
      const block = this.#blocks[i] as PlannedBlock
      const exit = reachable(block, entry, this.#blocks[i + 1]?.entryMmPerS ?? REST_MM_PER_S)
      atMs += durationMs(block, entry, exit)
      entry = exit
    }
    return atMs
  }

  /** Everything planned is lost. */
  stop(): void {
    this.#blocks = []
    this.#endMs = undefined
    this.#before = undefined
    this.#exitMmPerS = REST_MM_PER_S
  }

  /** The first block goes to the steppers; what it is left with is settled now. */
  #begin(startMs: number, entryMmPerS: number): void {
    const [first, second] = this.#blocks
    if (!first) return
    this.#exitMmPerS = reachable(first, entryMmPerS, second?.entryMmPerS ?? REST_MM_PER_S)
    this.#startMs = startMs
    this.#endMs = startMs + durationMs(first, entryMmPerS, this.#exitMmPerS)
    if (second) second.entryMmPerS = this.#exitMmPerS
  }

  #plan(delta: AxisValues, feedMmPerS: number): PlannedBlock | undefined {
    const kinematics = this.#kinematics
    const [dx, dy, dz, de] = delta
    const travelMm = Math.hypot(dx, dy, dz)
    const lengthMm = travelMm > 0 ? travelMm : Math.abs(de)
    if (lengthMm === 0) return undefined
    const perMm = scaled(delta, 1 / lengthMm)
    const wantedMmPerS2 =
      travelMm === 0
        ? kinematics.retractAccelerationMmPerS2
        : de === 0
          ? kinematics.travelAccelerationMmPerS2
          : kinematics.printAccelerationMmPerS2
    const block = {
      direction: scaled(delta, 1 / (de === 0 ? lengthMm : Math.hypot(...delta))),
      lengthMm,
      nominalMmPerS: limited(feedMmPerS, perMm, kinematics.maxFeedMmPerS),
      accelerationMmPerS2: limited(wantedMmPerS2, perMm, kinematics.maxAccelerationMmPerS2),
    }
    const maxEntryMmPerS = this.#before ? this.#cornerSpeed(this.#before, block) : REST_MM_PER_S
    return { ...block, maxEntryMmPerS, entryMmPerS: REST_MM_PER_S }
  }

  /** Junction deviation with Marlin's rule for short segments, as planner.cpp has it. */
  #cornerSpeed(
    before: PlannedBlock,
    block: Omit<PlannedBlock, 'maxEntryMmPerS' | 'entryMmPerS'>,
  ): number {
    const along = before.direction.reduce(
      (sum, part, axis) => sum + part * (block.direction[axis] ?? 0),
      0,
    )
    const cos = Math.min(0.999_999, Math.max(-0.999_999, -along))
    if (cos === 0.999_999) return REST_MM_PER_S
    const bend = block.direction.map((part, axis) => part - (before.direction[axis] ?? 0))
    const size = Math.hypot(...bend)
    const { maxAccelerationMmPerS2, junctionDeviationMm } = this.#kinematics
    const bendDirection = size > 0 ? scaled(bend, 1 / size) : ([0, 0, 0, 0] as const)
    const acceleration = limited(block.accelerationMmPerS2, bendDirection, maxAccelerationMmPerS2)
    const sinHalf = Math.sqrt((1 - cos) / 2)
    let speedSq = (acceleration * junctionDeviationMm * sinHalf) / (1 - sinHalf)
    if (block.lengthMm < 1 && cos < -Math.SQRT1_2)
      speedSq = Math.min(speedSq, (block.lengthMm * acceleration) / Math.acos(-cos))
    const nominal = Math.min(before.nominalMmPerS, block.nominalMmPerS)
    return Math.max(REST_MM_PER_S, Math.min(nominal, Math.sqrt(speedSq)))
  }

  /** Entry speeds from the newest block back to the one after that in execution. */
  #lookAhead(): void {
    let exit = REST_MM_PER_S
    for (let i = this.#blocks.length - 1; i > 0; i--) {
      const block = this.#blocks[i] as PlannedBlock
      // The block in execution has settled how it is left.
      if (i === 1 && this.#endMs !== undefined && this.#blocks.length > 2) return
      const wanted = i === 1 && this.#endMs !== undefined ? this.#exitMmPerS : block.maxEntryMmPerS
      block.entryMmPerS = reachable(block, exit, wanted)
      exit = block.entryMmPerS
    }
  }
}

/** `wanted`, or what a block's length and acceleration allow from `speed` on. */
function reachable(block: PlannedBlock, speed: number, wanted: number): number {
  return Math.min(wanted, Math.sqrt(speed ** 2 + 2 * block.accelerationMmPerS2 * block.lengthMm))
}

function scaled(values: readonly number[], factor: number): AxisValues {
  const [x = 0, y = 0, z = 0, e = 0] = values
  return [x * factor, y * factor, z * factor, e * factor]
}

/** `value` along a direction, lowered to what the tightest axis allows. */
function limited(value: number, direction: AxisValues, limits: AxisValues): number {
  return direction.reduce(
    (least, part, axis) =>
      part === 0 ? least : Math.min(least, (limits[axis] ?? 0) / Math.abs(part)),
    value,
  )
}

function durationMs(block: PlannedBlock, entry: number, exit: number): number {
  const { lengthMm, accelerationMmPerS2: a, nominalMmPerS } = block
  const cruise = Math.max(nominalMmPerS, entry, exit)
  const rampMm = (2 * cruise ** 2 - entry ** 2 - exit ** 2) / (2 * a)
  if (rampMm <= lengthMm)
    return 1000 * ((2 * cruise - entry - exit) / a + (lengthMm - rampMm) / cruise)
  const peak = Math.sqrt(a * lengthMm + (entry ** 2 + exit ** 2) / 2)
  if (peak < Math.max(entry, exit)) return (2000 * lengthMm) / (entry + exit)
  return (1000 * (2 * peak - entry - exit)) / a
}
