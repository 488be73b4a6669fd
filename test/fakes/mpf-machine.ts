/** The model of the machine as tests run it: limits, a program through it, one line through the scanner. */
import { DEFAULT_WORDS } from '#mpf'
import type { MachineLimits } from '../../mpf/gcode/limits.ts'
import { Machine } from '../../mpf/gcode/machine.ts'
import type { ModalState } from '../../mpf/gcode/modal.ts'
import { LineScanner } from '../../mpf/gcode/scanner.ts'
import { FORMAT_TABLES } from '../../mpf/gcode/tables.ts'

export const MM = 1e6
export const LIMITS: MachineLimits = {
  words: new Set([
    ...DEFAULT_WORDS,
    'G10',
    'G29',
    'G80',
    'M17',
    'M18',
    'M141',
    'M207',
    'M208',
    'M220',
    'M191',
    'M862',
  ]),
  minNm: [0, 0, 0],
  maxNm: [200 * MM, 200 * MM, 200 * MM],
  maxFeedUmPerMin: 12_000_000,
  maxExtrusionUmPerMm: 1000,
  maxHotendDeciC: [2500, 2200, 0, 0],
  maxBedDeciC: 1000,
  maxChamberDeciC: 600,
  maxCommandBytes: 76,
}
export const WIDE: MachineLimits = {
  ...LIMITS,
  minNm: [-Infinity, -Infinity, -Infinity],
  maxNm: [Infinity, Infinity, Infinity],
  maxFeedUmPerMin: 0xffffffff,
  maxExtrusionUmPerMm: Infinity,
  maxHotendDeciC: [65535, 65535, 65535, 65535],
  maxBedDeciC: 65535,
  maxChamberDeciC: 65535,
}

export interface Run {
  readonly state: ModalState
  readonly refused: readonly string[]
}

/** The state a program leads to, and `code line` of what was refused. */
export function run(text: string | Uint8Array, limits: MachineLimits = LIMITS): Run {
  const refused: string[] = []
  const machine = new Machine(limits, (code, line) => refused.push(`${code} ${line}`))
  machine.run(typeof text === 'string' ? Buffer.from(text, 'latin1') : text)
  return { state: machine.modal(), refused }
}

/** The state after lines that are all accepted. */
export function stateAfter(...lines: readonly string[]): ModalState {
  const { state, refused } = run(`${lines.join('\n')}\n`)
  if (refused.length > 0) throw new Error(`${lines}: ${refused}`)
  return state
}

export const xyz = ({ xNm, yNm, zNm }: ModalState) => [xNm / MM, yNm / MM, zNm / MM]
export const scan = (line: string) => {
  const scanner = new LineScanner(FORMAT_TABLES)
  scanner.scan(Buffer.from(`${line}\n`, 'latin1'), 0)
  return scanner
}
