/** Where commands bring a machine, followed exactly: what a reported position is compared with. Pure. */
import type { Position } from '../controller.ts'

type Axis = 'x' | 'y' | 'z' | 'e'

/** Millimetres; `undefined`: nobody can say without asking. */
export interface MotionState {
  readonly x: number | undefined
  readonly y: number | undefined
  readonly z: number | undefined
  readonly e: number | undefined
  readonly isRelative: boolean
  readonly isRelativeE: boolean
}

/** The state of a machine that has not said anything yet. */
export const UNKNOWN_MOTION: MotionState = Object.freeze({
  x: undefined,
  y: undefined,
  z: undefined,
  e: undefined,
  isRelative: false,
  isRelativeE: false,
})

const AXES: readonly Axis[] = ['x', 'y', 'z', 'e']
const WORD = /([A-Z]) *(-?\d*\.?\d*)/g
const MOVES = new Set(['G0', 'G1', 'G2', 'G3'])
/** Words that leave every axis where it is, so that doing them twice is the same as once. */
const STANDING = new Set(
  'G4 G17 G21 M17 M18 M20 M27 M73 M84 M104 M105 M106 M107 M109 M110 M114 M115 M116 M117 M140 M141 M190 M191 M201 M203 M204 M205 M207 M208 M220 M221 M300 M400 M409 M486 M566 M572 M593 M900'.split(
    ' ',
  ),
)

/** The state after `text`. A word whose effect is not known leaves nothing known but the modes. */
export function applyMotion(state: MotionState, text: string): MotionState {
  const words = wordsOf(text)
  const code = words.code
  if (STANDING.has(code)) return state
  if (MOVES.has(code)) return moved(state, words.values)
  switch (code) {
    case 'G90':
    case 'G91':
      return { ...state, isRelative: code === 'G91' }
    case 'M82':
    case 'M83':
      return { ...state, isRelativeE: code === 'M83' }
    case 'G92':
      return redefined(state, words.values)
    default:
      return unknownAxes(state)
  }
}

function unknownAxes({ isRelative, isRelativeE }: MotionState): MotionState {
  return { ...UNKNOWN_MOTION, isRelative, isRelativeE }
}

/** The state once the controller has named its position. */
export function withPosition(state: MotionState, { x, y, z, e }: Position): MotionState {
  return { ...state, x, y, z, e }
}

/** Whether a reported position can be this state; unknown axes agree with anything. */
export function couldBe(state: MotionState, position: Position, toleranceMm: number): boolean {
  return AXES.every(axis => {
    const expected = state[axis]
    return expected === undefined || Math.abs(expected - position[axis]) <= toleranceMm
  })
}

/** True when no axis is known. */
export function isUnknown(state: MotionState): boolean {
  return AXES.every(axis => state[axis] === undefined)
}

/** Whether doing `text` again from where it ends changes nothing. */
export function isRepeatable(state: MotionState, text: string): boolean {
  const { code, values } = wordsOf(text)
  if (STANDING.has(code) || /^(?:G28|G90|G91|G92|M82|M83|T\d+)$/.test(code)) return true
  if (code !== 'G0' && code !== 'G1') return false
  const isRelativeMove = state.isRelative && ['X', 'Y', 'Z'].some(axis => values[axis])
  const isRelativeExtrusion = state.isRelativeE && Boolean(values.E)
  return !isRelativeMove && !isRelativeExtrusion
}

function moved(state: MotionState, values: Readonly<Record<string, number>>): MotionState {
  return {
    ...state,
    x: displaced(state.x, values.X, state.isRelative),
    y: displaced(state.y, values.Y, state.isRelative),
    z: displaced(state.z, values.Z, state.isRelative),
    e: displaced(state.e, values.E, state.isRelativeE),
  }
}

function displaced(
  from: number | undefined,
  by: number | undefined,
  isRelative: boolean,
): number | undefined {
  if (by === undefined) return from
  if (!isRelative) return by
  return from === undefined ? undefined : from + by
}

function redefined(state: MotionState, values: Readonly<Record<string, number>>): MotionState {
  const { X, Y, Z, E } = values
  // Without a word RepRapFirmware zeroes every axis, Marlin none.
  if ((X ?? Y ?? Z ?? E) === undefined) return unknownAxes(state)
  return { ...state, x: X ?? state.x, y: Y ?? state.y, z: Z ?? state.z, e: E ?? state.e }
}

function wordsOf(text: string): {
  readonly code: string
  readonly values: Readonly<Record<string, number>>
} {
  const values: Record<string, number> = {}
  let code = ''
  for (const [, letter = '', digits] of text.matchAll(WORD)) {
    if (code === '') code = `${letter}${Number(digits)}`
    else values[letter] = Number(digits)
  }
  return { code, values }
}
