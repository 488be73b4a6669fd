/** The exact words of TLS, system and broker, as codes. Pure. */

import { CloudError, type CloudErrorCode } from './errors.ts'

const OF_SYSTEM: Readonly<Record<string, CloudErrorCode>> = {
  ETIMEDOUT: 'CLOUD_TIMEOUT',
  CERT_HAS_EXPIRED: 'CLOUD_TLS_EXPIRED',
  CERT_NOT_YET_VALID: 'CLOUD_TLS_CLOCK',
  ERR_TLS_CERT_ALTNAME_INVALID: 'CLOUD_TLS_NAME',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'CLOUD_TLS_CA',
  SELF_SIGNED_CERT_IN_CHAIN: 'CLOUD_TLS_CA',
  UNABLE_TO_GET_ISSUER_CERT: 'CLOUD_TLS_CA',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'CLOUD_TLS_CA',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'CLOUD_TLS_CA',
  CERT_SIGNATURE_FAILURE: 'CLOUD_TLS_CA',
  INVALID_CA: 'CLOUD_TLS_CA',
  INVALID_PURPOSE: 'CLOUD_TLS_CA',
}

/** Parts of OpenSSL's own words, in the order they are looked for. */
const OF_OPENSSL: readonly (readonly [RegExp, CloudErrorCode])[] = [
  [/ALERT_CERTIFICATE_EXPIRED/, 'CLOUD_TLS_OWN_EXPIRED'],
  [
    /ALERT_(?:BAD_CERTIFICATE|CERTIFICATE_(?:UNKNOWN|REQUIRED|REVOKED)|UNKNOWN_CA|UNSUPPORTED_CERT|ACCESS_DENIED|DECRYPT_ERROR)/,
    'CLOUD_TLS_OWN_REFUSED',
  ],
  [
    /PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL|WRONG_VERSION|HANDSHAKE_FAILURE|NO_SHARED_CIPHER|NO_PROTOCOLS|PACKET_LENGTH_TOO_LONG|INSUFFICIENT_SECURITY/,
    'CLOUD_TLS_PROTOCOL',
  ],
  [/ERR_SSL_|ERR_TLS_/, 'CLOUD_TLS_FAILED'],
]

/** An error of the socket or of TLS, named. */
export function refusalOfSocket(error: unknown, endpoint: string): CloudError {
  const reason = wordOf(error)
  const code =
    OF_SYSTEM[reason] ??
    OF_OPENSSL.find(([pattern]) => pattern.test(reason))?.[1] ??
    'CLOUD_UNREACHABLE'
  return new CloudError(code, `${endpoint}: ${reason}`, { reason, cause: error })
}

const OF_BROKER: Readonly<Record<number, CloudErrorCode>> = {
  1: 'CLOUD_BROKER_VERSION',
  2: 'CLOUD_BROKER_CLIENT_ID',
  3: 'CLOUD_BROKER_BUSY',
  4: 'CLOUD_BROKER_AUTH',
  5: 'CLOUD_BROKER_AUTH',
  132: 'CLOUD_BROKER_VERSION',
  133: 'CLOUD_BROKER_CLIENT_ID',
  134: 'CLOUD_BROKER_AUTH',
  135: 'CLOUD_BROKER_AUTH',
  136: 'CLOUD_BROKER_BUSY',
  137: 'CLOUD_BROKER_BUSY',
  138: 'CLOUD_BROKER_BANNED',
  139: 'CLOUD_BROKER_BUSY',
  142: 'CLOUD_TAKEN_OVER',
  147: 'CLOUD_BROKER_QUOTA',
  150: 'CLOUD_BROKER_QUOTA',
  151: 'CLOUD_BROKER_QUOTA',
  159: 'CLOUD_BROKER_QUOTA',
}

/** A reason code of CONNACK or DISCONNECT (MQTT 5, 2.4; 3.1.1, 3.2.2.3), named. */
export function refusalOfBroker(reasonCode: number, endpoint: string): CloudError {
  const reason = `0x${reasonCode.toString(16).padStart(2, '0')}`
  const code = OF_BROKER[reasonCode] ?? 'CLOUD_BROKER_REFUSED'
  return new CloudError(code, `${endpoint}: reason ${reason}`, { reason })
}

/** An error of the MQTT client: a refusal of the broker by its reason code, or its own words. */
export function refusalOfClient(error: Error, endpoint: string): CloudError {
  const code = 'code' in error ? error.code : undefined
  if (typeof code === 'number') return refusalOfBroker(code, endpoint)
  // mqtt.js, client.js: no CONNACK within connectTimeout.
  const isLate = error.message === 'connack timeout'
  const said = `${endpoint}: ${error.message}`
  return new CloudError(isLate ? 'CLOUD_TIMEOUT' : 'CLOUD_BROKER_REFUSED', said)
}

/** A reason code of PUBACK or SUBACK, named. */
export function refusalOfMessage(reasonCode: number, topic: string): CloudError {
  const reason = `0x${reasonCode.toString(16).padStart(2, '0')}`
  const isAcl = reasonCode === 135 || reasonCode === 128
  const code = isAcl ? 'CLOUD_ACL' : (OF_BROKER[reasonCode] ?? 'CLOUD_BROKER_REFUSED')
  return new CloudError(code, `${topic}: reason ${reason}`, { reason })
}

function wordOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown'
  if (!('code' in error) || typeof error.code !== 'string') return error.message
  // Older bindings give one code for every alert; the text then says which.
  if (error.code !== 'ERR_SSL_SSL/TLS_ALERT' && error.code.startsWith('ERR_SSL_'))
    return error.code.toUpperCase().replaceAll(/[ /]/g, '_')
  return error.code
}
