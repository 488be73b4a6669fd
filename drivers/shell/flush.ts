/** A soft reset that was asked for: everything the controller still holds is dropped, for it would still move. */
import type { Clock } from '#lib/clock.ts'
import { DriverError } from '../errors.ts'
import type { Sender } from './sender.ts'

/** A greeting that came damaged is asked for again, long after it would have come. */
const GREETING_MS = 3_000
/** At one damaged byte in a hundred a greeting is lost once in ten times. */
const RESETS = 10

export interface FlushOptions {
  readonly clock: Clock
  readonly holdStopMs: number
  readonly sender: Pick<Sender, 'write' | 'pause' | 'resume'>
  /** True while nothing may be written. */
  readonly isDumb: () => boolean
  /** Told when no reset was greeted. */
  readonly onDeaf: (error: DriverError) => void
}

export class Flush {
  readonly #options: FlushOptions
  #emptied: PromiseWithResolvers<void> | undefined
  #isStartExpected = false

  constructor(options: FlushOptions) {
    this.#options = options
  }

  /** The next start of the controller was asked for. */
  get isStartExpected(): boolean {
    return this.#isStartExpected
  }

  /**
   * Motion is held first where there is any. Whoever begins while one is under way shares it: what else is refused of what the
   * controller holds goes with the rest. Resolves once it is empty, rejects with the failure of the conversation.
   */
  begin({ hold, reset }: { readonly hold: string; readonly reset: string }): Promise<void> {
    if (!this.#emptied) {
      this.#emptied = Promise.withResolvers()
      // Who drops a refused program waits for nothing.
      this.#emptied.promise.catch(() => undefined)
      this.#options.sender.write(hold)
      this.#options.sender.pause()
      this.#resetUntilStarted(hold === '' ? 0 : this.#options.holdStopMs, reset).catch(
        () => undefined,
      )
    }
    return this.#emptied.promise
  }

  /** The controller is empty. */
  ended(): void {
    this.#isStartExpected = false
    this.#emptied?.resolve()
    this.#emptied = undefined
    this.#options.sender.resume()
  }

  fail(error: unknown): void {
    this.#emptied?.reject(error)
  }

  // Ends with the greeting, or with the conversation.
  async #resetUntilStarted(holdMs: number, reset: string): Promise<void> {
    const { clock, sender, isDumb, onDeaf } = this.#options
    if (holdMs > 0) await clock.sleep(holdMs)
    this.#isStartExpected = true
    for (let resets = 0; this.#isStartExpected && !isDumb(); resets++) {
      if (resets === RESETS)
        return onDeaf(new DriverError('DRIVER_SILENT', `no greeting after ${resets} resets`))
      sender.write(reset)
      await clock.sleep(GREETING_MS)
    }
  }
}
