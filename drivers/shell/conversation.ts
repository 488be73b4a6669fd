/** The shell around the window: one link, one event loop's worth of lines at a time, in one write. */
import type { Clock } from '#lib/clock.ts'
import type { ControllerEvent, Temperatures } from '../controller.ts'
import type { Dialect } from '../dialect.ts'
import { DriverError } from '../errors.ts'
import type { Reply } from '../reply.ts'
import type { SerialLink } from '../serial-link.ts'
import type { Tuning } from '../tuning.ts'
import { forgetInFlight, settle } from '../window/acknowledge.ts'
import { createWindow, entryOf, inFlightLines, type SendWindow } from '../window/send-window.ts'
import type { Verdict } from '../window/verdict.ts'
import type { Feed } from './feed.ts'
import { Flush } from './flush.ts'
import type { Health } from './health.ts'
import { Inquest } from './inquest.ts'
import { Outbox, type OutboxOptions } from './outbox.ts'
import { Progress } from './progress.ts'
import { Repair } from './repair.ts'
import { eventOf, faultOf, isWorking, restartError } from './reports.ts'
import { Sender } from './sender.ts'
import { StatusDesk } from './status-desk.ts'
import { collectReply, issue, type Owner } from './ticket.ts'

export interface ConversationOptions extends OutboxOptions {
  readonly clock: Clock
  readonly tuning: Tuning
  readonly dialect: Dialect
  readonly link: SerialLink
  readonly health: Health
  readonly onEvent: (event: ControllerEvent) => void
}

/** From the greeting to the loss or close of the link. */
export class Conversation {
  readonly window: SendWindow<Owner>
  readonly outbox: Outbox
  readonly #options: ConversationOptions
  readonly #dialect: Dialect
  readonly #health: Health
  readonly #sender: Sender
  readonly #repair: Repair
  readonly #flush: Flush
  readonly #inquest: Inquest
  readonly progress: Progress
  /** Of dialects that report their status beside the queue. */
  readonly statusDesk: StatusDesk
  #failure: DriverError | undefined
  #ackedLine = 0
  isEmergencyParsed = false
  /** It tells temperatures at intervals: asked to, or heard while idle. Any other tells them while it waits for heat, and only then. */
  isReporting = false
  temperatures: Temperatures = {}

  constructor(options: ConversationOptions) {
    this.#options = options
    this.#dialect = options.dialect
    this.#health = options.health
    this.window = createWindow(options.tuning, options.dialect.rules)
    this.outbox = new Outbox(this.window, options)
    this.#sender = new Sender({
      window: this.window,
      outbox: this.outbox,
      link: options.link,
      clock: options.clock,
      onPump: () => this.#announceAcked(),
      onResumed: () => this.progress.moved(),
    })
    this.progress = new Progress(options.clock, options.tuning, this.window)
    this.statusDesk = new StatusDesk({
      ...{ ...options, window: this.window, isDumb: () => this.#isDumb },
      write: bytes => this.#sender.write(bytes),
    })
    this.#flush = new Flush({
      ...{ clock: options.clock, holdStopMs: options.tuning.holdStopMs },
      ...{ sender: this.#sender, isDumb: () => this.#isDumb, onDeaf: error => this.fail(error) },
    })
    this.#inquest = new Inquest({
      ...{ clock: options.clock, end: error => this.fail(error) },
      write: bytes => this.#sender.write(bytes),
    })
    this.#repair = new Repair({
      ...options,
      window: this.window,
      isDumb: () => this.#isDumb,
      probe: () => this.probe(),
      settled: () => this.settled(),
      goOn: () => this.#sender.pump(),
    })
  }

  get failure(): DriverError | undefined {
    return this.#failure
  }

  get #isDumb(): boolean {
    return this.#failure !== undefined || this.isDetached
  }

  get inFlight(): number {
    return inFlightLines(this.window)
  }

  get isDetached(): boolean {
    return this.#sender.isDetached
  }

  /** Feeds a program from now on; one at a time. */
  feed(feed: Feed | undefined): void {
    this.outbox.feed = feed
    this.#sender.pump()
  }

  /** Issues a command; resolves with its reply lines. */
  command(text: string, signal?: AbortSignal): Promise<readonly string[]> {
    const isUrgent = this.isEmergencyParsed && this.#dialect.codec.isEmergencyCommand(text)
    return this.#issue(text, isUrgent, false, signal)
  }

  /** Resolves when everything issued before was executed, by the controller's own word, where counting alone could be wrong. */
  async prove(signal: AbortSignal): Promise<void> {
    const { mark } = this.window.rules
    if (mark === 'none' || this.window.isNumbered) return
    await this.#issue('', false, true, signal)
  }

  /** Resets the controller, whatever it holds, and resolves once it has greeted; where the conversation has failed nobody waits. */
  async restart(reset: string): Promise<void> {
    if (this.#failure) this.#sender.write(reset)
    else await this.#flush.begin({ hold: '', reset })
  }

  /** Takes one line of the controller. */
  onLine(line: string): void {
    if (this.#failure) return
    const reply = this.statusDesk.reread(this.#dialect.parseReply(line))
    if (this.#inquest.hears(reply)) return
    const before = this.window.acked
    // An answer belongs to the command that is being executed: the oldest one not acknowledged.
    collectReply(entryOf(this.window, this.window.acked + 1)?.owner, line, reply)
    const verdict = this.#dialect.hear(this.window, reply)
    this.#health.judge(reply, this.window, this.#flush.isStartExpected)
    if (verdict.kind !== 'nothing') this.#obey(verdict, before)
    this.#publish(reply)
  }

  /** Every line of one read was taken: writes what they made room for. Latency ends where the kernel is called: whom it runs next is its own affair. */
  onBatch(readAtMs: number): void {
    if (this.#sender.pump()) this.#health.okToWrite.record(this.#sender.sentAtMs - readAtMs)
  }

  /** The kernel takes bytes again. */
  onDrain(): void {
    this.#sender.drained()
  }

  /** Writes what may be written, before the next event of the loop. */
  pumpSoon(): void {
    this.#sender.pumpSoon()
  }

  /** The time for stale lines to arrive is over. */
  settled(): void {
    settle(this.window)
    this.#sender.pump()
  }

  /** Asks how far the controller is: by a line of its own, or beside the queue. */
  probe(): void {
    if (this.progress.probed()) this.#health.stalls++
    if (this.#isDumb || this.window.settlingFrom !== undefined) return
    if (this.#dialect.probe.kind === 'bytes') return this.statusDesk.ask()
    this.#sender.write(this.outbox.nextProbe())
  }

  /** Ends everything that waits, once. The link stays for an emergency stop. */
  fail(error: DriverError): void {
    if (this.#failure) return
    this.#failure = error
    this.#sender.end()
    this.outbox.fail(error)
    this.statusDesk.fail(error)
    this.#flush.fail(error)
    this.#options.onEvent({ kind: 'lost', error })
  }

  /** The port is gone for now: nothing is written until {@link attach}. */
  detach(): void {
    this.#sender.detach()
    this.window.expecting = 'nothing'
  }

  /** The port is back and the controller has received every line before `from`; `undefined`: it must be asked. */
  attach(link: SerialLink, from: number | undefined): void {
    this.#sender.attach(link)
    this.progress.moved()
    this.window.settlingFrom = from
    if (from !== undefined) this.settled()
    else if (this.inFlight > 0) this.probe()
    else this.#sender.resume()
  }

  #issue(
    text: string,
    isUrgent: boolean,
    isMark: boolean,
    signal?: AbortSignal,
  ): Promise<readonly string[]> {
    if (this.#failure) return Promise.reject(this.#failure)
    return issue({ text, isUrgent, isMark }, signal, ticket => {
      this.outbox.push(ticket)
      this.#sender.pump()
    })
  }

  #obey(verdict: Verdict, before: number): void {
    switch (verdict.kind) {
      case 'acked':
        return this.#acknowledged(before)
      case 'resend':
        this.#options.onEvent({
          kind: 'resend',
          from: verdict.from,
          reason: 'line damaged or lost',
        })
        return this.#repair.settleLater()
      case 'probe':
        return this.#repair.settleLater()
      case 'lost':
        return this.#repair.askLater()
      case 'noise': {
        const text = `${verdict.resends} resends in ${this.window.next} lines`
        this.outbox.feed?.stop(new DriverError('DRIVER_NOISE', text))
        this.#acknowledged(before)
        return this.#repair.settleLater()
      }
      case 'refused':
        return this.#refused(verdict.n, verdict.reason, before)
      case 'restarted':
        return this.fail(restartError(verdict.reason, this.outbox.lastExecuted))
      case 'impossible':
        return this.fail(new DriverError('DRIVER_PROTOCOL', verdict.reason))
      default:
    }
  }

  #refused(n: number, reason: string, before: number): void {
    const owner = entryOf(this.window, n)?.owner
    if (owner?.kind === 'command')
      owner.ticket.reject(new DriverError('DRIVER_COMMAND_REFUSED', reason))
    this.#acknowledged(before, n)
    if (owner?.kind !== 'program') return
    const { line } = owner
    owner.feed.stop(new DriverError('DRIVER_COMMAND_REFUSED', `line ${line}: ${reason}`, { line }))
    if (this.#dialect.stop.flush) void this.#flush.begin(this.#dialect.stop.flush)
  }

  #acknowledged(before: number, refused = 0): void {
    if (this.window.acked > before) this.progress.moved()
    for (let n = before + 1; n <= this.window.acked; n++) {
      const owner = entryOf(this.window, n)?.owner
      if (n === refused) continue
      if (owner?.kind === 'program') {
        this.#ackedLine = owner.line
        owner.feed.executed(owner.line)
      } else if (owner?.kind === 'command') owner.ticket.resolve(owner.ticket.replies)
    }
  }

  #publish(reply: Reply): void {
    if (reply.kind === 'temperatures') this.isReporting ||= this.inFlight === 0
    const isUnasked = reply.kind === 'temperatures' && !this.isReporting
    if (isUnasked || isWorking(reply)) this.progress.busy()
    if (reply.kind === 'temperatures' || reply.kind === 'okTemperatures')
      this.temperatures = { ...this.temperatures, ...reply.temperatures }
    if (reply.kind === 'status') this.statusDesk.answer(reply)
    const event = eventOf(reply)
    if (event) this.#options.onEvent(event)
    if (reply.kind === 'start' && this.#flush.isStartExpected) return this.#restarted()
    const fault =
      faultOf(reply, this.window.acked, this.outbox.lastExecuted) ??
      (this.#flush.isStartExpected ? undefined : this.statusDesk.faultOf(reply))
    if (fault) this.#inquest.open(reply, fault)
  }

  #restarted(): void {
    const error = new DriverError('DRIVER_COMMAND_REFUSED', 'dropped with the refused program')
    this.outbox.failInFlight(error)
    forgetInFlight(this.window)
    this.statusDesk.isChecking = false
    this.#flush.ended()
  }

  // One event a batch: whoever listens wants the last line executed, not each.
  #announceAcked(): void {
    if (this.#ackedLine === 0) return
    const line = this.#ackedLine
    this.#ackedLine = 0
    this.#options.onEvent({ kind: 'acked', line })
  }
}
