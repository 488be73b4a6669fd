/** A Marlin 2 as its replies show it: command queue, acknowledgements, waits, reports, kill. Bytes in, lines out, time as an argument. */
import { type Block, execute, isKnown } from './commands.ts'
import { Machine } from './machine.ts'
import { Receiver } from './receiver.ts'

export interface FirmwareOptions {
  /** RX_BUFFER_SIZE less one, in bytes. */
  readonly ringBytes: number
  /** BUFSIZE, in lines. */
  readonly bufferLines: number
  readonly hasAdvancedOk: boolean
  readonly hasEmergencyParser: boolean
  /** Announces AUTOREPORT_TEMP and obeys M155. */
  readonly hasAutoreport: boolean
  /** Machine milliseconds (motion, heating) in one millisecond of wall time; reports keep wall time. */
  readonly speed: number
  /** M113: wall milliseconds between busy lines. */
  readonly busyIntervalMs: number
}

export interface FirmwareOutlet {
  /** One reply line, without its terminator. */
  reply(line: string): void
  /** One command was executed: its exact text. */
  executed(text: string): void
}

interface Queued {
  readonly text: string
  readonly line: number | undefined
}

const GREETING = [
  'start',
  'echo:Marlin 2.1.2.1',
  'echo: Last Updated: 2022-12-16 | Author: (simulated)',
]

/** One board from power-on; `restart()` is its reset button. */
export class Firmware {
  readonly options: FirmwareOptions
  readonly machine = new Machine()
  readonly #outlet: FirmwareOutlet
  #receiver: Receiver
  #queue: Queued[] = []
  #blocked: Block | undefined
  #nowMs = 0
  #busyAtMs = 0
  #autoreportAtMs = 0
  autoreportMs = 0
  isHalted = false
  executedCommands = 0

  constructor(options: FirmwareOptions, outlet: FirmwareOutlet) {
    this.options = options
    this.#outlet = outlet
    this.#receiver = this.#newReceiver()
  }

  get overrunBytes(): number {
    return this.#receiver.overrunBytes
  }

  /** Reset: numbering, queue, heaters and planner are lost; greets. */
  restart(): void {
    this.#receiver = this.#newReceiver()
    this.#queue = []
    this.#blocked = undefined
    this.autoreportMs = 0
    this.isHalted = false
    this.machine.quickStop()
    this.machine.heatersOff()
    for (const line of GREETING) this.reply(line)
  }

  /** `kill()`: heaters off, one last word, then deaf until a reset. */
  kill(reason?: string): void {
    if (reason !== undefined) this.reply(reason)
    this.reply('Error:Printer halted. kill() called!')
    this.reply('//action:poweroff')
    this.machine.quickStop()
    this.machine.heatersOff()
    this.#queue = []
    this.#blocked = undefined
    this.isHalted = true
  }

  reply(line: string): void {
    this.#outlet.reply(line)
  }

  /** Takes bytes that arrived by `nowMs` (wall), running as real firmware does whenever the ring is full. */
  receive(bytes: Uint8Array, nowMs: number): void {
    this.#advance(nowMs)
    let i = 0
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
    let wakeMs = this.autoreportMs > 0 ? this.#autoreportAtMs : Number.POSITIVE_INFINITY
    if (this.#blocked) {
      const dueMs = this.#blocked.untilMs(this.machine) / this.options.speed
      wakeMs = Math.min(wakeMs, dueMs, this.#busyAtMs)
    }
    return Number.isFinite(wakeMs) ? wakeMs : undefined
  }

  /** M155 S: wall milliseconds between reports, 0 = none. */
  setAutoreport(intervalMs: number): void {
    this.autoreportMs = intervalMs
    this.#autoreportAtMs = this.#nowMs + intervalMs
  }

  /** M108: ends a wait for heat. */
  breakWait(): void {
    if (this.#blocked?.isHeating) this.#blocked = { ...this.#blocked, isDone: () => true }
  }

  /** Machine milliseconds now. */
  get machineMs(): number {
    return this.#nowMs * this.options.speed
  }

  temperatureReport(): string {
    const hotend = this.machine.reading('hotend')
    const bed = this.machine.reading('bed')
    return `T:${hotend.currentC.toFixed(2)} /${hotend.targetC.toFixed(2)} B:${bed.currentC.toFixed(2)} /${bed.targetC.toFixed(2)} @:0 B@:0`
  }

  #newReceiver(): Receiver {
    return new Receiver(this.options, command => this.#emergency(command))
  }

  #emergency(command: string): void {
    if (command === 'M112') this.kill('echo:M112 Shutdown')
    else if (command === 'M108') this.breakWait()
    else this.machine.quickStop()
  }

  #advance(nowMs: number): void {
    if (nowMs > this.#nowMs) this.#nowMs = nowMs
    this.machine.advance(this.machineMs)
  }

  #loop(): void {
    for (;;) {
      this.#fillQueue()
      if (this.isHalted) return
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
        this.reply(`Error:${received.reason}, Last Line: ${received.lastLine}`)
        this.reply(`Resend: ${received.lastLine + 1}`)
        this.reply('ok')
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
    const block = execute(this, command.text)
    if (this.isHalted) return
    if (block && !block.isDone(this.machine)) {
      this.#blocked = block
      this.#busyAtMs = this.#nowMs + this.options.busyIntervalMs
      return
    }
    block?.finish?.(this)
    this.#finish(command)
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
    if (command.line !== undefined || isKnown(command.text)) {
      this.executedCommands++
      this.#outlet.executed(command.text)
    }
    if (this.isHalted || this.#queue[0] !== command) return
    if (command.text.startsWith('M105')) this.reply(`ok ${this.temperatureReport()}`)
    else this.reply(this.#okOf(command))
    this.#queue.shift()
  }

  #okOf(command: Queued): string {
    if (!this.options.hasAdvancedOk) return 'ok'
    const number = command.line === undefined ? '' : ` N${command.line}`
    // The acknowledged command still holds its slot (Marlin#26128): B is at most BUFSIZE-1.
    const queueFree = this.options.bufferLines - this.#queue.length
    return `ok${number} P${this.machine.plannerFree} B${queueFree}`
  }

  #report(): void {
    if (this.autoreportMs > 0 && this.#nowMs >= this.#autoreportAtMs) {
      this.#autoreportAtMs = this.#nowMs + this.autoreportMs
      this.reply(` ${this.temperatureReport()}`)
    }
    if (this.#blocked && this.#nowMs >= this.#busyAtMs) {
      this.#busyAtMs = this.#nowMs + this.options.busyIntervalMs
      if (this.#blocked.isHeating) this.reply(` ${this.temperatureReport()} W:?`)
      this.reply('echo:busy: processing')
    }
  }
}
