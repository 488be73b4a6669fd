/** The Sparkplug B face of a tenant: what its store received, told again as one edge node whose devices are the printers. */

import {
  CloudError,
  type Endpoint,
  type Identity,
  type Link,
  openLink,
  superviseLink,
} from '#cloud'
import type { Clock } from '#lib/clock.ts'
import type { FleetStore, OverviewRow } from '../store.ts'
import { CYCLE, commandTopic, type EdgeNode, EdgeSession, isRebirthRequest } from './edge-node.ts'
import { PrinterFeed, type PrinterState, stateOf } from './printer-feed.ts'

export interface SparkplugOptions {
  readonly node: EdgeNode
  readonly store: FleetStore
  readonly endpoints: readonly Endpoint[]
  readonly ca: string
  readonly identity: Identity
  readonly clock: Clock
  readonly random: () => number
  readonly onLink?: (link: Link) => void
  readonly onRefused?: (error: CloudError) => void
}

/** How often the store is looked at. */
const LOOK_MS = 1000

interface Printer {
  readonly feed: PrinterFeed
  /** As it was born; undefined while it is not. */
  born: PrinterState | undefined
}

export class SparkplugFace {
  readonly #options: SparkplugOptions
  readonly #printers = new Map<string, Printer>()
  #unsaid: number | undefined
  #isRebirthDue = false

  constructor(options: SparkplugOptions) {
    this.#options = options
  }

  /** Tells until the signal aborts; the link is opened again whatever ends it. */
  async run(signal: AbortSignal): Promise<void> {
    const { endpoints, clock, random, onLink, onRefused } = this.#options
    let session: EdgeSession | undefined
    await superviseLink(
      {
        ...{ endpoints, clock, random },
        open: async (endpoint, protocol, opening) => {
          const bdSeq = this.#nextBdSeq()
          session = new EdgeSession(this.#options.node, bdSeq)
          return this.#open(session, { ...endpoint, protocol, signal: opening }).catch(error => {
            if (isBeforeConnect(error)) this.#unsaid = bdSeq
            throw error
          })
        },
        use: async (link, ended) => {
          if (!session) return
          onLink?.(link)
          await this.#tell(link, session, ended)
        },
        onRefused: async error => onRefused?.(error),
      },
      signal,
    )
  }

  #open(
    session: EdgeSession,
    where: Endpoint & { readonly protocol: 5 | 4; readonly signal: AbortSignal },
  ): Promise<Link> {
    const { node, ca, identity, clock } = this.#options
    const goodbye = session.death(clock.wallMs())
    const { topic, payload } = goodbye
    return openLink({
      ...where,
      ...{ ca, identity, clientId: `sparkplug-${node.group}-${node.edge}` },
      sessionExpiryS: 0,
      will: { topic, payload, delayS: 0, isRetained: false, isLastWord: true },
      // MQTT 3.1.1 has no DISCONNECT that leaves the will.
      ...(where.protocol === 4 && { goodbye }),
      subscriptions: [commandTopic(node)],
      onMessage: async (_topic, command) => {
        this.#isRebirthDue ||= isRebirthRequest(command)
      },
    })
  }

  /** One more with each CONNECT that may have been sent, also after a restart. */
  #nextBdSeq(): number {
    const { node, store } = this.#options
    const unsaid = this.#unsaid
    this.#unsaid = undefined
    return unsaid ?? store.next(`sparkplug ${node.group}/${node.edge}`) % CYCLE
  }

  /** Births first; once a rebirth was asked for no data before it. Births are a second apart, whoever asks. */
  async #tell(link: Link, session: EdgeSession, ended: AbortSignal): Promise<void> {
    const { clock, store } = this.#options
    this.#isRebirthDue = true
    while (!ended.aborted) {
      if (this.#isRebirthDue) await this.#bear(link, session)
      for (const row of store.overview()) {
        if (this.#isRebirthDue || ended.aborted) break
        await this.#look(link, session, row)
      }
      await clock.sleep(LOOK_MS, ended).catch(() => undefined)
    }
  }

  async #bear(link: Link, session: EdgeSession): Promise<void> {
    this.#isRebirthDue = false
    for (const printer of this.#printers.values()) printer.born = undefined
    await link.publish(session.birth(this.#options.clock.wallMs()))
  }

  async #look(link: Link, session: EdgeSession, row: OverviewRow): Promise<void> {
    const { device } = row
    const atMs = this.#options.clock.wallMs()
    const printer = this.#printerOf(device)
    const { feed, born } = printer
    const state = stateOf(row)
    const isBorn = born?.session === state.session && !feed.hasOtherDictionary(row)
    if (state.isOnline && !isBorn) {
      const { tags, readings } = feed.birth(row, atMs)
      await link.publish(session.deviceBirth(device, tags, readings, atMs))
      printer.born = state
    } else if (state.isOnline) {
      const readings = feed.changes(row, atMs)
      if (readings.length > 0) await link.publish(session.deviceData(device, readings, atMs))
    } else if (born) {
      await link.publish(session.deviceDeath(device, atMs))
      printer.born = undefined
    }
  }

  #printerOf(device: string): Printer {
    const known = this.#printers.get(device)
    if (known) return known
    const printer = { feed: new PrinterFeed(this.#options.store, device), born: undefined }
    this.#printers.set(device, printer)
    return printer
  }
}

function isBeforeConnect(error: unknown): boolean {
  return (
    error instanceof CloudError &&
    (error.code === 'CLOUD_UNREACHABLE' || error.code.startsWith('CLOUD_TLS'))
  )
}
