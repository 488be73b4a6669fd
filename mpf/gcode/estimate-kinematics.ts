/** How a controller's planner is set: the numbers an expected time is computed from. Marlin's own names and defaults. */

/** One number an axis, the extruder's last. */
export interface AxisNumbers {
  readonly x: number
  readonly y: number
  readonly z: number
  readonly e: number
}

/** A planner's settings. They describe; nothing is limited by them. */
export interface Kinematics {
  /** M203. */
  readonly maxFeedMmPerS: AxisNumbers
  /** M201. */
  readonly maxAccelerationMmPerS2: AxisNumbers
  /** M204 P, T, R. */
  readonly printAccelerationMmPerS2: number
  readonly travelAccelerationMmPerS2: number
  readonly retractAccelerationMmPerS2: number
  /** M205 J. */
  readonly junctionDeviationMm: number
  /** M205 X Y Z E: present when the controller is built with classic jerk, which then replaces the junction deviation. */
  readonly jerkMmPerS?: AxisNumbers | undefined
  /** BLOCK_BUFFER_SIZE: one slot of it stays empty. */
  readonly plannerBlocks: number
}

/** Marlin 2.1 as it comes (Configuration.h, Configuration_adv.h). */
export const MARLIN_KINEMATICS: Kinematics = {
  maxFeedMmPerS: { x: 300, y: 300, z: 5, e: 25 },
  maxAccelerationMmPerS2: { x: 3000, y: 3000, z: 100, e: 10_000 },
  printAccelerationMmPerS2: 3000,
  travelAccelerationMmPerS2: 3000,
  retractAccelerationMmPerS2: 3000,
  junctionDeviationMm: 0.013,
  plannerBlocks: 16,
}
