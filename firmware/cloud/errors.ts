/** What can go wrong between courier, broker and core: one class, stable codes. */

export const CLOUD_ERROR_CODES = [
  'CLOUD_UNREACHABLE', // no connection to the endpoint
  'CLOUD_TIMEOUT', // the endpoint did not answer in time
  'CLOUD_LOST', // an open session broke
  'CLOUD_TLS_CA', // the broker's certificate leads to none of the pinned authorities
  'CLOUD_TLS_NAME', // the broker's certificate is for another name
  'CLOUD_TLS_EXPIRED', // the broker's certificate has expired
  'CLOUD_TLS_CLOCK', // the broker's certificate is not valid yet: the clock is wrong
  'CLOUD_TLS_PROTOCOL', // no common TLS version or cipher
  'CLOUD_TLS_OWN_EXPIRED', // the broker says that the client certificate has expired
  'CLOUD_TLS_OWN_REFUSED', // the broker does not accept the client certificate
  'CLOUD_TLS_FAILED', // another TLS failure
  'CLOUD_BROKER_AUTH', // the broker does not authorise this client
  'CLOUD_BROKER_BANNED', // the broker has banned this client
  'CLOUD_BROKER_BUSY', // the broker is busy or shutting down
  'CLOUD_BROKER_CLIENT_ID', // the broker does not accept the client id
  'CLOUD_BROKER_VERSION', // the broker speaks neither MQTT 5 nor 3.1.1
  'CLOUD_UNANSWERED', // the broker closed the connection instead of answering: another MQTT version, or a refused certificate
  'CLOUD_BROKER_QUOTA', // a quota of the broker is exceeded
  'CLOUD_BROKER_REFUSED', // another refusal by the broker
  'CLOUD_ACL', // the broker refused a message by its access rules
  'CLOUD_TAKEN_OVER', // another client has the same identity
  'CLOUD_FORGED', // a message that is not signed by whom it must be
  'CLOUD_FLOOD', // more commands than any fleet end sends
  'CLOUD_MALFORMED', // a message that is not in the agreed form
  'CLOUD_IDENTITY', // the client identity cannot be read or made
  'CLOUD_ENROL', // the enrolment was refused
  'CLOUD_CORE', // the core's socket is not there or answered something else
  'CLOUD_STORE', // the outbox cannot be read or written
  'CLOUD_OFFER', // a job offer that cannot be accepted
  'CLOUD_BLOCK', // a block of an offered file is not what was signed
  'CLOUD_DOWNLOAD', // the HTTPS server of an offer answered something else than the bytes asked for
] as const

export type CloudErrorCode = (typeof CLOUD_ERROR_CODES)[number]

/** A refusal or fault of the courier. `reason` is the exact word of TLS, the broker or the system. */
export class CloudError extends Error {
  override readonly name = 'CloudError'
  readonly code: CloudErrorCode
  readonly reason: string

  constructor(
    code: CloudErrorCode,
    message: string,
    options: { readonly reason?: string; readonly cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.reason = options.reason ?? ''
  }
}
