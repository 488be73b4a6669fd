/** The shell around the window: one link, one event loop's worth of lines at a time, in one write. */
import type { Clock } from '#lib/clock.ts'
import type { ControllerEvent, LinkStatistics, Temperatures } from '../controller.ts'
import { DriverError } from '../errors.ts'
import type { SerialLink } from '../serial-link.ts'
import { frameCommand, isEmergencyCommand } from './codec.ts'
import type { Feed } from './feed.ts'
import { Outbox, type Owner, type Ticket } from './outbox.ts'
import { parseReply, type Reply } from './replies.ts'
import { eventOf, faultOf } from './reports.ts'
import type { MarlinTuning } from './tuning.ts'
import { hear, settle, type Verdict } from './window.ts'
import {
  createWindow,
  entryOf,
  inFlightLines,
  limitLines,
  type SendWindow,
} from './window-state.ts'

export interface ConversationOptions {
  readonly clock: Clock
  readonly tuning: MarlinTuning
  readonly link: SerialLink
  readonly onEvent: (event: ControllerEvent) => void
}

/** From `M110 N0` to the loss or close of the link. */
export class Conversation {
  readonly #clock: Clock
  readonly #tuning: MarlinTuning
  readonly #link: SerialLink
  readonly #onEvent: (event: ControllerEvent) => void
  readonly #window: SendWindow<Owner>
  readonly #outbox: Outbox
  #failure: DriverError | undefined
  #isWritable = true
  #isPumpDue = false
  #bytesSent = 0
  #ackedLine = 0
  /** Since when nothing has moved the acknowledgements, and nothing says that the controller works on it. */
  #stalledSinceMs: number
  #probes = 0
  #isBusy = false
  #hasEmergencyParser = false
  temperatures: Temperatures = {}

  constructor(options: ConversationOptions) {
    this.#clock = options.clock
    this.#tuning = options.tuning
    this.#link = options.link
    this.#onEvent = options.onEvent
    this.#window = createWindow(options.tuning)
    this.#outbox = new Outbox(this.#window, options.tuning.markEveryLines)
    this.#stalledSinceMs = this.#clock.nowMs()
  }

  get failure(): DriverError | undefined {
    return this.#failure
  }

  get inFlight(): number {
    return inFlightLines(this.#window)
  }

  get stalledSinceMs(): number {
    return this.#stalledSinceMs
  }

  statistics(bytesReceived: number): LinkStatistics {
    return {
      linesSent: this.#outbox.linesSent,
      linesAcked: this.#window.acked,
      bytesSent: this.#bytesSent,
      bytesReceived,
      resends: this.#window.resends,
      inFlightLines: this.inFlight,
      windowLines: limitLines(this.#window),
    }
  }

  /** The firmware reads emergency commands from the receive interrupt: nothing need be kept free for them. */
  useEmergencyParser(): void {
    this.#hasEmergencyParser = true
    this.#window.reservedLines = 0
  }

  /** Feeds a program from now on; one at a time. */
  feed(feed: Feed | undefined): void {
    this.#outbox.feed = feed
    this.#pump()
  }

  /** Issues a command; resolves with its reply lines. */
  command(text: string, signal?: AbortSignal): Promise<readonly string[]> {
    return this.#issue(text, false, signal)
  }

  /** Resolves when everything issued before was executed and, without ADVANCED_OK, the count of acknowledgements is proved. */
  async prove(signal: AbortSignal): Promise<void> {
    if (!this.#window.isNumbered) await this.#issue('', true, signal)
  }

  /** Takes one line of the controller. */
  onLine(line: string): void {
    if (this.#failure) return
    const reply = parseReply(line)
    const before = this.#window.acked
    // An answer belongs to the command that is being executed: the oldest one not acknowledged.
    this.#collect(line, reply)
    const verdict = hear(this.#window, reply)
    if (verdict.kind !== 'nothing') this.#obey(verdict, before)
    this.#publish(reply)
  }

  /** The kernel takes bytes again. */
  onDrain(): void {
    this.#isWritable = true
    this.#pump()
  }

  /** Writes what may be written, before the next event of the loop. */
  pumpSoon(): void {
    if (this.#isPumpDue) return
    this.#isPumpDue = true
    queueMicrotask(() => {
      this.#isPumpDue = false
      this.#pump()
    })
  }

  /** The time for stale lines to arrive is over. */
  settled(): void {
    settle(this.#window)
    this.#pump()
  }

  /** Asks with a line of its own how far the controller is: the next old line after a rewind, a mark otherwise. */
  probe(): void {
    this.#probes++
    if (this.#failure || this.#window.settlingFrom !== undefined) return
    // The line feed ends a line whose own was lost on the way; alone it is not acknowledged.
    this.#write(`\n${this.#outbox.nextProbe()}`)
  }

  /**
   * Milliseconds without progress after which the next probe is due. Where a probe would take the last free slot, or the
   * controller said it is busy, it waits for longer than a busy interval: probes must not pile up behind an M109.
   */
  get probeDelayMs(): number {
    const { bufferLines, reservedLines } = this.#window
    const isTight = this.#isBusy || this.inFlight >= bufferLines - reservedLines
    const afterMs = isTight ? this.#tuning.probeBusyAfterMs : this.#tuning.probeAfterMs
    return Math.min(afterMs * 2 ** this.#probes, this.#tuning.maxProbeAfterMs)
  }

  /** Ends everything that waits, once. The link stays for an emergency stop. */
  fail(error: DriverError): void {
    if (this.#failure) return
    this.#failure = error
    this.#outbox.fail(error)
    this.#onEvent({ kind: 'lost', error })
  }

  /** The frame a numbered emergency stop has: the next number in order. */
  emergencyFrame(): string {
    return frameCommand(this.#window.next, 'M112')
  }

  #issue(text: string, isMark: boolean, signal?: AbortSignal): Promise<readonly string[]> {
    return new Promise((resolve, reject) => {
      if (this.#failure) return reject(this.#failure)
      if (signal?.aborted) return reject(signal.reason)
      const abort = (): void => {
        ticket.isCancelled = true
        ticket.reject(signal?.reason)
      }
      const ticket: Ticket = {
        text,
        isMark,
        isUrgent: this.#hasEmergencyParser && isEmergencyCommand(text),
        replies: [],
        isCancelled: false,
        resolve: replies => {
          signal?.removeEventListener('abort', abort)
          resolve(replies)
        },
        reject: reason => {
          signal?.removeEventListener('abort', abort)
          reject(reason)
        },
      }
      signal?.addEventListener('abort', abort, { once: true })
      this.#outbox.push(ticket)
      this.#pump()
    })
  }

  #obey(verdict: Verdict, before: number): void {
    switch (verdict.kind) {
      case 'acked':
        this.#acknowledged(before)
        this.pumpSoon()
        return
      case 'resend':
        this.#onEvent({ kind: 'resend', from: verdict.from, reason: 'line damaged or lost' })
        this.#settleLater()
        return
      case 'probe':
        this.#settleLater()
        return
      case 'noise':
        this.#outbox.feed?.stop(
          new DriverError(
            'DRIVER_NOISE',
            `${verdict.resends} resends in ${this.#window.next} lines`,
          ),
        )
        this.#settleLater()
        return
      case 'impossible':
        this.fail(new DriverError('DRIVER_PROTOCOL', verdict.reason))
        return
      default:
    }
  }

  #settleLater(): void {
    this.#clock.sleep(this.#tuning.settleMs).then(
      () => {
        if (this.#failure) return
        if (this.#window.settlingFrom === undefined) this.probe()
        else this.settled()
      },
      () => undefined,
    )
  }

  #acknowledged(before: number): void {
    this.#progress()
    for (let n = before + 1; n <= this.#window.acked; n++) {
      const owner = entryOf(this.#window, n)?.owner
      if (owner?.kind === 'program') {
        this.#ackedLine = owner.line
        owner.feed.executed(owner.line)
      } else if (owner?.kind === 'command') owner.ticket.resolve(owner.ticket.replies)
    }
  }

  #progress(): void {
    this.#stalledSinceMs = this.#clock.nowMs()
    this.#probes = 0
    this.#isBusy = false
  }

  #collect(line: string, reply: Reply): void {
    const owner = entryOf(this.#window, this.#window.acked + 1)?.owner
    if (owner?.kind !== 'command') return
    if (reply.kind === 'ok' || reply.kind === 'busy' || reply.kind === 'action') return
    if (reply.kind === 'linkError' || reply.kind === 'resend') return
    owner.ticket.replies.push(line)
  }

  #publish(reply: Reply): void {
    // Heating waits report like this, and nothing else, on builds without busy lines.
    const isWorking = reply.kind === 'busy' || (reply.kind === 'temperatures' && reply.isWaiting)
    if (isWorking) {
      this.#isBusy = true
      this.#stalledSinceMs = this.#clock.nowMs()
    }
    if (reply.kind === 'temperatures' || reply.kind === 'okTemperatures')
      this.temperatures = { ...this.temperatures, ...reply.temperatures }
    const event = eventOf(reply)
    if (event) this.#onEvent(event)
    const fault = faultOf(reply, this.#window.acked)
    if (fault) this.fail(fault)
  }

  #pump(): void {
    this.#announceAcked()
    if (this.#failure || !this.#isWritable) return
    const wasIdle = this.inFlight === 0
    const frames = this.#outbox.nextFrames()
    if (frames === '') return
    if (wasIdle) this.#progress()
    this.#write(frames)
  }

  // One event a batch: whoever listens wants the last line executed, not each.
  #announceAcked(): void {
    if (this.#ackedLine === 0) return
    const line = this.#ackedLine
    this.#ackedLine = 0
    this.#onEvent({ kind: 'acked', line })
  }

  #write(frames: string): void {
    this.#bytesSent += frames.length
    this.#isWritable = this.#link.write(frames)
  }
}
