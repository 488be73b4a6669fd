/**
 * The drivers' fault lab: seeded runs of a real-size program with noise, drops, unplugs, resets and brown-outs. A run that reports
 * success executed exactly what was sent; no failing run leaves a heater on. By hand: `node test/faults/drivers-lab.ts --runs 1000`.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { systemClock } from '#lib/clock.ts'
import type { DialectName } from '../../drivers/dialect.ts'
import {
  DriverError,
  type FaultEvent,
  type FaultPlan,
  type LineSource,
  openController,
  startSimulatedMarlin,
} from '../../drivers/index.ts'
import { seeded } from '../../drivers/sim/faults.ts'

export interface LabRun {
  readonly seed: number
  readonly tookMs: number
  readonly dialect: DialectName
  readonly faults: string
  /** `exact`, or the code it failed with. */
  readonly outcome: string
  readonly executed: number
  readonly resends: number
  readonly reattachments: number
  /** What must never be: undefined in every good run. */
  readonly violation: string | undefined
}

const EVENTS: readonly FaultEvent[] = [
  'bump',
  'bump',
  'unplug',
  'reset',
  'brownout',
  'kill',
  'runaway',
]
/** Their lines carry checksums: noise towards the board is theirs to find. */
const CHECKED: readonly DialectName[] = ['marlin', 'marlin', 'prusa', 'buddy', 'smoothie', 'reprap']
/** Nothing of theirs is checked: losses can be made good, damage cannot. */
const UNCHECKED: readonly DialectName[] = ['grbl', 'grblhal', 'klipper']

const DIALECTS = [...CHECKED, ...UNCHECKED]

/** The commands of a G-code file as a controller gets them: no comments, no blank lines, no word the wire reserves. */
export function programOf(path: string, heatC: number): readonly string[] {
  const lines = readFileSync(path, 'latin1')
    .split('\n')
    .map(line => line.replace(/;.*/, '').trim())
    .filter(line => /^G[01] /.test(line))
  return [`M104 S${heatC}`, ...lines]
}

function planOf(seed: number, dialect: DialectName, lines: number): FaultPlan {
  const random = seeded(seed)
  const isChecked = CHECKED.includes(dialect)
  const isLossless = dialect === 'klipper'
  const eventCount = Math.floor(random() * 3)
  const events = Array.from({ length: eventCount }, () => ({
    kind: EVENTS[Math.floor(random() * EVENTS.length)] ?? 'bump',
    at: 20 + Math.floor(random() * lines),
  }))
  return {
    seed,
    // At most one bit of a line: two in one column are invisible to an XOR checksum, whatever a host does.
    hasBursts: false,
    flipInPerByte: isChecked && random() < 0.5 ? random() * 0.0005 : 0,
    flipOutPerByte: !isLossless && random() < 0.5 ? random() * 0.0005 : 0,
    dropOkRate: !isLossless && random() < 0.5 ? random() * 0.01 : 0,
    events,
  }
}

function sourceOf(lines: readonly string[]): LineSource {
  let line = 0
  return {
    next: () => {
      const text = lines[line]
      return text === undefined ? undefined : { line: ++line, text }
    },
  }
}

const OWN_COMMANDS = /^(?:M(?:105|110|114|115|118|155|400)(?!\d)|G4 P0\.01|\$I|STATUS$)/

/** One run. Deterministic in what it inflicts; the interleaving is the machine's. */
export async function runLab(seed: number, lines: readonly string[]): Promise<LabRun> {
  const dialect = DIALECTS[seed % DIALECTS.length] ?? 'marlin'
  const program = UNCHECKED.slice(0, 2).includes(dialect) ? lines.slice(1) : lines
  const faults = planOf(seed, dialect, program.length)
  const folder = mkdtempSync(join(tmpdir(), 'mpfd-lab-'))
  const executed: string[] = []
  const beganMs = performance.now()
  await using sim = startSimulatedMarlin({
    dialect,
    speed: 1e6,
    faults,
    linkPath: join(folder, 'port'),
    hasAdvancedOk: dialect === 'marlin' && seed % 2 === 0,
    onExecuted: text => {
      if (!OWN_COMMANDS.test(text)) executed.push(text)
    },
  })
  let resends = 0
  let reattachments = 0
  let isExact = false
  const outcome = await stream().catch((error: unknown) =>
    error instanceof DriverError ? error.code : String(error),
  )
  rmSync(folder, { recursive: true, force: true })
  const violation = violationOf(outcome, isExact, sim.summary().isHeating)
  return {
    seed,
    tookMs: Math.round(performance.now() - beganMs),
    dialect,
    faults: JSON.stringify(faults),
    outcome,
    executed: executed.length,
    resends,
    reattachments,
    violation,
  }

  async function stream(): Promise<string> {
    const controller = await openController(
      {
        dialect,
        port: sim.port,
        baud: 250_000,
        reattachWithinMs: 1000,
        tuning: {
          greetingMs: 10,
          quietMs: 10,
          handshakeRetryMs: 150,
          probeAfterMs: 40,
          probeBusyAfterMs: 400,
          silenceMs: 2500,
          ackTimeoutMs: 20_000,
          reattachRetryMs: 20,
          reattachListenMs: 250,
          stopVerifyMs: 100,
        },
      },
      { clock: systemClock, signal: new AbortController().signal, onEvent: () => undefined },
    )
    try {
      await controller.stream(sourceOf(program), { signal: new AbortController().signal })
      isExact = isSameProgram(executed, program, dialect === 'reprap')
      if (program !== lines) return 'exact'
      await controller.command('M104 S0')
      return 'exact'
    } catch (error) {
      await makeSafe(controller)
      throw error
    } finally {
      resends = controller.statistics.resends
      reattachments = controller.statistics.reattachments
      await controller[Symbol.asyncDispose]()
    }
  }

  // As the engine does: heaters off where the link still carries it; an emergency stop where it does not.
  async function makeSafe(controller: Awaited<ReturnType<typeof openController>>): Promise<void> {
    try {
      if (program === lines) await controller.command('M104 S0')
    } catch {
      await controller.emergencyStop()
    }
  }
}

/**
 * Whether `executed` is the program, line by line. RepRapFirmware checks no sequence, so a line whose loss cannot be seen in the position
 * is repeated when doing it twice is the same as once: there, and only there, a line that moves nothing may come twice in a row.
 */
function isSameProgram(
  executed: readonly string[],
  program: readonly string[],
  mayRepeat: boolean,
): boolean {
  let i = 0
  for (const text of executed) {
    if (text === program[i]) i++
    else if (!mayRepeat || text !== program[i - 1] || isMove(program, i - 1)) return false
  }
  return i === program.length
}

/** True when the line leaves another place than it found: all words are absolute in the lab's program. */
function isMove(program: readonly string[], at: number): boolean {
  const text = program[at] ?? ''
  return ['X', 'Y', 'Z', 'E'].some(axis => {
    const word = new RegExp(`${axis}(-?[\\d.]+)`)
    const value = word.exec(text)?.[1]
    if (value === undefined) return false
    const before = program.slice(0, at).findLast(line => word.test(line))
    return before === undefined || Number(word.exec(before)?.[1]) !== Number(value)
  })
}

/** A lost cable leaves the heaters to the board's own protection until the core has reconnected: not a fault of this layer. */
const UNREACHABLE = new Set(['DRIVER_PORT_LOST', 'DRIVER_SILENT'])

function violationOf(outcome: string, isExact: boolean, isHeating: boolean): string | undefined {
  if (outcome === 'exact' && !isExact)
    return 'success was reported, but something else was executed'
  if (!outcome.startsWith('DRIVER_') && outcome !== 'exact') return 'a failure without a code'
  if (isHeating && !UNREACHABLE.has(outcome)) return 'a heater was left on'
  return undefined
}

/** Runs seeds `first` to `first + runs - 1` and tells each violation. */
export async function runAll(
  first: number,
  runs: number,
  lines: readonly string[],
  tell: (run: LabRun) => void,
): Promise<ReadonlyMap<string, number>> {
  const outcomes = new Map<string, number>()
  for (let seed = first; seed < first + runs; seed++) {
    const run = await runLab(seed, lines)
    const key = `${run.dialect} ${run.outcome}`
    outcomes.set(key, (outcomes.get(key) ?? 0) + 1)
    tell(run)
  }
  return outcomes
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      runs: { type: 'string', default: '20' },
      first: { type: 'string', default: '1' },
      lines: { type: 'string', default: '2000' },
      verbose: { type: 'boolean', default: false },
      file: { type: 'string', default: join(import.meta.dirname, '../samples/clip.gcode') },
    },
  })
  const lines = programOf(values.file, 210).slice(0, Number(values.lines))
  let violations = 0
  const outcomes = await runAll(Number(values.first), Number(values.runs), lines, run => {
    if (run.violation !== undefined) violations++
    else if (!values.verbose) return
    process.stdout.write(`${JSON.stringify(run)}\n`)
  })
  for (const [key, count] of [...outcomes].sort()) process.stdout.write(`${key}: ${count}\n`)
  process.stdout.write(`${violations} violations in ${values.runs} runs of ${lines.length} lines\n`)
  process.exitCode = violations === 0 ? 0 : 1
}

if (import.meta.main) await main()
