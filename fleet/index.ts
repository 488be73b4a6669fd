/** The face of the fleet end: what a fleet monitor's team imports. */

export { type Authority, certifyPrinter, createAuthority, issueServer } from './ca.ts'
export { signCommand } from './commands.ts'
export { type EmbeddedBroker, startEmbeddedBroker } from './embedded-broker.ts'
export { FLEET_ERROR_CODES, FleetError, type FleetErrorCode } from './errors.ts'
export { startEstServer } from './est-server.ts'
export type { HttpsServer } from './https-server.ts'
export { Ingest, type IngestOptions } from './ingest.ts'
export { makeOffer, sendBlocks } from './jobs.ts'
export { FleetStore } from './store.ts'
export { createTenant, openTenant, type Tenant } from './tenant.ts'
export { Tokens } from './tokens.ts'
