/** The journal's names for the event chain, which the fleet end recomputes from the same leaf. */

export {
  CHAIN_START,
  type ChainedEntry,
  canonicalDetail,
  chainHash,
} from '#lib/event-chain.ts'
