/** The last 64 KiB of both directions, in memory only: what was on the wire before a fault, without what was being printed. */
import { createHmac, randomBytes } from 'node:crypto'
import type { FlightEntry } from '../controller.ts'

/** How much is kept, headers included. */
export const RECORDER_BYTES = 64 * 1024

/** Stamp, direction and length. */
const HEADER_BYTES = 11
const SENT = 1
const NS_PER_MS = 1e6
const DIGEST_HEX = 12
const KEY_BYTES = 32

/** The driver's and the scripts' own words, and bytes without content: nothing of a print. */
const OPEN_SENT =
  /^(?:N\d+ ?)?(?:M(?:105|110|112|114|115|118 q\d+|155 S\d+|400|409 .*)|\$[IX]|[?!~])?(?:\*\d+)?$/
/** Replies whose every word is the firmware's. A quoted text is the line it did not understand. */
const OPEN_RECEIVED = [
  /^(?:ok(?: N\d+)?(?: P\d+ B\d+)?|(?:ok)? ?(?:T\d?|B):[\d ./:TB@-]*|(?:Resend:|rs) ?N?\d+|error:\d+|ALARM:\d+|start|q\d+)$/,
  /^Error:(?:checksum mismatch|Line Number|No Checksum|No Line Number|Printer halted|Thermal|Heating|M(?:AX|IN)TEMP)/,
  /^(?:echo:busy: |\/\/ Klipper state: |Grbl |\[(?:VER|OPT|FIRMWARE):|Cap:|FIRMWARE_NAME:)/,
]

/** True for a reply that holds nothing of a print. */
export function isOpenReply(text: string): boolean {
  return OPEN_RECEIVED.some(shape => shape.test(text))
}

function isOpen(text: string, isSent: boolean): boolean {
  return isSent ? OPEN_SENT.test(text) : isOpenReply(text)
}

/** A ring of whole records; the oldest go first. Zeroed when disposed. */
export class FlightRecorder implements Disposable {
  readonly #ring = Buffer.alloc(RECORDER_BYTES)
  readonly #header = Buffer.alloc(HEADER_BYTES)
  readonly #key = randomBytes(KEY_BYTES)
  #head = 0
  #tail = 0
  #used = 0

  /** Keeps a copy of what was written (latin1) at a monotonic time. */
  sent(text: string, atMs: number): void {
    this.#begin(text.length, SENT, atMs, start => {
      const room = RECORDER_BYTES - start
      this.#ring.write(text, start, Math.min(room, text.length), 'latin1')
      if (text.length > room) this.#ring.write(text.slice(room), 0, 'latin1')
    })
  }

  /** Keeps a copy of what was read. */
  received(bytes: Uint8Array, atMs: number): void {
    this.#begin(bytes.length, 0, atMs, start => {
      const room = RECORDER_BYTES - start
      this.#ring.set(bytes.length > room ? bytes.subarray(0, room) : bytes, start)
      if (bytes.length > room) this.#ring.set(bytes.subarray(room), 0)
    })
  }

  /** The record, oldest first, redacted: a line of a program is its number, its length and its digest. */
  entries(): readonly FlightEntry[] {
    const entries: FlightEntry[] = []
    let at = this.#tail
    for (let left = this.#used; left > 0; ) {
      const header = this.#copy(at, HEADER_BYTES)
      const count = header.readUInt16LE(9)
      const body = this.#copy((at + HEADER_BYTES) % RECORDER_BYTES, count).toString('latin1')
      this.#split(
        body,
        BigInt(Math.round(header.readDoubleLE(0) * NS_PER_MS)),
        header[8] === SENT,
        entries,
      )
      at = (at + HEADER_BYTES + count) % RECORDER_BYTES
      left -= HEADER_BYTES + count
    }
    return entries
  }

  [Symbol.dispose](): void {
    this.#ring.fill(0)
    this.#key.fill(0)
    this.#used = 0
    this.#tail = this.#head
  }

  #begin(count: number, direction: number, atMs: number, store: (start: number) => void): void {
    const total = HEADER_BYTES + count
    if (count === 0 || count > 0xffff || total > RECORDER_BYTES) return
    while (this.#used + total > RECORDER_BYTES) this.#dropOldest()
    const header = this.#header
    header.writeDoubleLE(atMs, 0)
    header[8] = direction
    header.writeUInt16LE(count, 9)
    for (const byte of header) {
      this.#ring[this.#head] = byte
      this.#head = (this.#head + 1) % RECORDER_BYTES
    }
    store(this.#head)
    this.#head = (this.#head + count) % RECORDER_BYTES
    this.#used += total
  }

  #dropOldest(): void {
    const low = this.#ring[(this.#tail + 9) % RECORDER_BYTES] ?? 0
    const high = this.#ring[(this.#tail + 10) % RECORDER_BYTES] ?? 0
    const total = HEADER_BYTES + low + high * 256
    this.#tail = (this.#tail + total) % RECORDER_BYTES
    this.#used -= total
  }

  #copy(start: number, count: number): Buffer {
    const room = RECORDER_BYTES - start
    if (count <= room) return this.#ring.subarray(start, start + count)
    return Buffer.concat([this.#ring.subarray(start), this.#ring.subarray(0, count - room)])
  }

  #split(body: string, atNs: bigint, isSent: boolean, entries: FlightEntry[]): void {
    for (const line of body.split('\n')) {
      const text = line.endsWith('\r') ? line.slice(0, -1) : line
      if (text === '') continue
      const number = isSent ? /^N(\d+)/.exec(text)?.[1] : undefined
      entries.push({
        atNs,
        direction: isSent ? 'sent' : 'received',
        line: number === undefined ? undefined : Number(number),
        bytes: text.length,
        text: isOpen(text, isSent) ? text : undefined,
        digest: createHmac('sha256', this.#key)
          .update(text, 'latin1')
          .digest('hex')
          .slice(0, DIGEST_HEX),
      })
    }
  }
}
