/** The program's lines as they go on the wire: shortened where the printer's configuration asks for it, and how much that saved. */
import { createCompactor } from '../compact.ts'
import type { ProgramLine } from '../controller.ts'
import type { Feed } from './feed.ts'

/** Questions and waits: after them feed, position and modes are what they were. */
const ASKS = /^(?:M(?:105|114|115|118|155|400)(?!\d)|G4 )/

/** Each line is shortened once, in order, by what the lines before it left in the controller. */
export class Shortener {
  readonly #compactor = createCompactor()
  #feed: Feed | undefined
  /** The line shortened last: asked for again until there is room for it. */
  #line: ProgramLine | undefined
  #text = ''
  savedBytes = 0

  /** The line's text for the wire. */
  textOf(feed: Feed, line: ProgramLine): string {
    if (feed !== this.#feed) this.#forget()
    this.#feed = feed
    if (line !== this.#line) {
      this.#line = line
      this.#text = this.#compactor.compact(line.text)
    }
    return this.#text
  }

  /** It was written. */
  sent(line: ProgramLine): void {
    this.savedBytes += line.text.length - this.#text.length
  }

  /** A command from elsewhere goes between the lines. */
  interrupted(text: string): void {
    if (!ASKS.test(text)) this.#forget()
  }

  #forget(): void {
    this.#compactor.forget()
    this.#line = undefined
  }
}
