/** A simulated board of any dialect with a controller opened on it: what every driver test begins with. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { systemClock } from '#lib/clock.ts'
import {
  type ControllerConfig,
  type ControllerEvent,
  type LineSource,
  type MotionController,
  openController,
  type SimulatedMarlin,
  type SimulatedMarlinOptions,
  startSimulatedMarlin,
} from '../../drivers/index.ts'
import type { Tuning } from '../../drivers/tuning.ts'

/** Fast enough that no test waits for a motor or a heater it is not about. */
export const FAST = 1e6
export const QUICK: Partial<Tuning> = { greetingMs: 20, probeAfterMs: 50, quietMs: 20 }
export const never = new AbortController().signal

export interface Bench {
  readonly sim: SimulatedMarlin
  readonly controller: MotionController
  readonly events: ControllerEvent[]
  /** Everything executed, the driver's own commands included. */
  readonly executed: string[]
  /** Resolves with the first event of this kind, past ones included. */
  heard(kind: ControllerEvent['kind']): Promise<ControllerEvent>
}

export interface BenchOptions extends SimulatedMarlinOptions {
  readonly config?: Partial<ControllerConfig>
  readonly tuning?: Partial<Tuning>
}

export async function openBench(t: Test, options: BenchOptions = {}): Promise<Bench> {
  const { config, tuning, ...board } = options
  const executed: string[] = []
  const events: ControllerEvent[] = []
  const waiting: { kind: string; resolve(event: ControllerEvent): void }[] = []
  const sim = startSimulatedMarlin({
    speed: FAST,
    ...board,
    onExecuted: text => {
      executed.push(text)
      board.onExecuted?.(text)
    },
  })
  t.teardown(() => sim[Symbol.asyncDispose]())
  const controller = await openController(
    {
      dialect: board.dialect ?? 'marlin',
      port: sim.port,
      baud: 250_000,
      ...config,
      tuning: { ...QUICK, ...tuning },
    },
    {
      clock: systemClock,
      signal: never,
      onEvent: event => {
        events.push(event)
        for (const one of waiting) if (one.kind === event.kind) one.resolve(event)
      },
    },
  )
  t.teardown(() => controller[Symbol.asyncDispose]())
  const heard = (kind: ControllerEvent['kind']): Promise<ControllerEvent> => {
    const past = events.find(event => event.kind === kind)
    return past ? Promise.resolve(past) : new Promise(resolve => waiting.push({ kind, resolve }))
  }
  return { sim, controller, events, executed, heard }
}

/** A path for a simulated board's by-path link, gone with the test. */
export function linkPath(t: Test): string {
  const directory = mkdtempSync(join(tmpdir(), 'mpfd-port-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  return join(directory, 'by-path')
}

/** `count` absolute moves, each different from its neighbours. */
export function program(count: number): readonly string[] {
  return Array.from(
    { length: count },
    (_, i) => `G1 X${((i * 7) % 200).toFixed(2)} Y${(i % 180).toFixed(2)} Z${(i / 50).toFixed(2)}`,
  )
}

/** Hands over `lines` one by one. */
export function sourceOf(
  lines: readonly string[],
  onPull: (line: number) => void = () => undefined,
): LineSource {
  let line = 0
  return {
    next: () => {
      const text = lines[line]
      if (text === undefined) return undefined
      line++
      onPull(line)
      return { line, text }
    },
  }
}

/** What was executed of the program itself: without the driver's own commands. */
export function movesOf(executed: readonly string[]): readonly string[] {
  return executed.filter(text => /^G1 X/.test(text))
}
