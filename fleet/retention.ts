/** What the store lets go of, so that its file stops growing: old telemetry, offers nobody can ask for any more. Events, answers and alarms stay. */

import { DatabaseSync } from 'node:sqlite'
import { setImmediate as others } from 'node:timers/promises'
import { z } from 'zod'
import type { Clock } from '#lib/clock.ts'
import { FleetError } from './errors.ts'

const DAY_MS = 86_400_000
/** An offer lives a week (jobs.ts). */
const OFFER_MS = 8 * DAY_MS
const SWEEP_MS = 3_600_000
/** Batches deleted in one transaction: other workers wait no longer than for these. */
const STEP = 1000

const OLDEST = `
  DELETE FROM items WHERE device = ?1 AND stream = 'tele' AND at_ms < ?2
    AND seq IN (SELECT seq FROM items WHERE device = ?1 AND stream = 'tele' ORDER BY seq LIMIT ${STEP})`

export class Retention implements Disposable {
  readonly #database: DatabaseSync
  readonly #telemetryMs: number

  /** Beside an open `FleetStore` of the same file. @throws FleetError FLEET_FILE */
  constructor(path: string, telemetryDays: number) {
    this.#telemetryMs = telemetryDays * DAY_MS
    try {
      this.#database = new DatabaseSync(path, { timeout: 10_000 })
    } catch (cause) {
      throw new FleetError('FLEET_FILE', 'the store cannot be opened', { cause })
    }
  }

  [Symbol.dispose](): void {
    this.#database.close()
  }

  /** Now and every hour, until the signal aborts. */
  async run(clock: Clock, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.sweep(clock.wallMs(), signal)
      await clock.sleep(SWEEP_MS, signal).catch(() => undefined)
    }
  }

  /** In short steps, each for itself: what is cut off goes on in the next sweep. */
  async sweep(atMs: number, signal: AbortSignal): Promise<void> {
    const database = this.#database
    database
      .prepare("DELETE FROM facts WHERE name GLOB 'offer:*' AND at_ms < ?")
      .run(atMs - OFFER_MS)
    const remove = database.prepare(OLDEST)
    const devices = database.prepare("SELECT device FROM streams WHERE stream = 'tele'").all()
    for (const row of devices) {
      const { device } = z.object({ device: z.string() }).parse(row)
      do await others()
      while (
        !signal.aborted &&
        Number(remove.run(device, atMs - this.#telemetryMs).changes) === STEP
      )
    }
  }
}
