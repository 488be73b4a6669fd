/** How a simulated board is built, and whom it tells. */
import type { DialectName } from '../dialect.ts'

export interface FirmwareOptions {
  /** Which firmware it is. */
  readonly dialect: DialectName
  /** RX_BUFFER_SIZE less one, in bytes. */
  readonly ringBytes: number
  /** BUFSIZE, in lines. */
  readonly bufferLines: number
  readonly hasAdvancedOk: boolean
  readonly hasEmergencyParser: boolean
  /** Announces AUTOREPORT_TEMP and obeys M155. */
  readonly hasAutoreport: boolean
  /** Announces MEATPACK and unpacks. */
  readonly hasMeatPack: boolean
  /** Machine milliseconds (motion, heating) in one millisecond of wall time; reports keep wall time. */
  readonly speed: number
  /** M113: wall milliseconds between busy lines. */
  readonly busyIntervalMs: number
}

export interface FirmwareOutlet {
  /** One reply line, without its terminator. */
  reply(line: string): void
  /** One command was executed: its exact text. */
  executed(text: string): void
  /** One command was parsed in check mode. */
  checked(text: string): void
}
