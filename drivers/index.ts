/** The face of `drivers/`: motion controllers as the print engine sees them. */
export { type Compactor, createCompactor } from './compact.ts'
export type {
  AuditVerdict,
  Controller,
  ControllerEvent,
  ControllerIdentity,
  FlightEntry,
  LatencyPercentiles,
  LineSource,
  LinkStatistics,
  MotionController,
  Position,
  ProgramLine,
  StopOutcome,
  StreamOptions,
  StreamReport,
  StreamStatistics,
  SuspicionReason,
  Temperature,
  Temperatures,
} from './controller.ts'
export {
  joinControllers,
  type Member,
  type MemberPlan,
  type PrinterControllers,
  ROLES,
  type Role,
} from './controllers.ts'
export type { DialectName } from './dialect.ts'
export { DriverError, type DriverErrorCode } from './errors.ts'
export { meatPackStart, packFrame, parseMeatPackState } from './meatpack.ts'
export {
  type ControllerConfig,
  type ControllerPorts,
  DIALECTS,
  type Dialect,
  openController,
} from './open.ts'
export { comparePositions } from './position-audit.ts'
export {
  type SimulatedMarlin,
  type SimulatedMarlinOptions,
  type SimulationSummary,
  startSimulatedMarlin,
} from './sim/board.ts'
export { type FaultEvent, type FaultPlan, parseFaults } from './sim/faults.ts'
export {
  applyMotion,
  type MotionState,
  UNKNOWN_MOTION,
  withPosition,
} from './window/motion-state.ts'
