/** What can go wrong between the print engine and a motion controller: one class, stable codes. */

export type DriverErrorCode =
  | 'DRIVER_PORT_OPEN' // the serial port could not be opened
  | 'DRIVER_PORT_LOST' // the port closed or errored while in use
  | 'DRIVER_NOT_RECOGNISED' // the greeting and M115 do not name a firmware this dialect speaks
  | 'DRIVER_PAUSED_FOR_USER' // it boots no further until somebody answers on its own screen
  | 'DRIVER_SILENT' // no byte at all for longer than the silence limit
  | 'DRIVER_ACK_TIMEOUT' // bytes arrive, but the oldest line in flight is not acknowledged
  | 'DRIVER_RESET' // the controller restarted in the middle of a print
  | 'DRIVER_HALTED' // the controller reported a fatal error (kill, thermal, halted)
  | 'DRIVER_NOISE' // more resends than the link may need: too noisy to trust
  | 'DRIVER_LINE_REFUSED' // a line the wire cannot carry safely (length, characters)
  | 'DRIVER_COMMAND_REFUSED' // the controller did not do what a line says (grbl error:n, Klipper !!)
  | 'DRIVER_PROTOCOL' // a reply that fits no line ever sent
  | 'DRIVER_BUSY' // a second program or an out-of-order request

/** A fault of the link or the controller. `line` is the program line it concerns, where one does. */
export class DriverError extends Error {
  override readonly name = 'DriverError'
  readonly code: DriverErrorCode
  readonly line: number | undefined

  constructor(
    code: DriverErrorCode,
    message: string,
    options: { readonly line?: number; readonly cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.line = options.line
  }
}
