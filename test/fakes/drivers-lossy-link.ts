/** A cable between an outbox and a model firmware without any clock: a schedule of choices decides what arrives next, and how damaged. */
import type { ProgramLine } from '../../drivers/controller.ts'
import type { Dialect } from '../../drivers/dialect.ts'
import { Feed } from '../../drivers/shell/feed.ts'
import { Outbox } from '../../drivers/shell/outbox.ts'
import type { Owner } from '../../drivers/shell/ticket.ts'
import { createFlipper, seeded } from '../../drivers/sim/faults.ts'
import { Firmware } from '../../drivers/sim/firmware.ts'
import { settle } from '../../drivers/window/acknowledge.ts'
import { createWindow, entryOf, type SendWindow } from '../../drivers/window/send-window.ts'

export interface LossyLinkOptions {
  readonly dialect: Dialect
  readonly seed: number
  readonly lines: readonly string[]
  readonly hasAdvancedOk: boolean
  readonly bufferLines: number
  readonly ringBytes: number
  readonly flipInPerByte: number
  readonly flipOutPerByte: number
  readonly dropReplyRate: number
  /** How likely, in each step, it is asked again although an answer is still on its way: a timer on a busy computer. */
  readonly impatience: number
}

export interface LossyLinkOutcome {
  /** 'stuck': neither finished nor stopped within the step limit. */
  readonly end: 'drained' | 'noise' | 'refused' | 'impossible' | 'stuck'
  readonly executed: readonly string[]
  readonly resends: number
  readonly overrunBytes: number
  readonly maxInFlight: number
  readonly maxBytes: number
}

/** Runs a whole program over the cable. Deterministic in its options. */
export function runLossyLink(options: LossyLinkOptions): LossyLinkOutcome {
  const cable = new Cable(options)
  const limit = options.lines.length * 400 + 4000
  for (let step = 0; step < limit && cable.end === undefined; step++) cable.step()
  return cable.outcome()
}

class Cable {
  readonly #options: LossyLinkOptions
  readonly #random: () => number
  readonly #flipIn: (bytes: Uint8Array) => number
  readonly #flipOut: (bytes: Uint8Array) => number
  readonly #firmware: Firmware
  readonly #window: SendWindow<Owner>
  readonly #outbox: Outbox
  readonly #feed: Feed
  readonly #executed: string[] = []
  readonly #toHost: string[] = []
  #toBoard = ''
  #pulled = 0
  #isProbeAsked = false
  #isProofAsked = false
  #maxInFlight = 0
  #maxBytes = 0
  #nowMs = 0
  end: LossyLinkOutcome['end'] | undefined

  constructor(options: LossyLinkOptions) {
    const { dialect } = options
    this.#options = options
    this.#window = createWindow(dialect.tuning, dialect.rules)
    this.#outbox = new Outbox(this.#window, {
      ...{ dialect, tuning: { markEveryLines: 16 }, isCompact: false },
    })
    this.#random = seeded(options.seed)
    this.#flipIn = createFlipper(options.flipInPerByte, false, this.#random)
    this.#flipOut = createFlipper(options.flipOutPerByte, false, this.#random)
    this.#firmware = new Firmware(
      {
        dialect: dialect.name,
        ringBytes: options.ringBytes,
        bufferLines: options.bufferLines,
        hasAdvancedOk: options.hasAdvancedOk,
        hasEmergencyParser: true,
        hasAutoreport: true,
        hasMeatPack: false,
        speed: 1e9,
        busyIntervalMs: 2000,
      },
      {
        reply: line => this.#toHost.push(line),
        executed: text => this.#executed.push(text),
        checked: () => undefined,
      },
    )
    const next = (): ProgramLine | undefined => {
      const text = options.lines[this.#pulled]
      return text === undefined ? undefined : { line: ++this.#pulled, text }
    }
    this.#feed = new Feed({ next }, () => undefined)
    this.#prove(() => {
      this.#outbox.feed = this.#feed
    })
  }

  // As a stream does, before its first line and after its last.
  #prove(then: () => void): void {
    this.#outbox.push({
      text: '',
      isMark: true,
      isUrgent: false,
      isCancelled: false,
      replies: [],
      resolve: then,
      reject: () => undefined,
    })
  }

  step(): void {
    const window = this.#window
    const { impatience } = this.#options
    this.#toBoard += this.#outbox.nextFrames()
    this.#maxInFlight = Math.max(this.#maxInFlight, window.cursor - 1 - window.acked)
    this.#maxBytes = Math.max(this.#maxBytes, window.outstandingBytes)
    const isBoardFirst = this.#random() < 0.5
    if (this.#toBoard !== '' && (isBoardFirst || this.#toHost.length === 0)) this.#toFirmware()
    else if (this.#toHost.length > 0) this.#fromFirmware(this.#toHost.shift() ?? '')
    else this.#quiet()
    // The settle time may also end before the stale lines have arrived.
    if (window.settlingFrom !== undefined && this.#random() < 0.05) settle(window)
    const isDue = this.#isProbeAsked && this.#random() < 0.5
    const isImpatient = window.acked < window.next - 1 && this.#random() < impatience
    if ((isDue || isImpatient) && window.settlingFrom === undefined) this.#probe()
  }

  outcome(): LossyLinkOutcome {
    return {
      end: this.end ?? 'stuck',
      executed: this.#executed,
      resends: this.#window.resends,
      overrunBytes: this.#firmware.receiver.overrunBytes,
      maxInFlight: this.#maxInFlight,
      maxBytes: this.#maxBytes,
    }
  }

  // What the shell's timers do once neither side says anything more.
  #quiet(): void {
    const { length } = this.#options.lines
    const isDrained =
      this.#feed.executedLines === length && this.#window.acked === this.#window.next - 1
    if (this.#window.settlingFrom !== undefined) settle(this.#window)
    else if (isDrained && this.#isProofAsked) this.end = 'drained'
    else if (isDrained) {
      this.#isProofAsked = true
      this.#prove(() => undefined)
    } else this.#probe()
  }

  #probe(): void {
    this.#isProbeAsked = false
    this.#toBoard += `\n${this.#outbox.nextProbe()}`
  }

  #toFirmware(): void {
    const count = 1 + Math.floor(this.#random() * Math.min(this.#toBoard.length, 60))
    const bytes = Buffer.from(this.#toBoard.slice(0, count), 'latin1')
    this.#toBoard = this.#toBoard.slice(count)
    this.#flipIn(bytes)
    this.#nowMs++
    this.#firmware.receive(bytes, this.#nowMs)
  }

  #fromFirmware(line: string): void {
    if (this.#random() < this.#options.dropReplyRate) return
    const bytes = Buffer.from(`${line}\n`, 'latin1')
    this.#flipOut(bytes)
    for (const received of bytes.toString('latin1').split('\n'))
      if (received !== '') this.#hear(received)
  }

  #hear(line: string): void {
    const before = this.#window.acked
    const { dialect } = this.#options
    const verdict = dialect.hear(this.#window, dialect.parseReply(line))
    // The shell ends a print over each of them.
    if (verdict.kind === 'noise' || verdict.kind === 'impossible') this.end = verdict.kind
    if (verdict.kind === 'restarted') this.end = 'impossible'
    if (verdict.kind === 'refused' && this.#isProgram(verdict.n)) this.end = 'refused'
    if (verdict.kind === 'probe') this.#isProbeAsked = true
    for (let n = before + 1; n <= this.#window.acked; n++) {
      const owner = entryOf(this.#window, n)?.owner
      if (owner?.kind === 'program') this.#feed.executed(owner.line)
      else if (owner?.kind === 'command') owner.ticket.resolve([])
    }
  }

  #isProgram(n: number): boolean {
    return entryOf(this.#window, n)?.owner.kind === 'program'
  }
}

/** What was executed of the program itself: without the driver's own commands. */
export function programOf(executed: readonly string[]): readonly string[] {
  return executed.filter(text => !/^M(?:105|110|114|115|118|155|400)(?!\d)/.test(text))
}
