/** One program cut into the turns of several controllers: each turn is a source that ends where another's lines begin. */
import type { LineSource, ProgramLine } from './controller.ts'
import type { Destination } from './routing.ts'

type Next = ProgramLine | undefined | Promise<ProgramLine | undefined>

export class Turns implements LineSource {
  readonly #source: LineSource
  readonly #route: (text: string) => Destination
  readonly #send: (to: number, text: string) => Promise<unknown>
  /** Belongs to the turn that comes next. */
  #held: { readonly line: ProgramLine; readonly to: number } | undefined
  #turn = 0
  /** Lines handed to other controllers without ending a turn. */
  freeLines = 0

  /** `send` resolves when the controller has executed the command. */
  constructor(
    source: LineSource,
    route: (text: string) => Destination,
    send: (to: number, text: string) => Promise<unknown>,
  ) {
    this.#source = source
    this.#route = route
    this.#send = send
  }

  /** Begins the next turn: resolves with whose it is, `undefined` at the end of the program. */
  async begin(): Promise<number | undefined> {
    if (!this.#held) {
      const line = await this.#source.next()
      if (!line) return undefined
      // A free command at the very beginning belongs to its controller all the same.
      this.#held = { line, to: this.#route(line.text).to }
    }
    this.#turn = this.#held.to
    return this.#turn
  }

  /** The next line of the turn that was begun; `undefined` ends it. */
  next(): Next {
    const held = this.#held
    if (held) {
      if (held.to !== this.#turn) return undefined
      this.#held = undefined
      return held.line
    }
    const line = this.#source.next()
    return line instanceof Promise ? line.then(found => this.#take(found)) : this.#take(line)
  }

  #take(line: ProgramLine | undefined): Next {
    if (!line) return undefined
    const { to, isOrdered } = this.#route(line.text)
    if (to === this.#turn) return line
    if (!isOrdered) return this.#sendFree(to, line.text)
    this.#held = { line, to }
    return undefined
  }

  async #sendFree(to: number, text: string): Promise<ProgramLine | undefined> {
    await this.#send(to, text)
    this.freeLines++
    return this.next()
  }
}
