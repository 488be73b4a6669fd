/** A trapezoid planner with look-ahead, as Marlin plans, without a machine: how long each move of a stream takes. */

import type { AxisNumbers, Kinematics } from './estimate-kinematics.ts'

/** Marlin's MINIMUM_PLANNER_SPEED, squared: what every stream starts and ends with. */
const MIN_SPEED_MM_PER_S = 0.05
const MIN_SPEED_SQ = MIN_SPEED_MM_PER_S ** 2
/** DEFAULT_FEEDRATE of a Marlin that was never told one. */
const DEFAULT_FEED_MM_PER_S = 25
/** Marlin: JD_HANDLE_SMALL_SEGMENTS takes a shallow corner of a move below 1 mm for a piece of an arc. */
const SMALL_SEGMENT_MM = 1
const SHALLOW_COS = -Math.SQRT1_2
const COS_LIMIT = 0.999_999

/** Told of each move in order once its duration is final; `tag` is what the move was pushed with. */
export type PlannedMoveListener = (durationS: number, tag: number) => void

/** Settings a program may change as it goes. */
export interface PlannerSettings {
  readonly maxFeed: Float64Array
  readonly maxAcceleration: Float64Array
  readonly jerk: Float64Array | undefined
  print: number
  travel: number
  retract: number
  junctionDeviation: number
}

const numbersOf = ({ x, y, z, e }: AxisNumbers): Float64Array => Float64Array.of(x, y, z, e)

/** Millimetres and seconds. Constant memory: a move is final once as many moves follow it as the controller holds. */
export class TrapezoidPlanner {
  readonly settings: PlannerSettings
  readonly #onPlanned: PlannedMoveListener
  /** Ring of moves not yet final. Speeds are squared: the passes over them then need no root. */
  readonly #slots: number
  readonly #lengthMm: Float64Array
  readonly #acceleration: Float64Array
  readonly #nominal: Float64Array
  readonly #maxEntrySq: Float64Array
  readonly #entrySq: Float64Array
  readonly #tags: Float64Array
  #first = 0
  #count = 0
  /** Speed at which the first move of the ring is entered: fixed, the one before it is final. */
  #firstEntry = MIN_SPEED_MM_PER_S
  /** Direction of the move pushed last: X, Y, Z, E. */
  readonly #before = new Float64Array(4)
  #nominalBefore = 0
  #safeBefore = 0

  constructor(kinematics: Kinematics, onPlanned: PlannedMoveListener) {
    this.#onPlanned = onPlanned
    this.#slots = Math.max(1, kinematics.plannerBlocks - 1)
    this.settings = {
      maxFeed: numbersOf(kinematics.maxFeedMmPerS),
      maxAcceleration: numbersOf(kinematics.maxAccelerationMmPerS2),
      jerk: kinematics.jerkMmPerS && numbersOf(kinematics.jerkMmPerS),
      print: kinematics.printAccelerationMmPerS2,
      travel: kinematics.travelAccelerationMmPerS2,
      retract: kinematics.retractAccelerationMmPerS2,
      junctionDeviation: kinematics.junctionDeviationMm,
    }
    const ring = () => new Float64Array(this.#slots)
    this.#lengthMm = ring()
    this.#acceleration = ring()
    this.#nominal = ring()
    this.#maxEntrySq = ring()
    this.#entrySq = ring()
    this.#tags = ring()
  }

  /** Adds a move. Nothing happens for one without length. */
  push(x: number, y: number, z: number, e: number, feedMmPerS: number, tag: number): void {
    const travelMm = Math.sqrt(x * x + y * y + z * z)
    const lengthMm = travelMm > 0 ? travelMm : Math.abs(e)
    if (lengthMm === 0) return
    const { print, travel, retract, maxFeed, maxAcceleration, jerk } = this.settings
    const asked = travelMm === 0 ? retract : e === 0 ? travel : print
    const feed = feedMmPerS > 0 ? feedMmPerS : DEFAULT_FEED_MM_PER_S
    const nominal = within(feed, maxFeed, x, y, z, e, lengthMm)
    const acceleration = within(asked, maxAcceleration, x, y, z, e, lengthMm)
    if (this.#count === this.#slots) this.#retire()
    let at = this.#first + this.#count
    if (at >= this.#slots) at -= this.#slots
    this.#lengthMm[at] = lengthMm
    this.#acceleration[at] = acceleration
    this.#nominal[at] = nominal
    this.#tags[at] = tag
    // Marlin takes the extruder into the direction only where it moves.
    const norm = e === 0 || jerk ? lengthMm : Math.sqrt(x * x + y * y + z * z + e * e)
    const [ux, uy, uz, ue] = [x / norm, y / norm, z / norm, e / norm]
    this.#maxEntrySq[at] = jerk
      ? this.#jerkEntrySq(jerk, nominal, ux, uy, uz, ue)
      : this.#junctionEntrySq(nominal, acceleration, lengthMm, ux, uy, uz, ue)
    const before = this.#before
    before[0] = ux
    before[1] = uy
    before[2] = uz
    before[3] = ue
    this.#nominalBefore = nominal
    this.#count++
    this.#planBackwards(at)
  }

  /** The machine comes to rest: everything pushed so far becomes final. */
  flush(): void {
    while (this.#count > 0) this.#retire()
    this.#firstEntry = MIN_SPEED_MM_PER_S
    this.#nominalBefore = 0
    this.#safeBefore = 0
    this.#before.fill(0)
  }

  /** Raises entry speeds from the newest move back, as far as that changes anything. */
  #planBackwards(newest: number): void {
    let exitSq = MIN_SPEED_SQ
    let at = newest
    for (let left = this.#count; left > 1; left--) {
      const reach = exitSq + 2 * (this.#acceleration[at] as number) * (this.#lengthMm[at] as number)
      const max = this.#maxEntrySq[at] as number
      const entrySq = Math.min(reach, max)
      if (at !== newest && entrySq === this.#entrySq[at]) return
      this.#entrySq[at] = entrySq
      exitSq = entrySq
      at = at === 0 ? this.#slots - 1 : at - 1
    }
  }

  /** The first move of the ring leaves for the motors. */
  #retire(): void {
    const at = this.#first
    const next = at + 1 === this.#slots ? 0 : at + 1
    const lengthMm = this.#lengthMm[at] as number
    const acceleration = this.#acceleration[at] as number
    const nominal = this.#nominal[at] as number
    const entry = Math.min(this.#firstEntry, nominal)
    const plannedSq = this.#count > 1 ? (this.#entrySq[next] as number) : MIN_SPEED_SQ
    const exit = Math.sqrt(Math.min(plannedSq, entry * entry + 2 * acceleration * lengthMm))
    this.#first = next
    this.#count--
    this.#firstEntry = exit
    const durationS = trapezoidS(entry, exit, nominal, acceleration, lengthMm)
    this.#onPlanned(durationS, this.#tags[at] as number)
  }

  /** Junction deviation: the speed at which a circle that cuts the corner by so much may be driven (Marlin planner.cpp). */
  #junctionEntrySq(
    nominal: number,
    acceleration: number,
    lengthMm: number,
    ux: number,
    uy: number,
    uz: number,
    ue: number,
  ): number {
    if (this.#nominalBefore === 0) return MIN_SPEED_SQ
    const before = this.#before
    const bx = before[0] as number
    const by = before[1] as number
    const bz = before[2] as number
    const be = before[3] as number
    const cos = -(bx * ux + by * uy + bz * uz + be * ue)
    if (cos > COS_LIMIT) return MIN_SPEED_SQ
    const nominalSq = Math.min(nominal, this.#nominalBefore) ** 2
    // Straight on: no corner limits it. Below it `turn` is long enough to divide by.
    if (cos < -COS_LIMIT) return Math.max(MIN_SPEED_SQ, nominalSq)
    const { maxAcceleration, junctionDeviation } = this.settings
    const turn = Math.sqrt(2 + 2 * cos)
    const limit = within(acceleration, maxAcceleration, ux - bx, uy - by, uz - bz, ue - be, turn)
    const sinHalf = Math.sqrt(0.5 * (1 - cos))
    const cornerSq = (limit * junctionDeviation * sinHalf) / (1 - sinHalf)
    const isArcLike = lengthMm < SMALL_SEGMENT_MM && cos < SHALLOW_COS
    const arcSq = isArcLike ? (lengthMm * limit) / angleOf(turn) : cornerSq
    return Math.max(MIN_SPEED_SQ, Math.min(nominalSq, cornerSq, arcSq))
  }

  /** Classic jerk: no axis changes its speed by more than its jerk at a corner. */
  #jerkEntrySq(
    jerk: Float64Array,
    nominal: number,
    ux: number,
    uy: number,
    uz: number,
    ue: number,
  ): number {
    const before = this.#before
    const safe = Math.max(MIN_SPEED_MM_PER_S, within(nominal, jerk, ux, uy, uz, ue, 1))
    const slower = Math.min(nominal, this.#nominalBefore)
    const [dx, dy] = [ux - (before[0] as number), uy - (before[1] as number)]
    const [dz, de] = [uz - (before[2] as number), ue - (before[3] as number)]
    const corner = slower > 0 ? within(slower, jerk, dx, dy, dz, de, 1) : 0
    const isSafeFaster = this.#safeBefore > corner && safe > corner
    const entry = slower === 0 || isSafeFaster ? Math.min(safe, nominal) : corner
    this.#safeBefore = safe
    return Math.max(MIN_SPEED_SQ, entry * entry)
  }
}

/** `asked` along a way of `length` with these parts, lowered until no axis exceeds its own limit. */
function within(
  asked: number,
  limits: Float64Array,
  x: number,
  y: number,
  z: number,
  e: number,
  length: number,
): number {
  const byX = Math.abs(x) * asked > (limits[0] as number) * length
  let allowed = byX ? ((limits[0] as number) * length) / Math.abs(x) : asked
  if (Math.abs(y) * allowed > (limits[1] as number) * length)
    allowed = ((limits[1] as number) * length) / Math.abs(y)
  if (Math.abs(z) * allowed > (limits[2] as number) * length)
    allowed = ((limits[2] as number) * length) / Math.abs(z)
  if (Math.abs(e) * allowed > (limits[3] as number) * length)
    allowed = ((limits[3] as number) * length) / Math.abs(e)
  return allowed
}

/** The angle two unit vectors `chord` apart enclose, up to 45 degrees: 2 asin(chord / 2) to 1 in 5,000, without its cost. */
function angleOf(chord: number): number {
  const square = chord * chord
  return chord * (1 + square / 24 + (3 * square * square) / 640)
}

/** Seconds over a length entered and left at given speeds, with `nominal` between where it is reached. */
function trapezoidS(
  entry: number,
  exit: number,
  nominal: number,
  acceleration: number,
  lengthMm: number,
): number {
  const rampsMm = (2 * nominal * nominal - entry * entry - exit * exit) / (2 * acceleration)
  if (rampsMm <= lengthMm)
    return (2 * nominal - entry - exit) / acceleration + (lengthMm - rampsMm) / nominal
  const peak = Math.sqrt(acceleration * lengthMm + (entry * entry + exit * exit) / 2)
  // A move entered faster than it can brake has no peak above its ends: constant deceleration.
  if (peak <= Math.max(entry, exit)) return (2 * lengthMm) / (entry + exit)
  return (2 * peak - entry - exit) / acceleration
}
