/** What a program says about speed beside its moves: limits, accelerations, factors, tool, waits. As Marlin reads it. */

import type { TrapezoidPlanner } from './estimate-planner.ts'
import type { LineScanner } from './scanner.ts'
import { bit, WORD_NAMES } from './tables.ts'

const MICRO = 1e6
const A_CODE = 65
const AXES = 'XYZE'
const MS_PER_S = 1000

type Apply = (settings: EstimateSettings, scanner: LineScanner) => void

/** Words after which the controller has come to rest, whatever comes next. */
const STOPS = ['G28', 'G29', 'M400', 'M109', 'M190', 'M191', 'M116', 'T0', 'T1', 'T2', 'T3']

const ACTIONS: Readonly<Record<string, Apply>> = {
  G4: (settings, scanner) => {
    const p = numberOf(scanner, 'P')
    // Marlin: S wins where both are given.
    settings.dwell(numberOf(scanner, 'S') ?? (p ?? 0) / MS_PER_S)
  },
  M201: ({ planner }, scanner) => setAxes(planner.settings.perMaxAcceleration, scanner),
  M203: ({ planner }, scanner) => setAxes(planner.settings.perMaxFeed, scanner),
  M204: ({ planner: { settings } }, scanner) => {
    const both = positiveOf(scanner, 'S')
    settings.print = positiveOf(scanner, 'P') ?? both ?? settings.print
    settings.travel = positiveOf(scanner, 'T') ?? both ?? settings.travel
    settings.retract = positiveOf(scanner, 'R') ?? settings.retract
  },
  M205: ({ planner: { settings } }, scanner) => {
    if (settings.perJerk) setAxes(settings.perJerk, scanner)
    settings.junctionDeviation = positiveOf(scanner, 'J') ?? settings.junctionDeviation
  },
  M220: (settings, scanner) => {
    settings.speed = (positiveOf(scanner, 'S') ?? settings.speed * 100) / 100
  },
  M221: (settings, scanner) => {
    settings.flow = (numberOf(scanner, 'S') ?? settings.flow * 100) / 100
  },
}

const APPLY_OF: readonly (Apply | undefined)[] = WORD_NAMES.map(name => {
  if (/^T\d$/.test(name)) return settings => settings.chooseTool(Number(name.slice(1)))
  if (STOPS.includes(name)) return settings => settings.rest()
  return ACTIONS[name]
})

/** The settings in force; `planner` is told of what concerns it. */
export class EstimateSettings {
  readonly planner: TrapezoidPlanner
  readonly #onDwell: (dwellS: number) => void
  /** M220 and M221 as factors. */
  speed = 1
  flow = 1
  tool = 0

  constructor(planner: TrapezoidPlanner, onDwell: (dwellS: number) => void) {
    this.planner = planner
    this.#onDwell = onDwell
  }

  /** Applies the scanned line, whose word is one of the format's. */
  apply(scanner: LineScanner): void {
    APPLY_OF[scanner.word]?.(this, scanner)
  }

  chooseTool(tool: number): void {
    this.rest()
    this.tool = tool
  }

  dwell(dwellS: number): void {
    this.rest()
    if (dwellS > 0) this.#onDwell(dwellS)
  }

  rest(): void {
    this.planner.flush()
  }
}

/** The parameter in its own unit, or undefined where it is absent or has no number. */
function numberOf(scanner: LineScanner, letter: string): number | undefined {
  if ((scanner.valued & bit(letter)) === 0) return undefined
  return (scanner.values[letter.charCodeAt(0) - A_CODE] as number) / MICRO
}

/** Zero or less would stop the machine for ever: the controller keeps what it had, and so does this. */
function positiveOf(scanner: LineScanner, letter: string): number | undefined {
  const value = numberOf(scanner, letter)
  return value !== undefined && value > 0 ? value : undefined
}

function setAxes(inverses: Float64Array, scanner: LineScanner): void {
  for (const [axis, letter] of [...AXES].entries()) {
    const value = positiveOf(scanner, letter)
    if (value !== undefined) inverses[axis] = 1 / value
  }
}
