/** Stretches of a printer's log sent on request: verified by themselves, and held against what came before. */

import { createPublicKey } from 'node:crypto'
import { type LogSegment, openSegment } from '#lib/log-segment.ts'
import { FleetError } from './errors.ts'
import { entryOf } from './prove.ts'
import type { FleetStore } from './store.ts'

/** @throws FleetError FLEET_CHAIN_BROKEN for a segment that does not verify, or differs from the events received */
export function expectSegments(store: FleetStore, device: string, items: readonly unknown[]): void {
  for (const item of items) {
    const segment = readSegment(store, device, item)
    if (!segment) throw new FleetError('FLEET_CHAIN_BROKEN', 'a segment that does not verify')
    const { from, entries } = segment
    const received = store.items(device, 'evt', from - 1, entries.length)
    for (const { seq, value } of received)
      if (seq - from < entries.length && entryOf(value) !== entries[seq - from])
        throw new FleetError('FLEET_CHAIN_BROKEN', `event ${seq} differs from its segment`)
  }
}

/** A stored or received segment, if the key of the printer's log signed it and its chain is whole. */
export function readSegment(
  store: FleetStore,
  device: string,
  item: unknown,
): LogSegment | undefined {
  const key = store.log(device)?.key
  if (!key) return undefined
  const verifier = { algorithm: 'EdDSA', publicKey: createPublicKey(key) }
  const segment = openSegment(Buffer.from(JSON.stringify(item)), verifier)
  return segment?.log === `mpfd/log/${device}` ? segment : undefined
}
