/** A board as its replies show it: command queue, acknowledgements, waits, reports, kill. Bytes in, lines out, time as an argument. */
import { type Block, check, execute, isKnown } from './commands.ts'
import type { FirmwareOptions, FirmwareOutlet } from './firmware-options.ts'
import { Machine } from './machine.ts'
import { PERSONALITIES, type Personality } from './personality.ts'
import { Receiver } from './receiver.ts'
import { ReportClock } from './report-clock.ts'
import { statusReport, temperatureReport } from './status-report.ts'

interface Queued {
  readonly text: string
  readonly line: number | undefined
}

/** One board from power-on; `restart()` is its reset button. */
export class Firmware {
  readonly options: FirmwareOptions
  readonly personality: Personality
  readonly machine = new Machine()
  readonly #outlet: FirmwareOutlet
  #receiver: Receiver
  #queue: Queued[] = []
  #blocked: Block | undefined
  #nowMs = 0
  #reports: ReportClock
  #okText: string | undefined
  #refusals = 0
  isHeld = false
  isHalted = false
  /** grbl's check mode. */
  isChecking = false
  executedCommands = 0

  constructor(options: FirmwareOptions, outlet: FirmwareOutlet) {
    this.options = options
    this.#outlet = outlet
    this.personality = PERSONALITIES[options.dialect]
    this.#receiver = this.#newReceiver()
    this.#reports = new ReportClock(options.busyIntervalMs)
  }

  /** The serial input, for its counters. */
  get receiver(): Receiver {
    return this.#receiver
  }

  /** Reset: numbering, queue, heaters and planner are lost; greets. */
  restart(): void {
    this.#receiver = this.#newReceiver()
    this.#dropQueue()
    this.#reports = new ReportClock(this.options.busyIntervalMs)
    this.isHalted = false
    this.isChecking = false
    this.machine.restart()
    for (const line of this.personality.greeting) this.reply(line)
  }

  /** `kill()`: heaters off, one last word, then deaf until a reset. */
  kill(reason?: string): void {
    for (const line of this.personality.halted(reason)) this.reply(line)
    this.machine.heatersOff()
    this.#dropQueue()
    this.isHalted = true
  }

  #dropQueue(): void {
    this.#queue = []
    this.#blocked = undefined
    this.machine.quickStop()
  }

  readonly reply = (line: string): void => this.#outlet.reply(line)

  /** The answer of a query: a line of its own, or what the acknowledgement says besides. */
  answer(code: string, line: string): void {
    if (this.personality.answersOnOk.includes(code)) this.#okText = `ok ${line}`
    else this.reply(line)
  }

  /** A word nobody knows. */
  answerUnknown(text: string): void {
    const { lines, isAcknowledgement } = this.personality.unknown(text)
    for (const line of lines) this.reply(line)
    if (isAcknowledgement) this.#okText = ''
  }

  /** Answers instead of an acknowledgement. */
  refuse(answer: string): void {
    this.reply(answer)
    this.#okText = ''
  }

  isSpoken(code: string): boolean {
    return !this.personality.missing.test(code)
  }

  get isRunning(): boolean {
    return this.#blocked !== undefined || !this.machine.isIdle || this.#queue.length > 0
  }

  /** Takes bytes that arrived by `nowMs` (wall), running as real firmware does whenever the ring is full. */
  receive(bytes: Uint8Array, nowMs: number): void {
    this.#advance(nowMs)
    let i = 0
    if (this.isHalted) this.#answerHalted(bytes)
    while (i < bytes.length && !this.isHalted) {
      const stored = this.#receiver.fill(bytes, i)
      this.#loop()
      if (stored === i) this.#receiver.overrun(bytes[i++] ?? 0)
      else i = stored
    }
  }

  /** Runs everything that is due by `nowMs` (wall). */
  run(nowMs: number): void {
    this.#advance(nowMs)
    if (this.isHalted) return
    this.#loop()
    this.#report()
  }

  /** Wall time at which {@link run} next has something to do, or `undefined` when only bytes can wake it. */
  nextWakeMs(): number | undefined {
    if (this.isHalted) return undefined
    const blocked = this.#blocked
    const dueMs = blocked ? blocked.untilMs(this.machine) / this.options.speed : undefined
    const wakeMs = Math.min(
      this.#reports.nextMs(blocked !== undefined),
      dueMs ?? Number.POSITIVE_INFINITY,
    )
    return Number.isFinite(wakeMs) ? wakeMs : undefined
  }

  /** M155 S: wall milliseconds between reports, 0 = none. */
  setAutoreport(intervalMs: number): void {
    this.#reports.setAutoreport(this.#nowMs, intervalMs)
  }

  /** M108: ends a wait for heat. */
  breakWait(): void {
    if (this.#blocked?.isHeating) this.#blocked = { ...this.#blocked, isDone: () => true }
  }

  /** Machine milliseconds now. */
  get machineMs(): number {
    return this.#nowMs * this.options.speed
  }

  #newReceiver(): Receiver {
    const { lines: rules } = this.personality
    const onEmergency = (command: string): void => this.#emergency(command)
    return new Receiver({ ...this.options, rules }, onEmergency, this.reply)
  }

  #answerHalted(bytes: Uint8Array): void {
    const { haltedReply, lines } = this.personality
    if (lines.realtime.includes('?') && bytes.includes(0x18)) return this.softReset()
    const whole = Buffer.from(bytes).toString('latin1').split('\n').slice(0, -1)
    for (const line of whole.flatMap(haltedReply)) this.reply(line)
  }

  #emergency(command: string): void {
    if (command === '?') this.reply(statusReport(this))
    else if (command === '!') this.isHeld = !this.isChecking
    else if (command === '~') this.isHeld = false
    else if (command === '\x18') this.softReset()
    else if (command === 'M112') this.kill('echo:M112 Shutdown')
    else if (command === 'M108') this.breakWait()
    else this.machine.quickStop()
  }

  /** grbl starts anew with its position kept; Smoothie halts. */
  softReset(): void {
    if (this.options.dialect === 'smoothie') return this.kill()
    this.#receiver.flush()
    this.#dropQueue()
    this.isHeld = false
    this.isHalted = false
    this.isChecking = false
    this.machine.heatersOff()
    for (const line of this.personality.greeting) this.reply(line)
  }

  #advance(nowMs: number): void {
    if (nowMs > this.#nowMs) this.#nowMs = nowMs
    this.machine.advance(this.machineMs)
  }

  #loop(): void {
    for (;;) {
      this.#fillQueue()
      if (this.isHalted || this.isHeld) return
      if (this.#blocked && !this.#unblock()) return
      const command = this.#queue[0]
      if (!command) return
      this.#start(command)
    }
  }

  #fillQueue(): void {
    while (this.#queue.length < this.options.bufferLines && !this.isHalted) {
      const received = this.#receiver.nextLine()
      if (!received) return
      if (received.kind === 'command') this.#enqueue(received)
      else {
        const { reason, lastLine } = received
        for (const line of this.personality.refusal(reason, lastLine, this.#refusals++))
          this.reply(line)
      }
    }
  }

  #enqueue(command: Queued): void {
    // Without the emergency parser these still act when a bare line leaves the ring (gcode/queue.cpp).
    if (!this.options.hasEmergencyParser && command.line === undefined) {
      if (command.text === 'M112') return this.kill('echo:M112 Shutdown')
      if (command.text === 'M108') this.breakWait()
      if (command.text === 'M410') this.machine.quickStop()
    }
    this.#queue.push(command)
  }

  #start(command: Queued): void {
    if (this.isChecking) return this.#check(command)
    const block = execute(this, command.text)
    if (this.isHalted) return
    if (this.personality.isAcknowledgedBeforePlan && /^G[01](?!\d)/.test(command.text)) {
      this.#acknowledge(command)
      this.#okText = ''
    }
    if (block && !block.isDone(this.machine)) {
      this.#blocked = block
      this.#reports.startBusy(this.#nowMs)
      return
    }
    block?.finish?.(this)
    this.#finish(command)
  }

  #check(command: Queued): void {
    check(this, command.text)
    if (this.#queue[0] !== command) return
    if (this.#okText === undefined) this.#outlet.checked(command.text)
    this.#acknowledge(command)
    this.#queue.shift()
  }

  #unblock(): boolean {
    const block = this.#blocked
    const command = this.#queue[0]
    if (!block?.isDone(this.machine)) return false
    this.#blocked = undefined
    block.finish?.(this)
    if (command) this.#finish(command)
    return true
  }

  #finish(command: Queued): void {
    // The unknown tail of a line cut in two moves nothing: only what was sent whole, or does something, was executed.
    const isNumbering = this.personality.lines.numbering === 'sequence'
    if ((isNumbering && command.line !== undefined) || isKnown(command.text)) {
      this.executedCommands++
      this.#outlet.executed(command.text)
    }
    if (this.isHalted || this.#queue[0] !== command) return
    this.#acknowledge(command)
    this.#queue.shift()
  }

  #acknowledge(command: Queued): void {
    const said = this.#okText
    this.#okText = undefined
    if (said === '') return
    if (said !== undefined) this.reply(said)
    else if (command.text.startsWith('M105') && this.isSpoken('M105'))
      this.reply(`ok ${temperatureReport(this.machine)}`)
    else this.reply(this.#okOf(command))
  }

  #okOf(command: Queued): string {
    if (!this.options.hasAdvancedOk) return 'ok'
    const number = command.line === undefined ? '' : ` N${command.line}`
    // The acknowledged command still holds its slot (Marlin#26128): B is at most BUFSIZE-1.
    const queueFree = this.options.bufferLines - this.#queue.length
    return `ok${number} P${this.machine.plannerFree} B${queueFree}`
  }

  #report(): void {
    if (this.#reports.takeAutoreport(this.#nowMs)) this.reply(` ${temperatureReport(this.machine)}`)
    if (!this.#blocked || !this.#reports.takeBusy(this.#nowMs)) return
    if (this.#blocked.isHeating) this.reply(` ${temperatureReport(this.machine)} W:?`)
    if (this.personality.hasBusyLines) this.reply('echo:busy: processing')
  }
}
