/** What printers ask for, one request after the other for each. */

/** A printer asks for more while half of what it asked for is still on its way; whoever asks for more than this asks again later. */
const MAX_WAITING = 4

export class RequestQueues {
  readonly #onFailed: (device: string, error: unknown) => void
  readonly #tails = new Map<string, Promise<void>>()
  readonly #waiting = new Map<string, number>()

  constructor(onFailed: (device: string, error: unknown) => void) {
    this.#onFailed = onFailed
  }

  /** Serves it after those that the printer asked for before; not at all when too many wait. */
  add(device: string, serve: () => Promise<void>): void {
    const waiting = this.#waiting.get(device) ?? 0
    if (waiting >= MAX_WAITING) return
    this.#waiting.set(device, waiting + 1)
    const tail = (this.#tails.get(device) ?? Promise.resolve())
      .then(serve)
      .catch((error: unknown) => this.#onFailed(device, error))
      .finally(() => this.#served(device))
    this.#tails.set(device, tail)
  }

  /** Resolves when nothing that was asked for is being served any more. */
  async drained(): Promise<void> {
    await Promise.all(this.#tails.values())
  }

  #served(device: string): void {
    const waiting = (this.#waiting.get(device) ?? 1) - 1
    if (waiting > 0) this.#waiting.set(device, waiting)
    else {
      this.#waiting.delete(device)
      this.#tails.delete(device)
    }
  }
}
