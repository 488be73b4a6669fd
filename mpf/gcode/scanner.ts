/** One line of G-code to one word and its parameters, without an object a line: SPEC 6.1's grammar as a byte scanner. */

import { MAX_COMMAND_BYTES, MAX_LINE_BYTES } from '../limits.ts'
import { WORDS } from './words.ts'

export const EMPTY = -1
export const MALFORMED = -2

const LF = 10
const SPACE = 32
const SEMICOLON = 59
const PLUS = 43
const MINUS = 45
const DOT = 46
const ZERO = 48
const NINE = 57
const A = 65
const E = 69
const X = 88
const Z = 90
const TILDE = 126
const WORD_NUMBERS = 1024
/** Digits before the point: 9 keep a value below 2^53 in millionths. */
const MAX_INTEGER_DIGITS = 9
const MAX_PLACES = 6
const SCALE = [1e6, 1e5, 1e4, 1e3, 1e2, 1e1, 1]
/** Letters that may never be a parameter: a second command (G, M), a line number (N), or a text mode of some firmware (O). */
const NEVER_PARAMETER = bit('G') | bit('M') | bit('N') | bit('O')

/** Words with a model, in a fixed order: the scanner's `word` indexes it. */
export const WORD_NAMES: readonly string[] = Object.keys(WORDS)
const PARAMETER_MASKS = Int32Array.from(WORD_NAMES, name =>
  [...(WORDS[name]?.parameters ?? '')].reduce((mask, letter) => mask | bit(letter), 0),
)
const WORD_INDEX = new Int16Array(26 * WORD_NUMBERS).fill(EMPTY)
for (const [index, name] of WORD_NAMES.entries())
  WORD_INDEX[(name.charCodeAt(0) - A) * WORD_NUMBERS + Number(name.slice(1))] = index

/** The bit of a parameter letter in a mask. */
export function bit(letter: string): number {
  return 1 << (letter.charCodeAt(0) - A)
}

export const ALL_AXES = bit('X') | bit('Y') | bit('Z')

/** The axes among the letters of a line, or `otherwise` when it names none. */
export function axesIn(mask: number, otherwise: number): number {
  return (mask & ALL_AXES) === 0 ? otherwise : mask & ALL_AXES
}

/**
 * Scans lines one after another; the result of the last one stands in the fields.
 * `word` is an index into WORD_NAMES, EMPTY for a line without a command, or MALFORMED with `problem` saying why.
 */
export class LineScanner {
  word = EMPTY
  /** Letters of the parameters present; those without a number have the value 0 and are not in `valued`. */
  mask = 0
  valued = 0
  /** By letter, in millionths of the parameter's unit; digits past the sixth decimal are dropped. */
  readonly values = new Float64Array(26)
  /** Bytes of the command, without leading or trailing spaces and comment. */
  commandBytes = 0
  problem = ''
  #value = 0

  /** Scans the line that starts at `from` and returns the offset of its LF. The text must end with one. */
  scan(text: Uint8Array, from: number): number {
    this.mask = 0
    this.valued = 0
    this.word = EMPTY
    this.commandBytes = 0
    let at = from
    while (text[at] === SPACE) at++
    const start = at
    const first = text[at] as number
    if (first >= A && first <= Z) at = this.#command(text, start)
    if (text[at] === SEMICOLON) at = this.#comment(text, at)
    if (text[at] !== LF) return this.#malformed(text, at, 'a byte that no command may contain')
    if (at - from > MAX_LINE_BYTES)
      return this.#malformed(text, at, `longer than ${MAX_LINE_BYTES} bytes`)
    if (this.commandBytes > MAX_COMMAND_BYTES)
      return this.#malformed(text, at, `a command longer than ${MAX_COMMAND_BYTES} bytes`)
    return at
  }

  #command(text: Uint8Array, start: number): number {
    const letter = text[start] as number
    let at = start + 1
    let number = 0
    let digits = 0
    for (let c = text[at] as number; c >= ZERO && c <= NINE; c = text[++at] as number) {
      number = number * 10 + c - ZERO
      digits++
    }
    this.word =
      digits === 0 || digits > 3
        ? MALFORMED
        : (WORD_INDEX[(letter - A) * WORD_NUMBERS + number] as number)
    if (text[at] === DOT) at = this.#subcommand(text, at)
    if (this.word < 0) return this.#malformed(text, start, 'a word without a model')
    return this.#parameters(text, at, start)
  }

  /** `M862.3`: only checks come with a decimal part; it does not choose another effect. */
  #subcommand(text: Uint8Array, dot: number): number {
    const digit = text[dot + 1] as number
    if (WORD_NAMES[this.word] !== 'M862' || digit < ZERO || digit > NINE) this.word = MALFORMED
    return dot + 2
  }

  #parameters(text: Uint8Array, from: number, start: number): number {
    const allowed = PARAMETER_MASKS[this.word] as number
    let at = from
    let end = from
    for (;;) {
      while (text[at] === SPACE) at++
      const c = text[at] as number
      if (c < A || c > Z) break
      const letter = 1 << (c - A)
      if ((this.mask & letter) !== 0) return this.#malformed(text, at, 'a parameter twice')
      if ((allowed & letter & ~NEVER_PARAMETER) === 0)
        return this.#malformed(text, at, 'a parameter its word may not carry')
      const after = this.#number(text, at + 1)
      if (after < 0) return this.#malformed(text, at, 'a malformed number')
      this.mask |= letter
      if (after > at + 1) this.valued |= letter
      this.values[c - A] = this.#value
      at = after
      end = after
    }
    this.commandBytes = end - start
    return at
  }

  /**
   * Leaves the number at `from` in #value (0 for none) and returns the offset after it, or -1 when malformed.
   * All digits are gathered as one integer and scaled once: for the numbers slicers write that integer is a small one.
   */
  #number(text: Uint8Array, from: number): number {
    const sign = text[from] as number
    let at = sign === MINUS || sign === PLUS ? from + 1 : from
    const integerAt = at
    let digits = 0
    let c = text[at] as number
    for (; c >= ZERO && c <= NINE; c = text[++at] as number) digits = digits * 10 + c - ZERO
    let count = at - integerAt
    if (count > MAX_INTEGER_DIGITS) return -1
    let places = 0
    if (c === DOT) {
      const fractionAt = at + 1
      c = text[++at] as number
      for (; c >= ZERO && c <= NINE && at - fractionAt < MAX_PLACES; c = text[++at] as number)
        digits = digits * 10 + c - ZERO
      places = at - fractionAt
      count += places
      while (c >= ZERO && c <= NINE) c = text[++at] as number
    }
    if (!isNumberEnd(count, at - from, c)) return -1
    const value = digits * (SCALE[places] as number)
    this.#value = sign === MINUS ? -value : value
    return at
  }

  #comment(text: Uint8Array, from: number): number {
    let at = from
    let c = text[at] as number
    while (c >= SPACE && c <= TILDE) c = text[++at] as number
    return at
  }

  #malformed(text: Uint8Array, at: number, problem: string): number {
    this.word = MALFORMED
    this.problem = problem
    const lf = text.indexOf(LF, at)
    return lf < 0 ? text.length : lf
  }
}

/**
 * Whether digits, if any, end where they may. strtof would read 1E5 as 100000 and 0X10 as 16: a controller that uses it
 * goes elsewhere than this model.
 */
function isNumberEnd(digits: number, bytes: number, following: number): boolean {
  if (digits === 0) return bytes === 0
  return following !== E && following !== X
}
