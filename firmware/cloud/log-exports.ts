/** Stretches of the log that signed commands asked for: remembered until every segment of them is in the outbox. */

import { z } from 'zod'
import { unlessAborted } from '#lib/unless-aborted.ts'
import type { CoreClient } from './core-client.ts'
import type { CourierState } from './courier.ts'
import { CloudError } from './errors.ts'
import { untilStored } from './stored.ts'

const WANTED = 'log-exports'
const stretch = z.object({ from: z.int(), to: z.int() })
type Stretch = z.infer<typeof stretch>

type Shared = Pick<CourierState, 'outbox' | 'sender' | 'ports'>

export class LogExports {
  readonly #state: Shared
  #news = Promise.withResolvers<void>()

  constructor(state: Shared) {
    this.#state = state
  }

  /** Events `from` to `to`, which the core has checked; durable with the transaction around it. @throws CloudError CLOUD_STORE */
  want(args: unknown): void {
    this.#remember([...this.#wanted(), stretch.parse(args)])
    this.#news.resolve()
  }

  /** Segment by segment, on from where an earlier life ended, until the signal aborts. @throws CloudError CLOUD_CORE */
  async run(core: Pick<CoreClient, 'request' | 'isEnded'>, signal: AbortSignal): Promise<void> {
    const { outbox, sender, ports } = this.#state
    for (;;) {
      this.#news = Promise.withResolvers()
      const [next, ...others] = this.#wanted()
      if (!next) {
        await unlessAborted(this.#news.promise, signal)
        continue
      }
      const asking = core.request('log.segment', next).catch((error: unknown) => {
        if (!(error instanceof CloudError) || core.isEnded) throw error
        ports.log.warn({ err: error }, 'a stretch of the log cannot be exported')
        return undefined
      })
      const segment = await unlessAborted(asking, signal)
      // The segment and how far it brought us: both or neither.
      const store = () =>
        outbox.atomically(() => {
          if (segment) outbox.append('seg', [Buffer.from(segment.envelope, 'base64')])
          const from = segment ? segment.to + 1 : next.to + 1
          this.#remember(from > next.to ? others : [{ from, to: next.to }, ...others])
        })
      await untilStored(store, ports.clock, signal)
      sender.added()
    }
  }

  #wanted(): readonly Stretch[] {
    return z.array(stretch).parse(JSON.parse(this.#state.outbox.fact(WANTED) ?? '[]'))
  }

  #remember(wanted: readonly Stretch[]): void {
    this.#state.outbox.setFact(WANTED, JSON.stringify(wanted))
  }
}
