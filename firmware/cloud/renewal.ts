/** The client certificate renewed in time: a new key in the spare slot, proven by a connection of its own before the old one is given up. */

import type { CourierState } from './courier.ts'
import { type EnrolmentServer, recoverIdentity, renewIdentity } from './enrol.ts'
import { CloudError } from './errors.ts'
import { isRenewalDue, type SlotIdentity } from './identity.ts'
import { type Link, openLink } from './mqtt-link.ts'
import { mayBeOld, parseEndpoint } from './supervisor.ts'
import { readPinned } from './tls-socket.ts'

const LOOK_MS = 6 * 3_600_000
const RETRY_BASE_MS = 60_000
/** Of asking and proving: a server that trickles must not keep the next attempt from beginning. */
const ATTEMPT_MS = 120_000
const DAY_MS = 86_400_000
/** CLOUD 3.4, E08. */
const WARN_DAYS = [1, 7, 14, 30] as const
const WARNED = 'certificate-warned'

/** One renewal at a time, whoever asks for it: both would write to the same slot. */
export class CertificateRenewal {
  readonly #state: CourierState
  #running: Promise<boolean> | undefined

  constructor(state: CourierState) {
    this.#state = state
  }

  /** Looks every few hours until the signal aborts; after a failure again within minutes, then less and less often. */
  async run(signal: AbortSignal): Promise<void> {
    const { identities, nowMs, ports } = this.#state
    let failures = 0
    while (!signal.aborted) {
      const identity = await identities.current()
      const isDone = !identity || !isRenewalDue(identity, nowMs()) || (await this.renew(signal))
      failures = isDone ? 0 : failures + 1
      await this.#warnOfEnd()
      const pauseMs = isDone ? LOOK_MS : renewalRetryMs(failures, ports.random)
      await ports.clock.sleep(pauseMs, signal).catch(() => undefined)
    }
  }

  /** Renews now. A failure is an event, and the old certificate stays. True when the new one is current. */
  renew(signal: AbortSignal): Promise<boolean> {
    this.#running ??= this.#renew(signal).finally(() => {
      this.#running = undefined
    })
    return this.#running
  }

  async #renew(signal: AbortSignal): Promise<boolean> {
    const { cloud, identities, identity: first, reports } = this.#state
    const identity = (await identities.current()) ?? first
    const proof = AbortSignal.any([signal, AbortSignal.timeout(ATTEMPT_MS)])
    try {
      if (cloud.enrolUrl === undefined) throw new CloudError('CLOUD_ENROL', 'no enrolment URL')
      const ca = await readPinned(cloud.caFile)
      const fresh = await this.#request(identity, { url: cloud.enrolUrl, ca, signal: proof })
      await prove(cloud.endpoints, fresh, ca, proof)
      await identities.promote(fresh.slot)
      const { serialNumber, notAfterMs } = fresh
      const detail = { serial: serialNumber, notAfterMs }
      reports.add({ type: 'cloud.certificate_renewed', message: 'renewed', detail })
      return true
    } catch (error) {
      if (signal.aborted) return false
      if (!(error instanceof CloudError) && !proof.aborted) throw error
      const code = error instanceof CloudError ? error.code : 'CLOUD_TIMEOUT'
      const message = error instanceof CloudError ? error.message : 'not proven in time'
      const detail = { notAfterMs: identity.notAfterMs }
      reports.add({ type: 'cloud.certificate_failed', code, message, detail })
      return false
    }
  }

  /** With the certificate itself while it is valid, after that with what the factory put in. */
  async #request(identity: SlotIdentity, server: EnrolmentServer): Promise<SlotIdentity> {
    const { identities, nowMs } = this.#state
    if (identity.notAfterMs > nowMs()) return renewIdentity(identities, identity, server)
    const factory = await identities.factory()
    if (!factory)
      throw new CloudError('CLOUD_ENROL', 'the certificate has ended, no factory identity')
    return recoverIdentity(identities, factory, server)
  }

  /** Says once for each of 30, 14, 7 and 1 days that a certificate ends, also across restarts. */
  async #warnOfEnd(): Promise<void> {
    const { identities, nowMs, outbox, reports } = this.#state
    const identity = await identities.current()
    if (!identity) return
    const { serialNumber, notAfterMs } = identity
    const days = WARN_DAYS.find(limit => notAfterMs - nowMs() <= limit * DAY_MS)
    const warning = `${serialNumber} ${days}`
    if (days === undefined || outbox.fact(WARNED) === warning) return
    outbox.setFact(WARNED, warning)
    const message = `the certificate ends within ${days} days`
    reports.add({ type: 'cloud.certificate_ending', message, detail: { notAfterMs, days } })
  }
}

/** Half fixed and half at random, doubling from a minute to the usual look. */
export function renewalRetryMs(failures: number, random: () => number): number {
  const capMs = Math.min(LOOK_MS, RETRY_BASE_MS * 2 ** Math.min(failures, 10))
  return capMs / 2 + (random() * capMs) / 2
}

/** A session at one of the endpoints, in whichever protocol it speaks: the running one may not have found out yet. */
async function prove(
  endpoints: readonly string[],
  fresh: SlotIdentity,
  ca: string,
  signal: AbortSignal,
): Promise<void> {
  let unreachable: unknown
  for (const endpoint of endpoints) {
    const open = (protocol: 5 | 4): Promise<Link> =>
      openLink({
        ...parseEndpoint(endpoint),
        ...{ ca, identity: fresh, protocol, sessionExpiryS: 0, subscriptions: [], signal },
        // Under another client id, so that the running session is not taken over.
        clientId: `${fresh.device}-proof`,
        onMessage: async () => undefined,
      })
    try {
      await using _ = await open(5).catch(error => {
        if (error instanceof CloudError && mayBeOld(error)) return open(4)
        throw error
      })
      return
    } catch (error) {
      const isAway = ['CLOUD_UNREACHABLE', 'CLOUD_TIMEOUT'].includes(codeOf(error))
      if (!isAway) throw error
      unreachable = error
    }
  }
  throw unreachable
}

function codeOf(error: unknown): string {
  return error instanceof CloudError ? error.code : ''
}
