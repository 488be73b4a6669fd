/** A simulated board on a real pseudo-terminal: wires firmware, faults and wire speed together. */
import { createHash } from 'node:crypto'
import { rmSync, symlinkSync } from 'node:fs'
import {
  collide,
  createFlipper,
  type FaultEvent,
  type FaultPlan,
  NO_FAULTS,
  seeded,
} from './faults.ts'
import { Firmware } from './firmware.ts'
import type { FirmwareOptions } from './firmware-options.ts'
import { BUFFERS } from './personality.ts'
import { openPty, type Pty } from './pty.ts'
import { createWire, type Wire } from './wire.ts'

export interface SimulatedMarlinOptions extends Partial<FirmwareOptions> {
  /** Bits a second, ten a byte; 0 = as fast as the machine goes. */
  readonly baud?: number
  readonly faults?: FaultPlan
  /** Each executed command in order: its exact text, without number, checksum or terminator. */
  readonly onExecuted?: (text: string) => void
  /** Each command that was parsed in check mode and not carried out. */
  readonly onChecked?: (text: string) => void
  /** What the host wrote, as it arrives. */
  readonly onReceived?: (bytes: Uint8Array) => void
  /** A symbolic link kept pointing at the board's port, as udev's by-path names are: what a host opens after a replug. */
  readonly linkPath?: string
  /** Until so long after its start it neither hears nor says anything. */
  readonly bootMs?: number
}

/** What happened on the board since it started. `executedSha256` covers each executed text followed by a line feed. */
export interface SimulationSummary {
  readonly executed: number
  readonly executedSha256: string
  readonly starvations: number
  readonly maxHotendC: number
  readonly maxBedC: number
  readonly isHeating: boolean
  readonly isHalted: boolean
  readonly overrunBytes: number
  readonly flippedBytes: number
  readonly position: Readonly<{ x: number; y: number; z: number; e: number }>
}

/** A running board. Dispose unplugs it. */
export interface SimulatedMarlin extends AsyncDisposable {
  /** The port a host opens. */
  readonly port: string
  summary(): SimulationSummary
  /** Makes a scripted fault happen now. */
  inflict(fault: FaultEvent): void
}

const DEFAULTS: Omit<FirmwareOptions, 'ringBytes' | 'bufferLines'> = {
  dialect: 'marlin',
  hasAdvancedOk: false,
  hasEmergencyParser: true,
  hasAutoreport: true,
  hasMeatPack: false,
  speed: 1,
  busyIntervalMs: 2000,
}

/** Long enough for a host to notice, short enough for a test. */
const UNPLUGGED_MS = 150

/** Digesting a few thousand characters at a time costs a tenth of digesting each line. */
const DIGEST_BATCH_CHARS = 16_384

/** Starts a board and returns once its port can be opened. */
export function startSimulatedMarlin(options: SimulatedMarlinOptions = {}): SimulatedMarlin {
  return new Board(options)
}

class Board implements SimulatedMarlin {
  #pty: Pty
  readonly #linkPath: string | undefined
  #replug: NodeJS.Timeout | undefined
  readonly #firmware: Firmware
  readonly #faults: FaultPlan
  readonly #random: () => number
  readonly #flipIn: (bytes: Uint8Array) => number
  readonly #flipOut: (bytes: Uint8Array) => number
  readonly #inbound: Wire
  readonly #outbound: Wire
  readonly #onExecuted: ((text: string) => void) | undefined
  readonly #digest = createHash('sha256')
  #undigested = ''
  #flippedBytes = 0
  #replies = ''
  #wake: { cancel(): void } | undefined
  #isSilent = false
  #isCollisionDue = false

  constructor(options: SimulatedMarlinOptions) {
    this.#faults = options.faults ?? NO_FAULTS
    this.#random = seeded(this.#faults.seed)
    const { hasBursts, flipInPerByte, flipOutPerByte } = this.#faults
    this.#flipIn = createFlipper(flipInPerByte, hasBursts, this.#random)
    this.#flipOut = createFlipper(flipOutPerByte, hasBursts, this.#random)
    this.#onExecuted = options.onExecuted
    this.#firmware = new Firmware(firmwareOptionsOf(options), {
      reply: line => this.#reply(line),
      executed: text => this.#executed(text),
      checked: text => options.onChecked?.(text),
    })
    this.#linkPath = options.linkPath
    this.#pty = this.#plugIn()
    const baud = options.baud ?? 0
    this.#inbound = createWire(baud, bytes => {
      options.onReceived?.(bytes)
      this.#receive(bytes)
    })
    this.#outbound = createWire(baud, bytes => this.#pty.write(bytes))
    if (options.bootMs === undefined) this.#firmware.restart()
    else this.#boot(options.bootMs)
    this.#flush()
  }

  get port(): string {
    return this.#linkPath ?? this.#pty.path
  }

  summary(): SimulationSummary {
    const { machine } = this.#firmware
    const { X, Y, Z, E } = machine.position
    return {
      executed: this.#firmware.executedCommands,
      executedSha256: this.#digest.copy().update(this.#undigested, 'latin1').digest('hex'),
      starvations: machine.starvations,
      maxHotendC: machine.maxHotendC,
      maxBedC: machine.maxBedC,
      isHeating: machine.isHeating,
      isHalted: this.#firmware.isHalted,
      overrunBytes: this.#firmware.receiver.overrunBytes,
      flippedBytes: this.#flippedBytes,
      position: { x: X, y: Y, z: Z, e: E },
    }
  }

  inflict(fault: FaultEvent): void {
    if (fault === 'unplug') this.#unplug()
    else if (fault === 'bump') this.#bump(false)
    else if (fault === 'brownout') this.#bump(true)
    else if (fault === 'silence') this.#isSilent = true
    else if (fault === 'collision') this.#isCollisionDue = true
    else if (fault === 'reset') this.#firmware.restart()
    else if (fault === 'kill') this.#firmware.kill()
    else this.#firmware.kill('Error:Thermal Runaway, system stopped! Heater_ID: E0')
    this.#flush()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#unplug()
  }

  #boot(bootMs: number): void {
    this.#isSilent = true
    this.#replug = setTimeout(() => {
      this.#isSilent = false
      this.#firmware.restart()
      this.#run()
    }, bootMs)
  }

  #plugIn(): Pty {
    const pty = openPty()
    pty.onData(bytes => this.#inbound.push(bytes))
    if (this.#linkPath === undefined) return pty
    rmSync(this.#linkPath, { force: true })
    symlinkSync(pty.path, this.#linkPath)
    return pty
  }

  // The board goes on by itself while nobody hears it; a brown-out takes its memory too.
  #bump(isBrownout: boolean): void {
    this.#replies = ''
    this.#pty.close()
    if (isBrownout) {
      this.#firmware.restart()
      this.#replies = ''
    }
    clearTimeout(this.#replug)
    this.#replug = setTimeout(() => {
      this.#pty = this.#plugIn()
      this.#run()
    }, UNPLUGGED_MS)
  }

  #unplug(): void {
    clearTimeout(this.#replug)
    this.#wake?.cancel()
    this.#isSilent = true
    this.#inbound.close()
    this.#outbound.close()
    this.#pty.close()
  }

  #receive(bytes: Uint8Array): void {
    if (this.#isSilent) return
    this.#flippedBytes += this.#flipIn(bytes)
    if (this.#isCollisionDue) this.#isCollisionDue = !collide(bytes)
    this.#firmware.receive(bytes, performance.now())
    this.#run()
  }

  #run(): void {
    if (this.#isSilent) return
    const nowMs = performance.now()
    this.#firmware.run(nowMs)
    this.#flush()
    this.#wake?.cancel()
    this.#wake = undefined
    const wakeMs = this.#firmware.nextWakeMs()
    if (wakeMs !== undefined && !this.#isSilent)
      this.#wake = after(wakeMs - nowMs, () => this.#run())
  }

  #reply(line: string): void {
    if (
      line.startsWith('ok') &&
      this.#faults.dropOkRate > 0 &&
      this.#random() < this.#faults.dropOkRate
    )
      return
    this.#replies += `${line}\n`
  }

  #flush(): void {
    if (this.#replies === '' || this.#isSilent) return
    const bytes = Buffer.from(this.#replies, 'latin1')
    this.#replies = ''
    this.#flippedBytes += this.#flipOut(bytes)
    this.#outbound.push(bytes)
  }

  #executed(text: string): void {
    this.#onExecuted?.(text)
    this.#undigested += `${text}\n`
    if (this.#undigested.length > DIGEST_BATCH_CHARS) {
      this.#digest.update(this.#undigested, 'latin1')
      this.#undigested = ''
    }
    for (const { kind, at } of this.#faults.events)
      if (at === this.#firmware.executedCommands) this.inflict(kind)
  }
}

function firmwareOptionsOf(options: SimulatedMarlinOptions): FirmwareOptions {
  const {
    baud: _baud,
    faults: _faults,
    onExecuted: _onExecuted,
    onChecked: _onChecked,
    onReceived: _onReceived,
    linkPath: _linkPath,
    ...firmware
  } = options
  return { ...DEFAULTS, ...BUFFERS[firmware.dialect ?? 'marlin'], ...firmware }
}

// Below the grain of a timer the next turn of the event loop is soon enough.
function after(delayMs: number, run: () => void): { cancel(): void } {
  if (delayMs < 1) {
    const immediate = setImmediate(run)
    return { cancel: () => clearImmediate(immediate) }
  }
  const timer = setTimeout(run, delayMs)
  return { cancel: () => clearTimeout(timer) }
}
