/** A program's rules as tables: the grammar of a line, the words a policy allows and what each may carry, its limits. Made once a program; a line then costs look-ups. */

import { MAX_COMMAND_BYTES } from '../limits.ts'
import { WORDS } from './words.ts'

/** No word: what the word table holds everywhere else. */
export const NO_WORD = -1
/** Numbers of a word: three digits (SPEC 6.1). */
const WORD_NUMBERS = 1000
const A = 65

/** Words with a model, in a fixed order: every table and `word` elsewhere is an index into it. */
export const WORD_NAMES: readonly string[] = Object.keys(WORDS)

/** What the scanner runs on. Allowed is what is there: anything else is a miss. */
export interface LineTables {
  /** Row of the word table by the word's letter; 0, the empty row, for bytes no word begins with. */
  readonly rows: Uint16Array
  /** Index of an allowed word by row + number, or NO_WORD. */
  readonly words: Int16Array
  /** By word: a bit for each letter it may carry. */
  readonly parameters: Int32Array
  /** Longest command without comment and outer spaces. */
  readonly maxCommandBytes: number
}

/** The bit of a parameter letter in a mask. */
export function bit(letter: string): number {
  return 1 << (letter.charCodeAt(0) - A)
}

/** Letters that may never be a parameter: a second command (G, M), a line number (N), or a text mode of some firmware (O). */
const NEVER_PARAMETER = bit('G') | bit('M') | bit('N') | bit('O')
const PARAMETERS = Int32Array.from(
  WORD_NAMES,
  name =>
    [...(WORDS[name]?.parameters ?? '')].reduce((mask, letter) => mask | bit(letter), 0) &
    ~NEVER_PARAMETER,
)
const LETTERS = [...new Set(WORD_NAMES.map(name => name.charCodeAt(0)))]
const ROWS = new Uint16Array(256)
for (const [row, letter] of LETTERS.entries()) ROWS[letter] = (row + 1) * WORD_NUMBERS

/** Compiles what a policy allows. A name without a model (appendix A) allows nothing. */
export function compileTables(words: ReadonlySet<string>, maxCommandBytes: number): LineTables {
  const table = new Int16Array((LETTERS.length + 1) * WORD_NUMBERS).fill(NO_WORD)
  for (const [word, name] of WORD_NAMES.entries())
    if (words.has(name)) table[(ROWS[name.charCodeAt(0)] as number) + Number(name.slice(1))] = word
  return {
    rows: ROWS,
    words: table,
    parameters: PARAMETERS,
    maxCommandBytes: Math.min(maxCommandBytes, MAX_COMMAND_BYTES),
  }
}

/** The format's own rules: every word with a model. */
export const FORMAT_TABLES = compileTables(new Set(WORD_NAMES), MAX_COMMAND_BYTES)
