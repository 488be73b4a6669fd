/** After a refused line: motion is held, then everything the controller still holds is dropped, for it would still move. */
import type { Clock } from '#lib/clock.ts'
import type { Sender } from './sender.ts'

export interface FlushOptions {
  readonly clock: Clock
  readonly holdStopMs: number
  readonly sender: Pick<Sender, 'write' | 'pause' | 'resume'>
  /** True while nothing may be written. */
  readonly isDumb: () => boolean
}

export class Flush {
  readonly #options: FlushOptions
  #isStartExpected = false

  constructor(options: FlushOptions) {
    this.#options = options
  }

  /** The next start of the controller was asked for. */
  get isStartExpected(): boolean {
    return this.#isStartExpected
  }

  begin({ hold, reset }: { readonly hold: string; readonly reset: string }): void {
    const { clock, holdStopMs, sender, isDumb } = this.#options
    sender.write(hold)
    sender.pause()
    clock.sleep(holdStopMs).then(
      () => {
        if (isDumb()) return
        this.#isStartExpected = true
        sender.write(reset)
        sender.pause()
      },
      () => undefined,
    )
  }

  /** The controller is empty. */
  ended(): void {
    this.#isStartExpected = false
    this.#options.sender.resume()
  }
}
