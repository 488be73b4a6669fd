/** From the core's log to the outbox: every event, in order, once; and the hold when there is no room for more. */

import type { Clock } from '#lib/clock.ts'
import type { EventView } from '#lib/control-protocol.ts'
import type { CoreClient } from './core-client.ts'
import { CloudError } from './errors.ts'
import { type OcsfDevice, ocsfRecord } from './ocsf.ts'
import type { Outbox } from './outbox.ts'
import { untilStored } from './stored.ts'

/** The core reads and answers a page between two lines of a print: two milliseconds of it at most. */
export const PAGE = 40

export interface PumpOptions {
  readonly outbox: Outbox
  readonly core: Pick<CoreClient, 'request'>
  readonly clock: Pick<Clock, 'sleep'>
  readonly device: OcsfDevice
  /** Told of events once they are in the outbox. */
  readonly onAdded: (events: readonly EventView[]) => void
}

export class EventsPump {
  readonly #options: PumpOptions
  #news = Promise.withResolvers<void>()
  #isHeld: boolean | undefined

  constructor(options: PumpOptions) {
    this.#options = options
  }

  /** The core has a new event, or the outbox has room again. */
  news(): void {
    this.#news.resolve()
  }

  /** Runs until the signal aborts. What a full disk does not take is still in the core's log. @throws CloudError CLOUD_CORE */
  async run(signal: AbortSignal): Promise<void> {
    signal.addEventListener('abort', () => this.news(), { once: true })
    while (!signal.aborted) {
      this.#news = Promise.withResolvers()
      await this.#hold(this.#options.outbox.isEventStoreFull)
      if (!this.#options.outbox.isEventStoreFull && (await this.#pull(signal))) continue
      await this.#news.promise
    }
  }

  /** One page. True when there may be more. */
  async #pull(signal: AbortSignal): Promise<boolean> {
    const { outbox, core, clock, device, onAdded } = this.#options
    const after = outbox.lastOf('evt')
    const { events } = await core.request('events.list', { after, limit: PAGE })
    const [first] = events
    if (first && first.sequence !== after + 1)
      throw new CloudError('CLOUD_CORE', `event ${first.sequence} after ${after}`)
    const items = events.map(event => ({ seq: event.sequence, body: encode(event, device) }))
    await untilStored(() => outbox.appendEvents(items), clock, signal)
    if (events.length > 0) onAdded(events)
    return events.length === PAGE
  }

  /** Tells the core once a change; and always once after a start, because either side may have forgotten. */
  async #hold(isHeld: boolean): Promise<void> {
    if (this.#isHeld === isHeld) return
    await this.#options.core.request('intake.hold', { isHeld })
    this.#isHeld = isHeld
  }
}

function encode(event: EventView, device: OcsfDevice): Uint8Array {
  return Buffer.from(JSON.stringify(ocsfRecord(event, device)))
}
