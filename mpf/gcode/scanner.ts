/** One line of G-code to one word and its parameters, without an object a line: SPEC 6.1's grammar over compiled tables. */

import { MAX_LINE_BYTES } from '../limits.ts'
import { bit, type LineTables, NO_WORD, WORD_NAMES } from './tables.ts'

export const EMPTY = NO_WORD
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
/** Digits before the point: 9 keep a value below 2^53 in millionths, and the digits themselves below 2^31. */
const MAX_INTEGER_DIGITS = 9
const MAX_PLACES = 6
const MICRO = 1e6
const SCALE = Float64Array.of(1e6, 1e5, 1e4, 1e3, 1e2, 1e1, 1)
const M862 = WORD_NAMES.indexOf('M862')

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
  readonly #tables: LineTables

  constructor(tables: LineTables) {
    this.#tables = tables
  }

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
    if (text[at] === SEMICOLON) at = endOfComment(text, at)
    if (text[at] !== LF) return this.#malformed(text, at, 'a byte that no command may contain')
    if (at - from > MAX_LINE_BYTES)
      return this.#malformed(text, at, `longer than ${MAX_LINE_BYTES} bytes`)
    const { maxCommandBytes } = this.#tables
    if (this.commandBytes > maxCommandBytes)
      return this.#malformed(
        text,
        at,
        `a command of ${this.commandBytes} bytes, limit ${maxCommandBytes}`,
      )
    return at
  }

  #command(text: Uint8Array, start: number): number {
    const { rows, words } = this.#tables
    let at = start + 1
    let number = 0
    let c = text[at] as number
    for (; c >= ZERO && c <= NINE; c = text[++at] as number)
      number = (Math.imul(number, 10) + c - ZERO) | 0
    const digits = at - start - 1
    this.word =
      digits === 0 || digits > 3
        ? MALFORMED
        : (words[(rows[text[start] as number] as number) + number] as number)
    if (c === DOT) at = this.#subcommand(text, at)
    if (this.word < 0) return this.#malformed(text, start, problemOfWord(text, start, at))
    return this.#parameters(text, at, start)
  }

  /** `M862.3`: only checks come with a decimal part; it does not choose another effect. */
  #subcommand(text: Uint8Array, dot: number): number {
    const digit = text[dot + 1] as number
    if (this.word !== M862 || digit < ZERO || digit > NINE) this.word = MALFORMED
    return dot + 2
  }

  #parameters(text: Uint8Array, from: number, start: number): number {
    const allowed = this.#tables.parameters[this.word] as number
    let mask = 0
    let valued = 0
    let at = from
    let end = from
    for (;;) {
      while (text[at] === SPACE) at++
      const c = text[at] as number
      if (c < A || c > Z) break
      const letter = 1 << (c - A)
      if ((mask & letter) !== 0) return this.#malformed(text, at, 'a parameter twice')
      if ((allowed & letter) === 0)
        return this.#malformed(text, at, 'a parameter its word may not carry')
      end = this.#number(text, at + 1, c - A)
      if (end < 0) return this.#malformed(text, at, 'a malformed number')
      mask |= letter
      if (end > at + 1) valued |= letter
      at = end
    }
    this.mask = mask
    this.valued = valued
    this.commandBytes = end - start
    return at
  }

  /**
   * Leaves the number at `from` in `values[letter]` (0 for none) and returns the offset after it, or -1 when malformed.
   * The digits before and behind the point are gathered as one small integer each: nothing is rounded.
   */
  #number(text: Uint8Array, from: number, letter: number): number {
    let at = from
    let c = text[at] as number
    const isNegative = c === MINUS
    if (isNegative || c === PLUS) c = text[++at] as number
    let digits = at
    let whole = 0
    for (; c >= ZERO && c <= NINE; c = text[++at] as number)
      whole = (Math.imul(whole, 10) + c - ZERO) | 0
    digits = at - digits
    if (digits > MAX_INTEGER_DIGITS) return -1
    let value = whole * MICRO
    if (c === DOT) {
      const fractionAt = at + 1
      let fraction = 0
      c = text[++at] as number
      for (; c >= ZERO && c <= NINE && at - fractionAt < MAX_PLACES; c = text[++at] as number)
        fraction = (Math.imul(fraction, 10) + c - ZERO) | 0
      const places = at - fractionAt
      value += fraction * (SCALE[places] as number)
      digits += places
      while (c >= ZERO && c <= NINE) c = text[++at] as number
    }
    if (!isNumberEnd(digits, at - from, c)) return -1
    this.values[letter] = isNegative ? -value : value
    return at
  }

  #malformed(text: Uint8Array, at: number, problem: string): number {
    this.word = MALFORMED
    this.problem = problem
    const lf = text.indexOf(LF, at)
    return lf < 0 ? text.length : lf
  }
}

function endOfComment(text: Uint8Array, from: number): number {
  let at = from
  let c = text[at] as number
  while (c >= SPACE && c <= TILDE) c = text[++at] as number
  return at
}

/** Only tables that leave out a word with a model know one that is not allowed. */
function problemOfWord(text: Uint8Array, start: number, end: number): string {
  const [, letter = '', number = ''] =
    /^([GMT])0{0,2}([0-9]{1,3})$/.exec(Buffer.from(text.subarray(start, end)).toString('latin1')) ??
    []
  const name = letter + number
  return WORD_NAMES.includes(name) ? `${name} is not allowed` : 'a word without a model'
}

/**
 * Whether digits, if any, end where they may. strtof would read 1E5 as 100000 and 0X10 as 16: a controller that uses it
 * goes elsewhere than this model.
 */
function isNumberEnd(digits: number, bytes: number, following: number): boolean {
  if (digits === 0) return bytes === 0
  return following !== E && following !== X
}
