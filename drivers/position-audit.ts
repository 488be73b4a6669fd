/** Whether the controller is where the program says: the comparison behind an audit. Pure. */
import type { AuditVerdict, Position } from './controller.ts'

/** M114 prints two decimals (Marlin) and firmwares round half a step: a lost move of any print is larger. */
const AUDIT_TOLERANCE_MM = 0.02

/** Compares axis by axis; an axis `expected` leaves out agrees. Millimetres. */
export function comparePositions(
  expected: Partial<Position>,
  reported: Position | undefined,
  toleranceMm: number = AUDIT_TOLERANCE_MM,
): AuditVerdict {
  if (!reported) return { kind: 'unknown' }
  const deltaOf = (axis: keyof Position): number =>
    reported[axis] - (expected[axis] ?? reported[axis])
  const deltaMm = { x: deltaOf('x'), y: deltaOf('y'), z: deltaOf('z'), e: deltaOf('e') }
  // Half a micrometre for what adding decimals in binary leaves over.
  const isWithin = Object.values(deltaMm).every(delta => Math.abs(delta) <= toleranceMm + 0.0005)
  return isWithin ? { kind: 'agrees', reported } : { kind: 'differs', reported, deltaMm }
}
