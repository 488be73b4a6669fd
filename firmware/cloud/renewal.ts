/** The client certificate renewed in time: a new key in the spare slot, proven by a connection of its own before the old one is given up. */

import { readFile } from 'node:fs/promises'
import type { CourierState } from './courier.ts'
import { renewIdentity } from './enrol.ts'
import { CloudError } from './errors.ts'
import { isRenewalDue, type SlotIdentity } from './identity.ts'
import { openLink } from './mqtt-link.ts'
import { parseEndpoint } from './supervisor.ts'

const LOOK_MS = 6 * 3_600_000
const PROOF_MS = 30_000

/** Looks every few hours until the signal aborts. */
export async function keepCertificate(state: CourierState, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    if (isRenewalDue(state.identity, state.nowMs())) await renewCertificate(state, signal)
    await state.ports.clock.sleep(LOOK_MS, signal).catch(() => undefined)
  }
}

/** Renews now. Never rejects: a failure is an event, and the old certificate stays. True when the new one is current. */
export async function renewCertificate(state: CourierState, signal: AbortSignal): Promise<boolean> {
  const { cloud, identities, identity, reports } = state
  try {
    if (cloud.enrolUrl === undefined) throw new CloudError('CLOUD_ENROL', 'no enrolment URL')
    const ca = await readFile(cloud.caFile, 'utf8')
    const fresh = await renewIdentity(identities, identity, { url: cloud.enrolUrl, ca })
    await prove(state, fresh, ca, signal)
    await identities.promote(fresh.slot)
    const { serialNumber, notAfterMs } = fresh
    const detail = { serial: serialNumber, notAfterMs }
    reports.add({ type: 'cloud.certificate_renewed', message: 'renewed', detail })
    return true
  } catch (error) {
    if (!(error instanceof CloudError)) throw error
    const { code, message } = error
    const detail = { notAfterMs: identity.notAfterMs }
    reports.add({ type: 'cloud.certificate_failed', code, message, detail })
    return false
  }
}

/** A session under another client id, so that the running one is not taken over. */
async function prove(
  state: CourierState,
  fresh: SlotIdentity,
  ca: string,
  signal: AbortSignal,
): Promise<void> {
  const [endpoint] = state.cloud.endpoints
  await using _ = await openLink({
    ...parseEndpoint(endpoint ?? ''),
    ...{ ca, identity: fresh, protocol: state.protocol, sessionExpiryS: 0, subscriptions: [] },
    clientId: `${fresh.device}-proof`,
    onMessage: async () => undefined,
    signal: AbortSignal.any([signal, AbortSignal.timeout(PROOF_MS)]),
  })
}
