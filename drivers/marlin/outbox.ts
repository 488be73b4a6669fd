/** What goes on the wire next: rewound lines first, then commands, then the program, each when there is room. */
import { DriverError } from '../errors.ts'
import { frameCommand, frameProgramLine, markText } from './codec.ts'
import type { Feed } from './feed.ts'
import {
  type Acknowledgement,
  append,
  entryOf,
  hasRoom,
  isRewound,
  peek,
  type SendWindow,
  takeRewound,
} from './window-state.ts'

/** A command outside the program, from its call to its acknowledgement. */
export interface Ticket {
  readonly text: string
  readonly replies: string[]
  readonly isUrgent: boolean
  /** A mark instead of `text`: resolves when everything before it was executed, by the controller's own word. */
  readonly isMark: boolean
  isCancelled: boolean
  resolve(replies: readonly string[]): void
  reject(reason: unknown): void
}

/** Who waits for a line: a program line by number, a command by its ticket, or nobody (marks). */
export type Owner =
  | { readonly kind: 'program'; readonly line: number; readonly feed: Feed }
  | { readonly kind: 'command'; readonly ticket: Ticket }
  | { readonly kind: 'driver' }

const DRIVER: Owner = { kind: 'driver' }

/** `N`, `*` and checksum around a mark at their longest. */
const MARK_OVERHEAD_BYTES = 16

/** The sending half of a conversation: owns the tickets that wait and the feed, shares the window. */
export class Outbox {
  readonly #window: SendWindow<Owner>
  readonly #markEveryLines: number
  readonly #tickets: Ticket[] = []
  #lastMark = 0
  feed: Feed | undefined
  linesSent = 0

  constructor(window: SendWindow<Owner>, markEveryLines: number) {
    this.#window = window
    this.#markEveryLines = markEveryLines
  }

  /** Queues a command; urgent ones go first. */
  push(ticket: Ticket): void {
    if (ticket.isUrgent) this.#tickets.unshift(ticket)
    else this.#tickets.push(ticket)
  }

  /** Every frame that may be written now, taken as written. */
  nextFrames(): string {
    if (this.#window.settlingFrom !== undefined) return ''
    let frames = ''
    for (;;) {
      const frame = this.#nextFrame()
      if (frame === '') return frames
      frames += frame
    }
  }

  /** A line whose answer tells how far the controller is, whatever room there is: the next old line of a rewind, or else a mark. */
  nextProbe(): string {
    return takeRewound(this.#window)?.frame ?? this.#appendMark()
  }

  /** Rejects whatever waits or is in flight. */
  fail(error: unknown): void {
    this.feed?.stop(error)
    for (const ticket of this.#tickets.splice(0)) ticket.reject(error)
    for (let n = this.#window.acked + 1; n < this.#window.next; n++) {
      const owner = entryOf(this.#window, n)?.owner
      if (owner?.kind === 'command') owner.ticket.reject(error)
    }
  }

  #nextFrame(): string {
    if (isRewound(this.#window)) return this.#nextRewound()
    const ticket = this.#tickets[0]
    if (ticket) return this.#nextCommand(ticket)
    return this.#nextProgramLine()
  }

  #nextRewound(): string {
    const entry = peek(this.#window)
    if (!entry) return ''
    const { owner } = entry
    if (owner.kind === 'program' && owner.feed.isStopped) {
      // Its number is owed, its text is not: nothing of a stopped program is written any more.
      entry.text = markText(entry.n)
      entry.frame = frameCommand(entry.n, entry.text)
      entry.by = 'mark'
      entry.owner = DRIVER
    }
    if (!hasRoom(this.#window, entry.frame.length)) return ''
    takeRewound(this.#window)
    // First of a rewind: ends whatever half line the controller's own flush left behind.
    return this.#window.cursor - 1 === this.#window.received + 1 ? `\n${entry.frame}` : entry.frame
  }

  #nextCommand(ticket: Ticket): string {
    if (ticket.isCancelled) {
      this.#tickets.shift()
      return this.#nextFrame()
    }
    const frame = this.#frameOf(ticket)
    if (frame === undefined) {
      this.#tickets.shift()
      return this.#nextFrame()
    }
    // What the emergency parser takes from the receive interrupt needs no room in the queue it is meant to unblock.
    if (!ticket.isUrgent && !hasRoom(this.#window, frame.length)) return ''
    this.#tickets.shift()
    if (ticket.isMark) return this.#appendMark({ kind: 'command', ticket })
    const by = /^M105(?!\d)/.test(ticket.text) ? 'temperatures' : 'ok'
    return this.#append(ticket.text, frame, by, { kind: 'command', ticket })
  }

  #frameOf(ticket: Ticket): string | undefined {
    try {
      if (ticket.isMark) return frameCommand(this.#window.next, markText(this.#window.next))
      return frameProgramLine(this.#window.next, ticket.text)
    } catch (error) {
      ticket.reject(error)
      return undefined
    }
  }

  #nextProgramLine(): string {
    const { feed } = this
    const line = feed?.peek()
    // Framing what there is no room for would be done again with the next acknowledgement.
    if (!feed || !line || !hasRoom(this.#window, line.text.length)) return ''
    if (!this.#window.isNumbered && this.#window.next - this.#lastMark >= this.#markEveryLines) {
      if (!hasRoom(this.#window, MARK_OVERHEAD_BYTES)) return ''
      return this.#appendMark()
    }
    const frame = this.#frameOfLine(feed, line)
    if (frame === '' || !hasRoom(this.#window, frame.length)) return ''
    feed.take()
    return this.#append(line.text, frame, 'ok', { kind: 'program', line: line.line, feed })
  }

  #frameOfLine(
    feed: Feed,
    { line, text }: { readonly line: number; readonly text: string },
  ): string {
    try {
      return frameProgramLine(this.#window.next, text)
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error)
      feed.stop(
        new DriverError('DRIVER_LINE_REFUSED', `line ${line}: ${message}`, { line, cause: error }),
      )
      return ''
    }
  }

  #appendMark(owner: Owner = DRIVER): string {
    const text = markText(this.#window.next)
    this.#lastMark = this.#window.next
    return this.#append(text, frameCommand(this.#window.next, text), 'mark', owner)
  }

  #append(text: string, frame: string, by: Acknowledgement, owner: Owner): string {
    append(this.#window, { text, frame, by }, owner)
    this.linesSent++
    return frame
  }
}
