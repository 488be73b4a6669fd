/** Failed log-ins: told at once, then by the minute; an address that fails on and on is not listened to for the rest of it. */

import type { Clock } from '#lib/clock.ts'
import { FleetError } from './errors.ts'

const WINDOW_MS = 60_000
const MAX_FAILURES = 10

export class LoginGuard implements Disposable {
  readonly #clock: Clock
  readonly #tell: (message: string) => void
  readonly #ending = new AbortController()
  /** Of this minute, by address. */
  readonly #failures = new Map<string, number>()

  /** `tell` hears of failures at most twice a minute. */
  constructor(clock: Clock, tell: (message: string) => void) {
    this.#clock = clock
    this.#tell = tell
  }

  [Symbol.dispose](): void {
    this.#ending.abort()
  }

  /** What `check` finds. @throws what it throws; FleetError FLEET_API_KEY when this address has failed too often in this minute */
  async admit(address: string, check: () => Promise<string>): Promise<string> {
    const failures = this.#failures.get(address) ?? 0
    if (failures >= MAX_FAILURES)
      throw new FleetError('FLEET_API_KEY', 'too many failed log-ins: wait a minute')
    return check().catch((error: unknown) => {
      this.#failed(address)
      throw error
    })
  }

  #failed(address: string): void {
    if (this.#failures.size === 0) {
      this.#tell(`failed log-in from ${address}`)
      void this.#clock.sleep(WINDOW_MS, this.#ending.signal).then(
        () => this.#conclude(),
        () => undefined,
      )
    }
    this.#failures.set(address, (this.#failures.get(address) ?? 0) + 1)
  }

  #conclude(): void {
    const total = [...this.#failures.values()].reduce((sum, count) => sum + count, 0)
    if (total > 1)
      this.#tell(`${total} failed log-ins in a minute, from ${this.#failures.size} addresses`)
    this.#failures.clear()
  }
}
