/** The program's side of a stream: pulls lines when there is room, holds, ends, and knows how far it was executed. */
import type { LineSource, ProgramLine } from '../controller.ts'

/** Where a feed stands. `ended`: the source has no more; `stopped`: nothing more is pulled, for `reason`. */
export type FeedState =
  | { readonly kind: 'feeding' }
  | { readonly kind: 'held' }
  | { readonly kind: 'ended' }
  | { readonly kind: 'stopped'; readonly reason: unknown }

/** Settles `finished` when every pulled line was executed, or the feed was stopped. */
export class Feed {
  readonly finished: Promise<void>
  readonly #source: LineSource
  readonly #onReady: () => void
  #resolve: () => void = () => undefined
  #reject: (reason: unknown) => void = () => undefined
  #state: FeedState = { kind: 'feeding' }
  #pulled: ProgramLine | undefined
  #isPulling = false
  /** Program lines written, and executed; and the number of the last one executed. */
  writtenLines = 0
  executedLines = 0
  lastExecuted = 0

  /** `onReady` is called, from the event loop, when a line that was awaited has come. */
  constructor(source: LineSource, onReady: () => void) {
    this.#source = source
    this.#onReady = onReady
    this.finished = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    // Whoever streams awaits it later; a stop before that is not unhandled.
    this.finished.catch(() => undefined)
  }

  get isStopped(): boolean {
    return this.#state.kind === 'stopped'
  }

  /** The next line to write, or `undefined` when there is none now. Does not take it. */
  peek(): ProgramLine | undefined {
    if (this.#state.kind !== 'feeding') return undefined
    if (!this.#pulled && !this.#isPulling) this.#pull()
    return this.#pulled
  }

  /** The line that {@link peek} showed was written. */
  take(): void {
    this.#pulled = undefined
    this.writtenLines++
  }

  /** A written line was executed. */
  executed(line: number): void {
    // A rewind behind a damaged acknowledgement brings a line twice; lines of a program only grow.
    if (line <= this.lastExecuted) return
    this.executedLines++
    this.lastExecuted = line
    this.#finishIfDone()
  }

  hold(): void {
    if (this.#state.kind === 'feeding') this.#state = { kind: 'held' }
  }

  release(): void {
    if (this.#state.kind === 'held') this.#state = { kind: 'feeding' }
  }

  /** Pulls nothing more and rejects. The first reason stands. */
  stop(reason: unknown): void {
    if (this.#state.kind === 'stopped') return
    this.#state = { kind: 'stopped', reason }
    this.#pulled = undefined
    this.#reject(reason)
  }

  #pull(): void {
    try {
      // Blank lines carry no command, so Marlin would never acknowledge them.
      for (;;) {
        const next = this.#source.next()
        if (next instanceof Promise) return this.#await(next)
        if (next?.text === '') continue
        return this.#accept(next)
      }
    } catch (error) {
      this.stop(error)
    }
  }

  #await(next: Promise<ProgramLine | undefined>): void {
    this.#isPulling = true
    next.then(
      line => {
        this.#isPulling = false
        if (this.isStopped) return
        if (line?.text === '') this.#pull()
        else this.#accept(line)
        this.#onReady()
      },
      (reason: unknown) => {
        this.#isPulling = false
        this.stop(reason)
      },
    )
  }

  #accept(line: ProgramLine | undefined): void {
    if (line) {
      this.#pulled = line
      return
    }
    this.#state = { kind: 'ended' }
    this.#finishIfDone()
  }

  #finishIfDone(): void {
    if (this.#state.kind === 'ended' && this.executedLines === this.writtenLines) this.#resolve()
  }
}
