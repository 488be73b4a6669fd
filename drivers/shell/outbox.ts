/** What goes on the wire next: rewound lines first, then commands, then the program, each when there is room. */
import type { Codec, Dialect } from '../dialect.ts'
import { DriverError } from '../errors.ts'
import type { Tuning } from '../tuning.ts'
import { isUnknown } from '../window/motion-state.ts'
import {
  type Acknowledgement,
  append,
  entryOf,
  hasRoom,
  isRewound,
  peek,
  type SendWindow,
  takeRewound,
} from '../window/send-window.ts'
import type { Feed } from './feed.ts'
import { markOf } from './mark.ts'
import { Shortener } from './shortener.ts'
import type { Owner, Ticket } from './ticket.ts'

const DRIVER: Owner = { kind: 'driver' }

/** `N`, `*` and checksum around a mark at their longest. */
const MARK_OVERHEAD_BYTES = 16

export interface OutboxOptions {
  readonly dialect: Pick<Dialect, 'codec'>
  readonly tuning: Pick<Tuning, 'markEveryLines'>
  /** Program lines are shortened before they are framed. */
  readonly isCompact: boolean
}

/** The sending half of a conversation: owns the tickets that wait and the feed, shares the window. */
export class Outbox {
  readonly #window: SendWindow<Owner>
  readonly #codec: Codec
  readonly #markEveryLines: number
  readonly #tickets: Ticket[] = []
  readonly #shortener: Shortener | undefined
  #lastMark = 0
  feed: Feed | undefined
  linesSent = 0

  constructor(window: SendWindow<Owner>, { dialect, tuning, isCompact }: OutboxOptions) {
    this.#window = window
    this.#codec = dialect.codec
    this.#markEveryLines = tuning.markEveryLines
    this.#shortener = isCompact ? new Shortener() : undefined
  }

  /** The program line executed last, as far as acknowledgements say; 0 before the first. */
  get lastExecuted(): number {
    return this.feed?.lastExecuted ?? 0
  }

  /** Bytes the wire was spared so far. */
  get savedBytes(): number {
    return this.#shortener?.savedBytes ?? 0
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
    const rewound = takeRewound(this.#window)
    // The line break ends a line whose own was lost on the way; alone it is not acknowledged.
    if (rewound) return `${this.#codec.lineBreak}${rewound.frame}`
    this.#retireMarks()
    return `${this.#codec.lineBreak}${this.#appendMark()}`
  }

  /** Rejects whatever waits or is in flight. */
  fail(error: unknown): void {
    this.feed?.stop(error)
    for (const ticket of this.#tickets.splice(0)) ticket.reject(error)
    this.failInFlight(error)
  }

  /** Rejects the commands in flight; what waits stays. */
  failInFlight(error: unknown): void {
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
      const mark = markOf(this.#window.rules, entry.n)
      if (!mark) return ''
      Object.assign(entry, mark, { frame: this.#codec.frameCommand(entry.n, mark.text) })
      entry.owner = DRIVER
    }
    if (!hasRoom(this.#window, entry.frame.length)) return ''
    takeRewound(this.#window)
    // First of a rewind: ends whatever half line the controller's own flush left behind.
    return this.#window.cursor - 1 === this.#window.received + 1
      ? `${this.#codec.lineBreak}${entry.frame}`
      : entry.frame
  }

  #nextCommand(ticket: Ticket): string {
    const frame = ticket.isCancelled ? undefined : this.#frameOf(ticket)
    if (frame === undefined) {
      this.#tickets.shift()
      return this.#nextFrame()
    }
    if (ticket.isUrgent && this.#codec.isEmergencyBare) {
      this.#tickets.shift()
      this.#shortener?.interrupted(ticket.text)
      // Taken by the receiver, so it is not in flight. Its copy in the queue may be acknowledged as well.
      this.#window.uncountedAt = this.#window.next
      ticket.resolve([])
      return `\n${ticket.text}\n`
    }
    // What the emergency parser takes from the receive interrupt needs no room in the queue it is meant to unblock.
    if (!ticket.isUrgent && !hasRoom(this.#window, frame.length)) return ''
    this.#tickets.shift()
    if (ticket.isMark) return this.#appendMark({ kind: 'command', ticket })
    this.#shortener?.interrupted(ticket.text)
    const by = this.#codec.acknowledgedBy(ticket.text)
    return this.#append(ticket.text, frame, by, { kind: 'command', ticket })
  }

  #frameOf(ticket: Ticket): string | undefined {
    const n = this.#window.next
    try {
      const text = ticket.isMark ? markOf(this.#window.rules, n)?.text : undefined
      return text === undefined
        ? this.#codec.frameRequest(n, ticket.text)
        : this.#codec.frameCommand(n, text)
    } catch (error) {
      ticket.reject(error)
      return undefined
    }
  }

  #nextProgramLine(): string {
    const { feed } = this
    const line = feed?.peek()
    // Pulling a line may have asked for a command that belongs before it.
    if (this.#tickets.length > 0) return this.#nextFrame()
    // Framing what there is no room for would be done again with the next acknowledgement.
    if (!feed || !line || !hasRoom(this.#window, line.text.length)) return ''
    if (this.#isMarkDue()) {
      if (!hasRoom(this.#window, MARK_OVERHEAD_BYTES)) return ''
      return this.#appendMark()
    }
    const text = this.#shortener?.textOf(feed, line) ?? line.text
    const frame = this.#frameOfLine(feed, { line: line.line, text })
    if (frame === '' || !hasRoom(this.#window, frame.length)) return ''
    feed.take()
    this.#shortener?.sent(line)
    const by = this.#codec.acknowledgedBy(text)
    return this.#append(text, frame, by, { kind: 'program', line: line.line, feed })
  }

  #isMarkDue(): boolean {
    const window = this.#window
    if (window.rules.mark === 'none') return false
    if (window.rules.mark === 'position') return !window.motion || isUnknown(window.motion)
    return !window.isNumbered && window.next - this.#lastMark >= this.#markEveryLines
  }

  #frameOfLine(
    feed: Feed,
    { line, text }: { readonly line: number; readonly text: string },
  ): string {
    try {
      return this.#codec.frameProgramLine(this.#window.next, text)
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error)
      feed.stop(
        new DriverError('DRIVER_LINE_REFUSED', `line ${line}: ${message}`, { line, cause: error }),
      )
      return ''
    }
  }

  #appendMark(owner: Owner = DRIVER): string {
    const mark = markOf(this.#window.rules, this.#window.next)
    if (!mark) return ''
    this.#lastMark = this.#window.next
    const frame = this.#codec.frameCommand(this.#window.next, mark.text)
    return this.#append(mark.text, frame, mark.by, owner)
  }

  // Untagged marks whose answers did not come would take the answer of the one that follows, for ever one behind. Only where a
  // wrong guess is repaired by the firmware's own sequence check.
  #retireMarks(): void {
    if (this.#window.rules.mark !== 'temperatures' || this.#window.rules.historyLines === 0) return
    for (let n = this.#window.acked + 1; n < this.#window.next; n++) {
      const entry = entryOf(this.#window, n)
      if (entry?.by === 'temperatures') entry.by = 'mark'
    }
  }

  #append(text: string, frame: string, by: Acknowledgement, owner: Owner): string {
    append(this.#window, { text, frame, by }, owner)
    this.linesSent++
    return frame
  }
}
