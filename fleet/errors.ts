/** What the fleet end refuses or fails at: one class, stable codes. */

export const FLEET_ERROR_CODES = [
  'FLEET_USAGE', // the command line is not one `fleet` knows
  'FLEET_FILE', // a file of the tenant is missing or not what it should be
  'FLEET_TOKEN', // a token of an enrolment or a download is unknown, used, expired or for another printer
  'FLEET_REQUEST', // a certificate request is malformed or for another name
  'FLEET_CHAIN_BROKEN', // an event does not follow from the one before
  'FLEET_RECORD_DIFFERS', // a record is not what its event says
  'FLEET_CHECKPOINT', // a signed log head contradicts the events received
  'FLEET_PRINTER_UNKNOWN', // nothing was heard of this printer yet, or no key of it is known
  'FLEET_PROOF', // evidence about a log does not hold
  'FLEET_NO_ANSWER', // the printer did not answer in time
  'FLEET_API_KEY', // a key of the gateway or the web page is unknown or revoked
  'FLEET_UPLOAD', // a request is not an upload as slicers send it
  'FLEET_TOO_LARGE', // an uploaded file is larger than the gateway takes
  'FLEET_SEAL', // an uploaded file is not G-code this printer may run
  'FLEET_BUSY', // as many files as allowed are being sealed
] as const

export type FleetErrorCode = (typeof FLEET_ERROR_CODES)[number]

export class FleetError extends Error {
  override readonly name = 'FleetError'
  readonly code: FleetErrorCode

  constructor(code: FleetErrorCode, message: string, options: { readonly cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
  }
}
