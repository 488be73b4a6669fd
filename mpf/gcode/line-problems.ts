/** What a line may not say whatever the machine's state: letters without their numbers, and settings under which the model would not hold. */

import type { Refusal } from './limits.ts'
import type { LineScanner } from './scanner.ts'
import { bit } from './tables.ts'
import type { WordEffect } from './words.ts'

export type LineProblem = readonly [code: Parameters<Refusal>[0], problem: string]
const A = 65
/** 100 percent, in millionths. */
const MAX_FACTOR = 100e6
/** Marlin refuses more than 100 turns, in millionths. */
const MAX_TURNS = 100e6

type Check = (line: LineReading) => LineProblem | undefined

/** The numbers of one line. */
interface LineReading {
  has(letter: string): boolean
  /** In millionths of the parameter's unit; undefined when the letter or its number is absent. */
  number(letter: string): number | undefined
}

const CHECKS: Partial<Record<WordEffect, Check>> = {
  arc({ has, number }) {
    if (!has('I') && !has('J')) return ['MPF_GCODE', 'an arc without a centre']
    if ((number('I') ?? 0) === 0 && (number('J') ?? 0) === 0)
      return ['MPF_GCODE', 'an arc around its own start']
    const turns = number('P') ?? 0
    if (turns < 0 || turns > MAX_TURNS) return ['MPF_GCODE', 'turns out of range']
    return undefined
  },
  setPosition: ({ number }) =>
    number('E') === undefined ? ['MPF_GCODE', 'G92 without E'] : undefined,
  release: ({ has, number }) =>
    has('S') && number('S') === undefined ? ['MPF_GCODE', 'a time without a number'] : undefined,
  // The factor is not in the state: only one that slows is the same at every line a print may start from.
  feedFactor({ has, number }) {
    const percent = number('S')
    if (has('S') && (percent === undefined || percent < 0))
      return ['MPF_GCODE', 'a feed factor out of range']
    return percent !== undefined && percent > MAX_FACTOR
      ? ['MPF_ENVELOPE', 'a feed factor above 100 percent']
      : undefined
  },
  retraction: ({ has, number }) =>
    ['F', 'Z'].some(letter => has(letter) && number(letter) === undefined)
      ? ['MPF_GCODE', 'a retraction without a number']
      : undefined,
}

/** The problem of a line whose word has this effect, if any. */
export function problemOf(effect: WordEffect, scanner: LineScanner): LineProblem | undefined {
  const { mask, valued, values } = scanner
  return CHECKS[effect]?.({
    has: letter => (mask & bit(letter)) !== 0,
    number: letter => ((valued & bit(letter)) === 0 ? undefined : values[letter.charCodeAt(0) - A]),
  })
}
