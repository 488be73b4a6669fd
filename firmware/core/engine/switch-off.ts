/** What heats is switched off on every controller, each in its own words, whatever it waits for. */

import type { Controller, PrinterControllers } from '#drivers'
import type { Clock } from '#lib/clock.ts'
import { type PrinterHeaters, wordsOf } from './dialect-words.ts'
import { stopLayersOf } from './stop-layers.ts'

/** A wait that begins once another was ended is ended too, after as long at most. */
const BREAK_AGAIN_MS = 500
/** One may be damaged on its way; more would not fit the smallest receive ring. */
const BREAKS = 3

/** On all controllers at once. Resolves with why some may still heat, by name, when each has answered every word or is lost. */
export async function switchOff(
  { members }: Pick<PrinterControllers, 'members'>,
  heaters: PrinterHeaters,
  clock: Clock,
  signal: AbortSignal,
): Promise<string | undefined> {
  const failures = await Promise.all(
    members.map(async ({ name, controller }) => {
      const failure = await turnOff(controller, heaters, clock, signal)
      return failure === undefined ? [] : [`${name}: ${failure}`]
    }),
  )
  const all = failures.flat()
  return all.length === 0 ? undefined : all.join('; ')
}

/** Every word is said, whatever becomes of the others: a heater that is not there must not leave the next one on. */
async function turnOff(
  controller: Controller,
  heaters: PrinterHeaters,
  clock: Clock,
  signal: AbortSignal,
): Promise<string | undefined> {
  const { breakWait, off } = wordsOf(controller.identity)
  const isInterruptible = stopLayersOf(controller.identity).includes('emergency-parser')
  const done = new AbortController()
  if (isInterruptible) breakWaits(controller, breakWait, clock, done.signal).catch(() => undefined)
  const said = off(heaters).map(command => controller.command(command, { signal }))
  const failed = (await Promise.allSettled(said)).find(({ status }) => status === 'rejected')
  done.abort()
  return failed?.status === 'rejected' ? messageOf(failed.reason) : undefined
}

/** A controller that waits for heat answers nothing else until it is told to go on, and its queue may hold as many waits as lines. */
async function breakWaits(
  controller: Controller,
  breakWait: readonly string[],
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  const { inFlightLines } = controller.statistics
  for (let left = inFlightLines && Math.max(inFlightLines, BREAKS); left > 0; left--) {
    for (const command of breakWait) controller.command(command, { signal }).catch(() => undefined)
    await clock.sleep(BREAK_AGAIN_MS, signal)
  }
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : 'unknown fault'
}
