/** The face of `drivers/`: motion controllers as the print engine sees them. */
export type {
  Controller,
  ControllerEvent,
  ControllerIdentity,
  LineSource,
  LinkStatistics,
  Position,
  ProgramLine,
  StreamOptions,
  StreamReport,
  Temperature,
  Temperatures,
} from './controller.ts'
export { DriverError, type DriverErrorCode } from './errors.ts'
export {
  type ControllerConfig,
  type ControllerPorts,
  DIALECTS,
  type Dialect,
  openController,
} from './open.ts'
export {
  type SimulatedMarlin,
  type SimulatedMarlinOptions,
  type SimulationSummary,
  startSimulatedMarlin,
} from './sim/board.ts'
export { type FaultEvent, type FaultPlan, parseFaults } from './sim/faults.ts'
