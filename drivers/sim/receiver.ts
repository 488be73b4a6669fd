/** How a board takes bytes in: receive ring, emergency parser, realtime bytes, line assembly, numbers and checksums. Pure. */
import { createMeatPackReader, type MeatPackReader, meatPackState } from '../meatpack.ts'
import { crc16 } from '../reprap/crc16.ts'
import type { LineRules } from './personality.ts'

export interface ReceiverOptions {
  /** RX_BUFFER_SIZE less one. */
  readonly ringBytes: number
  readonly hasEmergencyParser: boolean
  /** MEATPACK_ON_SERIAL_PORT_1: what leaves the ring is unpacked. */
  readonly hasMeatPack: boolean
  readonly rules: LineRules
}

/** What a complete line turned out to be. `text` has its number and checksum stripped. */
export type Received =
  | { readonly kind: 'command'; readonly text: string; readonly line: number | undefined }
  /** The whole ring was thrown away; `lastLine` is the last good number. */
  | { readonly kind: 'refused'; readonly reason: string; readonly lastLine: number }

const LINE_FEED = 0x0a
const CARRIAGE_RETURN = 0x0d
const SEMICOLON = 0x3b
const CRC_DIGITS = 5

/** One serial input. The owner reads the counters and nothing else. */
export class Receiver {
  readonly #options: ReceiverOptions
  readonly #onEmergency: (command: string) => void
  readonly #ring: Uint8Array
  readonly #unpacker: MeatPackReader | undefined
  #head = 0
  #count = 0
  #line = ''
  #isComment = false
  #emergency = ''
  #isEmergencyDead = false
  lastLine = 0
  overrunBytes = 0

  constructor(
    options: ReceiverOptions,
    onEmergency: (command: string) => void,
    reply: (line: string) => void,
  ) {
    this.#options = options
    if (options.hasMeatPack)
      this.#unpacker = createMeatPackReader(reader => reply(meatPackState(reader)))
    this.#onEmergency = onEmergency
    this.#ring = new Uint8Array(options.ringBytes)
  }

  /** Stores bytes from `start` until the ring is full; returns where it stopped. */
  fill(bytes: Uint8Array, start: number): number {
    const capacity = this.#ring.length
    let i = start
    for (; i < bytes.length && this.#count < capacity; i++) {
      const byte = bytes[i] ?? 0
      if (this.#isRealtime(byte)) continue
      if (this.#options.hasEmergencyParser) this.#watch(byte)
      this.#ring[(this.#head + this.#count) % capacity] = byte
      this.#count++
    }
    return i
  }

  /** A byte for which the ring had no room: lost, but seen by the emergency parser. */
  overrun(byte: number): void {
    if (this.#isRealtime(byte)) return
    if (this.#options.hasEmergencyParser) this.#watch(byte)
    this.overrunBytes++
  }

  /** The next complete line of the ring, or `undefined` when it holds none. */
  nextLine(): Received | undefined {
    while (this.#count > 0) {
      const byte = this.#takeByte()
      const received = this.#unpacker
        ? this.#takeText(this.#unpacker.push(Uint8Array.of(byte)))
        : this.#take(byte)
      if (received) return received
    }
    return undefined
  }

  /** At most a pair of characters, of which only the last can be a line feed. */
  #takeText(text: string): Received | undefined {
    let received: Received | undefined
    for (const character of text) received = this.#take(character.charCodeAt(0))
    return received
  }

  #takeByte(): number {
    const byte = this.#ring[this.#head] ?? 0
    this.#head = (this.#head + 1) % this.#ring.length
    this.#count--
    return byte
  }

  #take(byte: number): Received | undefined {
    if (byte !== LINE_FEED && byte !== CARRIAGE_RETURN) {
      this.#assemble(byte)
      return undefined
    }
    const line = this.#line
    this.#line = ''
    this.#isComment = false
    if (line === '' && (byte === CARRIAGE_RETURN || !this.#options.rules.acknowledgesEmptyLines))
      return undefined
    return this.#accept(line.trimStart())
  }

  #assemble(byte: number): void {
    if (byte === SEMICOLON) this.#isComment = true
    if (!this.#isComment && this.#line.length < this.#options.rules.maxChars)
      this.#line += String.fromCharCode(byte)
  }

  /** Bytes of the ring that hold nothing. */
  get freeBytes(): number {
    return this.#ring.length - this.#count
  }

  /** Empties the ring and forgets a half line. */
  flush(): void {
    // Read and dropped, as gcode/queue.cpp does: a half pair is finished, not forgotten.
    while (this.#unpacker && this.#count > 0) this.#unpacker.push(Uint8Array.of(this.#takeByte()))
    this.#count = 0
    this.#line = ''
    this.#isComment = false
  }

  #isRealtime(byte: number): boolean {
    const character = String.fromCharCode(byte)
    if (byte === 0 || !this.#options.rules.realtime.includes(character)) return false
    this.#onEmergency(character)
    return true
  }

  #accept(line: string): Received | undefined {
    const { numbering } = this.#options.rules
    if (numbering === 'none') return this.#acceptPlain(line)
    if (numbering === 'checksum') return acceptChecked(line)
    return this.#acceptInSequence(line)
  }

  #acceptPlain(line: string): Received {
    const [, digits, text] = /^N(\d+) ?(.*)$/.exec(line) ?? []
    if (digits !== undefined) this.lastLine = Number(digits)
    return { kind: 'command', text: text ?? line, line: undefined }
  }

  #acceptInSequence(line: string): Received | undefined {
    const { refusesBareChecksum } = this.#options.rules
    const digits = line.startsWith('N') ? /^N *(-?\d*)/.exec(line)?.[1] : undefined
    if (digits === undefined) {
      if (refusesBareChecksum && line.includes('*'))
        return this.#refuse('No Line Number with checksum')
      return { kind: 'command', text: stripChecksum(line), line: undefined }
    }
    return this.#acceptNumbered(line, digits)
  }

  #acceptNumbered(line: string, digits: string): Received | undefined {
    const { toleratesDuplicates } = this.#options.rules
    // strstr: M110 anywhere makes the line set the counter, to the number after a second N if there is one.
    const reset = line.indexOf('M110')
    const renumbered = reset < 0 ? undefined : /N *(-?\d+)/.exec(line.slice(reset))?.[1]
    const n = Number(renumbered ?? (digits === '' ? 0 : digits))
    if (reset < 0 && n !== this.lastLine + 1) {
      if (toleratesDuplicates && (n === this.lastLine || n === this.lastLine - 1)) return undefined
      return this.#refuse('Line Number is not Last Line Number+1')
    }
    const asterisk = line.lastIndexOf('*')
    if (asterisk < 0) return this.#refuse('No Checksum with line number')
    if (Number.parseInt(line.slice(asterisk + 1), 10) !== checksumOf(line, asterisk))
      return this.#refuse('checksum mismatch')
    this.lastLine = n
    const text = stripChecksum(line.slice(0, asterisk)).replace(/^N *-?\d+ */, '')
    return { kind: 'command', text, line: n }
  }

  #refuse(reason: string): Received {
    if (this.#options.rules.flushesOnError) this.flush()
    return { kind: 'refused', reason, lastLine: this.lastLine }
  }

  /** Looks for `[N<digits>] M<digits>` at each line start, as the receive interrupt does. */
  #watch(byte: number): void {
    if (byte === LINE_FEED) {
      if (!this.#isEmergencyDead && this.#emergency !== '') {
        const command = /^ *(?:N[\d -]+)?(M(?:108|112|410)) *(?:\*\d*)?$/.exec(this.#emergency)?.[1]
        if (command !== undefined) this.#onEmergency(command)
      }
      this.#emergency = ''
      this.#isEmergencyDead = false
    } else if (!this.#isEmergencyDead) {
      this.#emergency += String.fromCharCode(byte)
      this.#isEmergencyDead = this.#emergency.length > 24
    }
  }
}

/** RepRapFirmware: a damaged line vanishes without a word; numbers are not looked at. */
function acceptChecked(line: string): Received | undefined {
  const asterisk = line.lastIndexOf('*')
  const body = asterisk < 0 ? line : line.slice(0, asterisk)
  if (asterisk >= 0) {
    const digits = line.slice(asterisk + 1)
    const expected = digits.length === CRC_DIGITS ? crc16(body) : checksumOf(line, asterisk)
    if (Number.parseInt(digits, 10) !== expected) return undefined
  } else if (/^N\d/.test(line)) return undefined
  const n = /^N(\d+)/.exec(body)?.[1]
  const text = body.replace(/^N\d+ */, '')
  return { kind: 'command', text, line: n === undefined ? undefined : Number(n) }
}

function checksumOf(line: string, end: number): number {
  let checksum = 0
  for (let i = 0; i < end; i++) checksum ^= line.charCodeAt(i)
  return checksum
}

function stripChecksum(text: string): string {
  const asterisk = text.indexOf('*')
  return asterisk < 0 ? text : text.slice(0, asterisk)
}
