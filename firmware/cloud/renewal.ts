/** The client certificate renewed in time: a new key in the spare slot, proven by a connection of its own before the old one is given up. */

import type { CourierState } from './courier.ts'
import { recoverIdentity, renewIdentity } from './enrol.ts'
import { CloudError, type CloudErrorCode } from './errors.ts'
import { isRenewalDue, type SlotIdentity } from './identity.ts'
import { type Link, openLink } from './mqtt-link.ts'
import { isStored } from './stored.ts'
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
/** The serial number of the certificate that a signed command wants replaced. */
const WANTED = 'certificate-unwanted'
/** Of one that was promoted and not told of yet. */
const UNTOLD = 'certificate-untold'

type Shared = Pick<CourierState, 'cloud' | 'identities' | 'identity' | 'unaccepted' | 'nowMs'> &
  Pick<CourierState, 'outbox'> & {
    readonly ports: Pick<CourierState['ports'], 'clock' | 'random'>
    readonly reports: Pick<CourierState['reports'], 'add'>
  }

export class CertificateRenewal {
  readonly #state: Shared
  /** The certificate that serves, as it was seen last. */
  #serialNumber: string
  #wake = new AbortController()

  constructor(state: Shared) {
    this.#state = state
    this.#serialNumber = state.identity.serialNumber
  }

  /** Replaces the certificate that serves now, whatever ends this life; durable with the transaction around it. @throws CloudError CLOUD_STORE */
  want(): void {
    this.#state.outbox.setFact(WANTED, this.#serialNumber)
    this.#wake.abort()
  }

  /** Looks every few hours until the signal aborts; after a failure again within minutes, then less and less often. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, random } = this.#state.ports
    let failures = 0
    while (!signal.aborted) {
      this.#wake = new AbortController()
      const isDone = await this.#look(signal)
      failures = isDone ? 0 : failures + 1
      await this.#warnOfEnd()
      const pauseMs = isDone ? LOOK_MS : renewalRetryMs(failures, random)
      const either = AbortSignal.any([signal, this.#wake.signal])
      await clock.sleep(pauseMs, either).catch(() => undefined)
    }
  }

  /** False when a renewal is due and failed: that is an event, and what serves stays as it is. */
  async #look(signal: AbortSignal): Promise<boolean> {
    const { nowMs, outbox } = this.#state
    const serving = await this.#serving()
    this.#tellRenewed(serving)
    const isWanted = outbox.fact(WANTED) === serving.serialNumber
    if (!isWanted && !isRenewalDue(serving, nowMs())) return true
    return this.#renew(serving, signal)
  }

  /** The current certificate, or the other slot's where that one serves. */
  async #serving(): Promise<SlotIdentity> {
    const { identities, identity, nowMs, unaccepted } = this.#state
    return (await identities.usable(nowMs(), unaccepted)) ?? identity
  }

  async #renew(serving: SlotIdentity, signal: AbortSignal): Promise<boolean> {
    const { identities, outbox, reports } = this.#state
    const proof = AbortSignal.any([signal, AbortSignal.timeout(ATTEMPT_MS)])
    try {
      const fresh = await this.#proven(serving, proof)
      // First: cut off right behind the promotion, the next life tells of it.
      isStored(() => outbox.setFact(UNTOLD, fresh.serialNumber))
      await identities.promote(fresh.slot)
      this.#tellRenewed(fresh)
      return true
    } catch (error) {
      if (signal.aborted) return false
      const { code, message } = failureOf(error, proof)
      const detail = { notAfterMs: serving.notAfterMs }
      reports.add({ type: 'cloud.certificate_failed', code, message, detail })
      return false
    }
  }

  #tellRenewed({ serialNumber, notAfterMs }: SlotIdentity): void {
    const { outbox, reports } = this.#state
    this.#serialNumber = serialNumber
    if (outbox.fact(UNTOLD) !== serialNumber) return
    const detail = { serial: serialNumber, notAfterMs }
    reports.add({ type: 'cloud.certificate_renewed', message: 'renewed', detail })
    isStored(() => outbox.setFact(UNTOLD, ''))
  }

  /** A new certificate in the slot that does not serve, accepted by a broker. One that no broker has judged yet is kept and tried again. */
  async #proven(serving: SlotIdentity, signal: AbortSignal): Promise<SlotIdentity> {
    const { cloud, identities, unaccepted } = this.#state
    const ca = await readPinned(cloud.caFile)
    // Whatever was current: the slot that serves is never written to.
    if ((await identities.spareSlot()) === serving.slot) await identities.promote(serving.slot)
    const spare = await identities.load(await identities.spareSlot()).catch(() => undefined)
    const isUnproven =
      spare && spare.notAfterMs > serving.notAfterMs && spare.serialNumber !== unaccepted
    const fresh = isUnproven ? spare : await this.#request(serving, ca, signal)
    try {
      await prove(cloud.endpoints, fresh, ca, signal)
      return fresh
    } catch (error) {
      if (isRefusal(error)) await identities.discard(fresh.slot)
      throw error
    }
  }

  /** With the certificate itself while it is valid, after that with what the factory put in. */
  async #request(serving: SlotIdentity, ca: string, signal: AbortSignal): Promise<SlotIdentity> {
    const { cloud, identities, nowMs } = this.#state
    if (cloud.enrolUrl === undefined) throw new CloudError('CLOUD_ENROL', 'no enrolment URL')
    const server = { url: cloud.enrolUrl, ca, signal }
    if (serving.notAfterMs > nowMs()) return renewIdentity(identities, serving, server)
    const factory = await identities.factory()
    if (!factory)
      throw new CloudError('CLOUD_ENROL', 'the certificate has ended, no factory identity')
    return recoverIdentity(identities, factory, server)
  }

  /** Says once for each of 30, 14, 7 and 1 days that a certificate ends, also across restarts. */
  async #warnOfEnd(): Promise<void> {
    const { nowMs, outbox, reports } = this.#state
    const { serialNumber, notAfterMs } = await this.#serving()
    const days = WARN_DAYS.find(limit => notAfterMs - nowMs() <= limit * DAY_MS)
    const warning = `${serialNumber} ${days}`
    if (days === undefined || outbox.fact(WARNED) === warning) return
    isStored(() => outbox.setFact(WARNED, warning))
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
  let failure: unknown
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
      if (isRefusal(error) || !(error instanceof CloudError)) throw error
      failure = error
    }
  }
  throw failure
}

/** Of the certificate; every other failure says nothing about it. */
const REFUSALS: ReadonlySet<CloudErrorCode> = new Set([
  ...(['CLOUD_TLS_OWN_EXPIRED', 'CLOUD_TLS_OWN_REFUSED'] as const),
  ...(['CLOUD_BROKER_AUTH', 'CLOUD_BROKER_BANNED', 'CLOUD_UNANSWERED'] as const),
])

function isRefusal(error: unknown): boolean {
  return error instanceof CloudError && REFUSALS.has(error.code)
}

/** A failure in words for an event. Throws what is neither ours, nor the end of the time, nor the system's. */
function failureOf(
  error: unknown,
  proof: AbortSignal,
): { readonly code: CloudErrorCode; readonly message: string } {
  if (error instanceof CloudError) return error
  if (proof.aborted) return { code: 'CLOUD_TIMEOUT', message: 'not proven in time' }
  if (error instanceof Error && 'syscall' in error)
    return { code: 'CLOUD_STORE', message: error.message }
  throw error
}
