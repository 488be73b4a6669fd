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

/** Told of each move in order once its duration is final. */
export interface PlannedMoves {
  /** `tag` is what the move was pushed with; its duration in seconds stands in `planned[0]`. */
  add(planned: Float64Array, tag: number): void
}

/** Settings a program may change as it goes. Limits an axis as their inverses: the tightest is then the largest product. */
export interface PlannerSettings {
  readonly perMaxFeed: Float64Array
  readonly perMaxAcceleration: Float64Array
  readonly perJerk: Float64Array | undefined
  print: number
  travel: number
  retract: number
  junctionDeviation: number
}

const inversesOf = ({ x, y, z, e }: AxisNumbers): Float64Array =>
  Float64Array.of(1 / x, 1 / y, 1 / z, 1 / e)

/** Millimetres and seconds. Constant memory: a move is final once as many moves follow it as the controller holds. */
export class TrapezoidPlanner {
  readonly settings: PlannerSettings
  /** What `push` adds: X, Y, Z, E in millimetres, feed in mm/s. */
  readonly move = new Float64Array(5)
  readonly #moves: PlannedMoves
  readonly #planned = new Float64Array(1)
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
  /** Direction of the move pushed last, and how it differs from the one before: X, Y, Z, E. */
  readonly #unit = new Float64Array(4)
  readonly #turn = new Float64Array(4)
  #nominalBefore = 0
  #safeBefore = 0

  constructor(kinematics: Kinematics, moves: PlannedMoves) {
    this.#moves = moves
    this.#slots = Math.max(1, kinematics.plannerBlocks - 1)
    this.settings = {
      perMaxFeed: inversesOf(kinematics.maxFeedMmPerS),
      perMaxAcceleration: inversesOf(kinematics.maxAccelerationMmPerS2),
      perJerk: kinematics.jerkMmPerS && inversesOf(kinematics.jerkMmPerS),
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

  /**
   * Adds the move in `move`: X, Y, Z, E in millimetres and the feed. Nothing happens for one without length.
   * It is handed over in an array because numbers passed to a function are boxed: that cost as much as planning.
   */
  push(tag: number): void {
    const move = this.move
    const x = move[0] as number
    const y = move[1] as number
    const z = move[2] as number
    const e = move[3] as number
    const travelSq = x * x + y * y + z * z
    const lengthMm = travelSq > 0 ? Math.sqrt(travelSq) : Math.abs(e)
    if (lengthMm === 0) return
    if (this.#count === this.#slots) this.#retire()
    let at = this.#first + this.#count
    if (at >= this.#slots) at -= this.#slots
    const { print, travel, retract, perMaxFeed, perMaxAcceleration, perJerk } = this.settings
    const asked = travelSq === 0 ? retract : e === 0 ? travel : print
    const feed = (move[4] as number) > 0 ? (move[4] as number) : DEFAULT_FEED_MM_PER_S
    this.#lengthMm[at] = lengthMm
    this.#acceleration[at] = within(asked, lengthMm, tightest(move, perMaxAcceleration))
    this.#nominal[at] = within(feed, lengthMm, tightest(move, perMaxFeed))
    this.#tags[at] = tag
    // Marlin takes the extruder into the direction only where it moves.
    const perNorm = 1 / (e === 0 || perJerk ? lengthMm : Math.sqrt(travelSq + e * e))
    const [turn, before] = [this.#turn, this.#unit]
    for (let axis = 0; axis < 4; axis++) {
      const unit = (move[axis] as number) * perNorm
      turn[axis] = unit - (before[axis] as number)
      before[axis] = unit
    }
    if (perJerk) this.#limitByJerk(at, perJerk)
    else this.#limitByJunction(at)
    this.#nominalBefore = this.#nominal[at] as number
    this.#count++
    this.#planBackwards(at)
  }

  /** The machine comes to rest: everything pushed so far becomes final. */
  flush(): void {
    while (this.#count > 0) this.#retire()
    this.#firstEntry = MIN_SPEED_MM_PER_S
    this.#nominalBefore = 0
    this.#safeBefore = 0
    this.#unit.fill(0)
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
    const squares = entry * entry + exit * exit
    const rampsMm = (nominal * nominal - squares / 2) / acceleration
    if (rampsMm <= lengthMm)
      this.#planned[0] =
        (2 * nominal - entry - exit) / acceleration + (lengthMm - rampsMm) / nominal
    else {
      // A move entered faster than it can brake has no peak above its ends: constant deceleration.
      const peakSq = acceleration * lengthMm + squares / 2
      const isBraking = peakSq <= Math.max(entry * entry, exit * exit)
      this.#planned[0] = isBraking
        ? (2 * lengthMm) / (entry + exit)
        : (2 * Math.sqrt(peakSq) - entry - exit) / acceleration
    }
    this.#moves.add(this.#planned, this.#tags[at] as number)
  }

  /** Junction deviation: the speed at which a circle that cuts the corner by so much may be driven (Marlin planner.cpp). */
  #limitByJunction(at: number): void {
    const turn = this.#turn
    let turnSq = 0
    for (let axis = 0; axis < 4; axis++) turnSq += (turn[axis] as number) ** 2
    const cos = turnSq / 2 - 1
    if (this.#nominalBefore === 0 || cos > COS_LIMIT) {
      this.#maxEntrySq[at] = MIN_SPEED_SQ
      return
    }
    const nominalSq = Math.min(this.#nominal[at] as number, this.#nominalBefore) ** 2
    // Straight on: no corner limits it. Above it `chord` is long enough to divide by.
    if (cos < -COS_LIMIT) {
      this.#maxEntrySq[at] = Math.max(MIN_SPEED_SQ, nominalSq)
      return
    }
    const { perMaxAcceleration, junctionDeviation } = this.settings
    const chord = Math.sqrt(turnSq)
    const limit = within(
      this.#acceleration[at] as number,
      chord,
      tightest(turn, perMaxAcceleration),
    )
    const sinHalf = Math.sqrt(0.5 * (1 - cos))
    let entrySq = Math.min(nominalSq, (limit * junctionDeviation * sinHalf) / (1 - sinHalf))
    const lengthMm = this.#lengthMm[at] as number
    if (lengthMm < SMALL_SEGMENT_MM && cos < SHALLOW_COS)
      entrySq = Math.min(entrySq, (lengthMm * limit) / angleOf(chord))
    this.#maxEntrySq[at] = Math.max(MIN_SPEED_SQ, entrySq)
  }

  /** Classic jerk: no axis changes its speed by more than its jerk at a corner. */
  #limitByJerk(at: number, perJerk: Float64Array): void {
    const nominal = this.#nominal[at] as number
    const safe = Math.min(nominal, Math.max(MIN_SPEED_MM_PER_S, 1 / tightest(this.#unit, perJerk)))
    const slower = Math.min(nominal, this.#nominalBefore)
    const corner = Math.min(slower, 1 / tightest(this.#turn, perJerk))
    const isSafeFaster = this.#safeBefore > corner && safe > corner
    const entry = slower === 0 || isSafeFaster ? safe : corner
    this.#safeBefore = safe
    this.#maxEntrySq[at] = Math.max(MIN_SPEED_SQ, entry * entry)
  }
}

/** `asked`, or what the tightest axis leaves of it along `length`; without a division where it leaves all. */
function within(asked: number, length: number, tightestAxis: number): number {
  return asked * tightestAxis <= length ? asked : length / tightestAxis
}

/** The largest part of a way beside what its axis allows; 0 where none is. */
function tightest(way: Float64Array, inverses: Float64Array): number {
  let most = Math.abs((way[0] as number) * (inverses[0] as number))
  for (let axis = 1; axis < 4; axis++) {
    const part = Math.abs((way[axis] as number) * (inverses[axis] as number))
    if (part > most) most = part
  }
  return most
}

/** The angle two unit vectors `chord` apart enclose, up to 45 degrees: 2 asin(chord / 2) to 1 in 5,000, without its cost. */
function angleOf(chord: number): number {
  const square = chord * chord
  return chord * (1 + square / 24 + (3 * square * square) / 640)
}
