/** The face of the fleet end: what a fleet monitor's team imports as `mpfd/fleet` (docs/fleet.md). */

export {
  type Endpoint,
  type Identity,
  type Link,
  type OcsfRecord,
  openLink,
  type Publication,
  parseEndpoint,
  type Stream,
  syslogLine,
  topicOf,
} from '#cloud'
export { type Clock, systemClock } from '#lib/clock.ts'
export {
  type Authority,
  certifyPrinter,
  createAuthority,
  type IssuedKey,
  issueClient,
  issueServer,
} from './ca.ts'
export { awaitAnswer, type CommandRequest, signCommand } from './commands.ts'
export { isStaleDeath } from './deaths.ts'
export { type DownloadOptions, startDownloadServer } from './download-server.ts'
export { FLEET_ERROR_CODES, FleetError, type FleetErrorCode } from './errors.ts'
export { type EstOptions, startEstServer } from './est-server.ts'
export { type GatewayEvent, type GatewayOptions, startGateway } from './gateway.ts'
export type { HttpsServer } from './https-server.ts'
export { Ingest, type IngestOptions, witnessName } from './ingest.ts'
export { makeOffer, type OfferRequest, sendBlocks } from './jobs.ts'
export { findPrinter, listPrinters, registerPrinter } from './printers.ts'
export { Retention } from './retention.ts'
export { SparkplugFace, type SparkplugOptions } from './sparkplug/face.ts'
export {
  type Alert,
  type Batch,
  FleetStore,
  type LogRow,
  type OverviewRow,
  type StoredItem,
} from './store.ts'
export { dictionaryOf, readSamples, type Sample } from './telemetry.ts'
export { createTenant, openTenant, type Tenant, type TenantKey } from './tenant.ts'
export { type ProofPolicy, verifyConsistency, verifyInclusion } from './tlog-proof.ts'
export { type TokenBinding, Tokens } from './tokens.ts'
export { startWebServer, type WebOptions } from './web-server.ts'
