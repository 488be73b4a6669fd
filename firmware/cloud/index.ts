/** The face of the courier for the fleet end: the same link, the same words on the wire, the same mapping of events. */

export { certificateOf, isSignedBy, signBatch, signerOf } from './batch-signature.ts'
export { CLOUD_ERROR_CODES, CloudError, type CloudErrorCode } from './errors.ts'
export { type Link, type LinkOptions, openLink, type Publication } from './mqtt-link.ts'
export { type OcsfDevice, type OcsfRecord, ocsfRecord, syslogLine } from './ocsf.ts'
export { type Endpoint, parseEndpoint, superviseLink } from './supervisor.ts'
export type { Identity } from './tls-socket.ts'
export {
  type AckStatement,
  ackSchema,
  type BatchHeader,
  type BlockRequest,
  decodeBatch,
  decodeBlock,
  deviceTopics,
  encodeBatch,
  encodeBlock,
  ingestTopics,
  type NoticeStatement,
  noticeSchema,
  type OfferStatement,
  offerSchema,
  parseTopic,
  requestSchema,
  STATEMENT,
  STREAMS,
  type Stream,
  schemaHash,
  streamOf,
  streamTopic,
  topicOf,
} from './wire.ts'
