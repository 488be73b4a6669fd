/** MeatPack, the wire packing Marlin and Prusa announce as `Cap:MEATPACK`: two common characters in one byte. Pure. */
import { DriverError } from './errors.ts'

// Protocol PV01: Marlin src/feature/meatpack.h, OctoPrint-MeatPack's meatpack.py.
const SIGNAL = 0xff
const LITERAL = 0x0f
const LINE_FEED = 0x0a
const MAX_CHARACTER = 0x7e
const TABLE = '0123456789. \nGX'
/** Where the table holds a space, and `E` once spaces are given up. */
const SPACE_CODE = 11

/** Commands: two signal bytes and one of these. */
const COMMAND = {
  enable: 0xfb,
  disable: 0xfa,
  resetAll: 0xf9,
  query: 0xf8,
  noSpaces: 0xf7,
  spaces: 0xf6,
} as const

export type MeatPackCommand = keyof typeof COMMAND

/** The bytes of a command; the controller answers each with its state (see {@link parseMeatPackState}). */
export function meatPackCommand(command: MeatPackCommand): Uint8Array {
  return Uint8Array.of(SIGNAL, SIGNAL, COMMAND[command])
}

/**
 * What brings a controller into a known state whatever it received before, half a pair included: reset, choice of table, packing on.
 * To be sent after its receive buffer was flushed (a resend) as well as at the beginning.
 */
export function meatPackStart(hasSpaces: boolean): Uint8Array {
  const words: readonly MeatPackCommand[] = [
    'resetAll',
    hasSpaces ? 'spaces' : 'noSpaces',
    'enable',
  ]
  return Buffer.concat(words.map(meatPackCommand))
}

/** What `[MP] PV01 ON NSP` says, or undefined for any other line. */
export function parseMeatPackState(
  line: string,
): { readonly isOn: boolean; readonly hasSpaces: boolean } | undefined {
  const [, on, spaces] = /^\[MP\] PV01 (ON|OFF) (ESP|NSP)\s*$/.exec(line) ?? []
  if (on === undefined) return undefined
  return { isOn: on === 'ON', hasSpaces: spaces === 'ESP' }
}

function codesOf(hasSpaces: boolean): Uint8Array {
  const codes = new Uint8Array(MAX_CHARACTER + 1).fill(LITERAL)
  for (const [code, character] of [...TABLE].entries()) codes[character.charCodeAt(0)] = code
  if (!hasSpaces) {
    codes[0x20] = LITERAL
    codes['E'.charCodeAt(0)] = SPACE_CODE
  }
  return codes
}

const CODES = { spaced: codesOf(true), spaceless: codesOf(false) }

/**
 * Packs one frame, its line feed included, so that it ends on a whole byte.
 * @param hasSpaces the table in force; without, a space still goes through, as a whole character
 * @throws DriverError `DRIVER_LINE_REFUSED` for a frame that does not end with its only line feed, or a byte no G-code has.
 */
export function packFrame(frame: string, hasSpaces: boolean): Uint8Array {
  if (frame.indexOf('\n') !== frame.length - 1 || frame.length === 0)
    throw new DriverError('DRIVER_LINE_REFUSED', 'a frame to pack is one line')
  const codes = hasSpaces ? CODES.spaced : CODES.spaceless
  // At worst three bytes for two characters.
  const packed = new Uint8Array(frame.length + Math.ceil(frame.length / 2))
  let size = 0
  for (let i = 0; i < frame.length; i += 2) {
    const first = characterAt(frame, i)
    // After a line feed the controller ignores the upper half.
    const second = i + 1 < frame.length ? characterAt(frame, i + 1) : LINE_FEED
    const low = codes[first] ?? LITERAL
    const high = codes[second] ?? LITERAL
    packed[size++] = (high << 4) | low
    if (low === LITERAL) packed[size++] = first
    if (high === LITERAL) packed[size++] = second
  }
  return packed.subarray(0, size)
}

function characterAt(frame: string, at: number): number {
  const code = frame.charCodeAt(at)
  if (code > MAX_CHARACTER)
    throw new DriverError('DRIVER_LINE_REFUSED', `byte 0x${code.toString(16)} at column ${at + 1}`)
  return code
}

/** Bytes the controller would answer with a state line, or characters it reads. */
export interface MeatPackReader {
  /** The characters `bytes` unpack to; commands change the state and give none. */
  push(bytes: Uint8Array): string
  readonly isOn: boolean
  readonly hasSpaces: boolean
}

/** The controller's side, for the simulated board and for tests: starts with packing off. `onCommand` is called once a command was obeyed. */
export function createMeatPackReader(
  onCommand: (reader: MeatPackReader) => void = () => undefined,
): MeatPackReader {
  return new Reader(onCommand)
}

/** What a controller says after each command. */
export function meatPackState({ isOn, hasSpaces }: MeatPackReader): string {
  return `[MP] PV01 ${isOn ? 'ON' : 'OFF'} ${hasSpaces ? 'ESP' : 'NSP'}`
}

class Reader implements MeatPackReader {
  isOn = false
  hasSpaces = true
  #signals = 0
  #isCommandNext = false
  /** Whole characters still to come, and what follows the first of them. */
  #literals = 0
  #after = ''
  #text = ''
  readonly #onCommand: (reader: MeatPackReader) => void

  constructor(onCommand: (reader: MeatPackReader) => void) {
    this.#onCommand = onCommand
  }

  push(bytes: Uint8Array): string {
    this.#text = ''
    for (const byte of bytes) this.#take(byte)
    return this.#text
  }

  #take(byte: number): void {
    if (byte === SIGNAL) {
      this.#isCommandNext = this.#signals === 1
      this.#signals = this.#signals === 1 ? 0 : 1
      return
    }
    if (this.#isCommandNext) {
      this.#isCommandNext = false
      this.#obey(byte)
      return
    }
    // One signal byte alone is a pair of which neither character is in the table.
    if (this.#signals === 1) this.#unpack(SIGNAL)
    this.#signals = 0
    this.#unpack(byte)
  }

  #obey(command: number): void {
    if (command === COMMAND.enable) this.isOn = true
    else if (command === COMMAND.disable) this.isOn = false
    else if (command === COMMAND.noSpaces) this.hasSpaces = false
    else if (command === COMMAND.spaces) this.hasSpaces = true
    else if (command === COMMAND.resetAll) {
      this.isOn = false
      this.hasSpaces = true
      this.#literals = 0
      this.#after = ''
    }
    this.#onCommand(this)
  }

  #unpack(byte: number): void {
    if (!this.isOn) this.#text += String.fromCharCode(byte)
    else if (this.#literals > 0) {
      this.#text += String.fromCharCode(byte) + this.#after
      this.#after = ''
      this.#literals--
    } else this.#unpackPair(byte & LITERAL, byte >> 4)
  }

  #unpackPair(low: number, high: number): void {
    if (low === LITERAL) {
      this.#literals = high === LITERAL ? 2 : 1
      this.#after = high === LITERAL ? '' : this.#character(high)
      return
    }
    const first = this.#character(low)
    this.#text += first
    if (first === '\n') return
    if (high === LITERAL) this.#literals = 1
    else this.#text += this.#character(high)
  }

  #character(code: number): string {
    return code === SPACE_CODE && !this.hasSpaces ? 'E' : (TABLE[code] ?? '')
  }
}
