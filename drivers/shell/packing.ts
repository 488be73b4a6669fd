/** MeatPack on the wire: switched on once the controller has confirmed it, begun anew wherever the stream is repaired, given up on a bad cable. */
import type { Clock } from '#lib/clock.ts'
import { meatPackCommand, meatPackStart, packFrame, parseMeatPackState } from '../meatpack.ts'

/** After compaction a line has one space and at most one E, and the table has room for one of the two: travels need the space only. */
const HAS_SPACES = true
const START = latin1(meatPackStart(HAS_SPACES))
const RESET = latin1(meatPackCommand('resetAll'))
const QUERY = latin1(meatPackCommand('query'))
/** Three words are answered as soon as they are read; beyond this the controller does not know them. */
const ANSWER_MS = 1_000
/** The emergency parser reads what the receive interrupt stores, which is packed: these go as they are (Marlin src/feature/e_parser.h). */
const EMERGENCY = /^(?:N\d+ ?)?M(?:108|112|410|876)(?!\d)/
/**
 * One flipped bit of a plain line is always seen by its checksum; of a packed one it may take the next byte along and pass once in
 * some 256. A cable that damages more than this is better served plain.
 */
const SPARE_REPAIRS = 3
const LINES_PER_REPAIR = 1_000

type State = 'unasked' | 'on' | 'off'

/** One controller's packing, for as long as it is open. */
export class Packing {
  #state: State = 'unasked'
  #openings = 0
  #repairs = 0
  #lines = 0
  #onState: ((state: { readonly isOn: boolean; readonly hasSpaces: boolean }) => void) | undefined
  /** Bytes the wire was spared. */
  savedBytes = 0

  get isOn(): boolean {
    return this.#state === 'on'
  }

  /** Switches packing on and resolves when the controller has said so, or has not: then everything goes out plain. */
  async start(write: (bytes: string) => unknown, clock: Clock, signal: AbortSignal): Promise<void> {
    const confirmed = Promise.withResolvers<boolean>()
    this.#onState = ({ isOn, hasSpaces }) => {
      if (isOn && hasSpaces === HAS_SPACES) confirmed.resolve(true)
    }
    write(START + QUERY)
    const late = clock.sleep(ANSWER_MS, signal).then(() => false)
    const isOn = await Promise.race([confirmed.promise, late])
    late.catch(() => undefined)
    this.#onState = undefined
    this.#state = isOn ? 'on' : 'off'
    if (!isOn) write(RESET)
  }

  /** True when `line` is the controller's word on packing, which is nobody else's business. */
  hear(line: string): boolean {
    const state = parseMeatPackState(line)
    if (state) this.#onState?.(state)
    return state !== undefined
  }

  /** Whole lines as they go on the wire (latin1). An empty line repairs the stream: whatever the controller unpacked before is forgotten. */
  encode(text: string): string {
    if (this.#state === 'unasked') return this.#encodeOpening(text)
    let wire = ''
    for (const line of text.split(/(?<=\n)/)) wire += this.isOn ? this.#encodeLine(line) : line
    this.savedBytes += text.length - wire.length
    return wire
  }

  /** What leaves the controller as the next program expects it. */
  end(): string {
    const isOn = this.isOn
    this.#state = 'off'
    return isOn ? RESET : ''
  }

  /** A program that was killed has left packing on: who does not answer plain words is told to read them. */
  #encodeOpening(text: string): string {
    if (!text.startsWith('\n')) return text
    return this.#openings++ === 0 ? text : RESET + text
  }

  #encodeLine(line: string): string {
    this.#lines++
    if (EMERGENCY.test(line)) return `${RESET}\n${line}${START}`
    if (line !== '\n') return latin1(packFrame(line, HAS_SPACES))
    this.#repairs++
    if (this.#repairs <= SPARE_REPAIRS + this.#lines / LINES_PER_REPAIR)
      return START + latin1(packFrame(line, HAS_SPACES))
    this.#state = 'off'
    return RESET + line
  }
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
}
