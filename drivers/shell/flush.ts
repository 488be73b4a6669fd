/** After a refused line: motion is held, then everything the controller still holds is dropped, for it would still move. */
import type { Clock } from '#lib/clock.ts'
import type { Sender } from './sender.ts'

/** A greeting that came damaged is asked for again, long after it would have come. */
const GREETING_MS = 3_000

export interface FlushOptions {
  readonly clock: Clock
  readonly holdStopMs: number
  readonly sender: Pick<Sender, 'write' | 'pause' | 'resume'>
  /** True while nothing may be written. */
  readonly isDumb: () => boolean
}

export class Flush {
  readonly #options: FlushOptions
  #isFlushing = false
  #isStartExpected = false

  constructor(options: FlushOptions) {
    this.#options = options
  }

  /** The next start of the controller was asked for. */
  get isStartExpected(): boolean {
    return this.#isStartExpected
  }

  /** What else is refused of what it holds goes with the rest. */
  begin({ hold, reset }: { readonly hold: string; readonly reset: string }): void {
    if (this.#isFlushing) return
    this.#isFlushing = true
    this.#options.sender.write(hold)
    this.#options.sender.pause()
    this.#resetUntilStarted(reset).catch(() => undefined)
  }

  /** The controller is empty. */
  ended(): void {
    this.#isFlushing = false
    this.#isStartExpected = false
    this.#options.sender.resume()
  }

  // Ends with the greeting, or with the conversation, which waits for no acknowledgement for ever.
  async #resetUntilStarted(reset: string): Promise<void> {
    const { clock, holdStopMs, sender, isDumb } = this.#options
    await clock.sleep(holdStopMs)
    this.#isStartExpected = true
    while (this.#isStartExpected && !isDumb()) {
      sender.write(reset)
      await clock.sleep(GREETING_MS)
    }
  }
}
