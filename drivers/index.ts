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
