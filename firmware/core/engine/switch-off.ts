/** Making a machine safe: what heats is switched off on every controller, each in its own words, and within a bound. */

import type { Controller, PrinterControllers } from '#drivers'
import type { Clock } from '#lib/clock.ts'
import { CoreError } from '../errors.ts'
import { type PrinterHeaters, wordsOf } from './dialect-words.ts'
import { withTimeLimit } from './time-limit.ts'

/** Heaters off is answered at once; a park move behind a full planner takes its time. */
const SAFE_STOP_MS = 120_000

/** On all controllers at once; what waits for heat is told not to. Resolves with why some may still heat, by name. */
export async function switchOff(
  { members }: PrinterControllers,
  heaters: PrinterHeaters,
  clock: Clock,
  signal: AbortSignal,
): Promise<string | undefined> {
  const failures = await Promise.all(
    members.map(async ({ name, controller }) => {
      const failure = await attempt(clock, signal, limited => turnOff(controller, heaters, limited))
      return failure === undefined ? [] : [`${name}: ${failure}`]
    }),
  )
  const all = failures.flat()
  return all.length === 0 ? undefined : all.join('; ')
}

/** One controller was lost: what heats on the others is switched off, then they carry out `script`. Resolves with how it went. */
export async function holdOthers(
  controllers: PrinterControllers,
  heaters: PrinterHeaters,
  script: readonly string[],
  clock: Clock,
): Promise<string> {
  const { signal } = new AbortController()
  const heat = await switchOff(controllers, heaters, clock, signal)
  const park = await attempt(clock, signal, limited => runAll(controllers, script, limited))
  const isParked = script.length > 0 && park === undefined
  const done = `the other controllers were switched off${isParked ? ' and parked' : ''}`
  return [done, heat, park].filter(text => text !== undefined).join('; ')
}

/** One after the other, each on the controller it is for; each is acknowledged before the next. @throws DriverError; `signal.reason`. */
export async function runAll(
  controllers: PrinterControllers,
  commands: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  for (const command of commands) await controllers.command(command, { signal })
}

/** Resolves with why `body` failed or took too long, if it did. */
export function attempt(
  clock: Clock,
  signal: AbortSignal,
  body: (signal: AbortSignal) => Promise<void>,
): Promise<string | undefined> {
  const late = () => new CoreError('PRINTER_SCRIPT', `not done after ${SAFE_STOP_MS} ms`)
  return withTimeLimit(clock, SAFE_STOP_MS, signal, late, body).then(
    () => undefined,
    (error: unknown) => (error instanceof Error ? error.message : 'unknown fault'),
  )
}

async function turnOff(
  controller: Controller,
  heaters: PrinterHeaters,
  signal: AbortSignal,
): Promise<void> {
  const { breakWait, off } = wordsOf(controller.identity)
  // A controller that waits for heat answers nothing else until it is told to stop waiting.
  const isWaiting = controller.statistics.inFlightLines > 0
  const isInterruptible = controller.identity.capabilities.EMERGENCY_PARSER === true && isWaiting
  for (const command of [...(isInterruptible ? breakWait : []), ...off(heaters)])
    await controller.command(command, { signal })
}
