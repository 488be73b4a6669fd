/** Keeps one link open: endpoint after endpoint, protocol 5 before 3.1.1, waiting longer and at random after each refusal. */

import type { Clock } from '#lib/clock.ts'
import { CloudError } from './errors.ts'
import type { Link } from './mqtt-link.ts'

export interface Endpoint {
  readonly host: string
  readonly port: number
}

export interface SupervisorOptions {
  readonly endpoints: readonly Endpoint[]
  readonly clock: Clock
  /** Uniform in [0, 1). */
  readonly random: () => number
  /** @throws CloudError */
  readonly open: (endpoint: Endpoint, protocol: 5 | 4, signal: AbortSignal) => Promise<Link>
  /** Uses the link until it ends. */
  readonly use: (link: Link, signal: AbortSignal) => Promise<void>
  /** Told of each refusal and each end that was not ours. Must not reject. */
  readonly onRefused: (error: CloudError) => Promise<void>
}

const BASE_DELAY_MS = 1000
const MAX_DELAY_MS = 120_000
const MAX_DOUBLINGS = 7
/** A session this long was a good one: the next failure starts from a short wait again. */
const GOOD_SESSION_MS = 60_000
const DEFAULT_PORT = 8883

/** mqtts://host:port; nothing else exists in the configuration. */
export function parseEndpoint(text: string): Endpoint {
  const [, host, port] = /^mqtts:\/\/([A-Za-z0-9.-]+)(?::(\d+))?$/.exec(text) ?? []
  if (host === undefined) throw new CloudError('CLOUD_MALFORMED', 'endpoint is not mqtts://')
  return { host, port: port === undefined ? DEFAULT_PORT : Number(port) }
}

/** Full jitter (AWS architecture blog, 2015): uniform between nothing and the cap, so that a fleet never returns as one. */
export function delayMs(failures: number, random: () => number): number {
  const cap = Math.min(MAX_DELAY_MS, BASE_DELAY_MS * 2 ** Math.min(failures, MAX_DOUBLINGS))
  return random() * cap
}

/** Runs until the signal aborts. */
export async function superviseLink(
  options: SupervisorOptions,
  signal: AbortSignal,
): Promise<void> {
  const { endpoints, clock, random } = options
  /** Endpoints that are next spoken to in 3.1.1: their broker refused 5. A refusal of that too makes it 5 again. */
  const olds = new Set<Endpoint>()
  let failures = 0
  for (let turn = 0; !signal.aborted; turn++) {
    const endpoint = endpoints[turn % endpoints.length]
    if (!endpoint) return
    const sinceMs = clock.nowMs()
    const refusal = await session(options, endpoint, olds, signal)
    if (signal.aborted) return
    failures = clock.nowMs() - sinceMs > GOOD_SESSION_MS ? 0 : failures + 1
    if (refusal && mayBeOld(refusal)) {
      if (!olds.delete(endpoint)) {
        olds.add(endpoint)
        turn -= 1
        continue
      }
    }
    if (refusal) await options.onRefused(refusal)
    await clock.sleep(delayMs(failures, random), signal).catch(() => undefined)
  }
}

/** Brokers before MQTT 5 refuse its CONNECT with a code (3.1.1, 3.2.2.3) or just close (RabbitMQ before 3.13). */
export function mayBeOld({ code }: CloudError): boolean {
  return code === 'CLOUD_BROKER_VERSION' || code === 'CLOUD_UNANSWERED'
}

async function session(
  options: SupervisorOptions,
  endpoint: Endpoint,
  olds: ReadonlySet<Endpoint>,
  signal: AbortSignal,
): Promise<CloudError | undefined> {
  try {
    await using link = await options.open(endpoint, olds.has(endpoint) ? 4 : 5, signal)
    const ended = new AbortController()
    const onAbort = () => {
      ended.abort(signal.reason)
      // Nobody who waits for an acknowledgement keeps us.
      void link[Symbol.asyncDispose]()
    }
    // What ended us while the link was being opened is not told again.
    if (signal.aborted) onAbort()
    signal.addEventListener('abort', onAbort, { once: true })
    void link.closed.then(() => ended.abort(new DOMException('link ended', 'AbortError')))
    try {
      await options.use(link, ended.signal)
    } finally {
      signal.removeEventListener('abort', onAbort)
    }
    return ended.signal.aborted && !signal.aborted ? await link.closed : undefined
  } catch (error) {
    if (error instanceof CloudError) return error
    if (signal.aborted) return undefined
    throw error
  }
}
