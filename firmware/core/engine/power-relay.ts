/** The relay of heaters and motors: the last layer of a stop, which needs no controller that listens. */

import { writeFileSync } from 'node:fs'
import type { Config } from '#config'
import type { Journal } from '../journal/journal.ts'

/** A write to sysfs takes effect before it returns. */
export function powerCutOf({ powerRelay }: Config['printer']['safety']): (() => void) | undefined {
  return powerRelay && (() => writeFileSync(powerRelay.file, powerRelay.cut))
}

/** Cuts the power, and says whether that could be done. */
export function isCut(cutPower: () => void, journal: Journal): boolean {
  try {
    cutPower()
    journal.record({ type: 'printer.power_cut', message: 'the safety relay is open' })
    return true
  } catch (error) {
    const message = error instanceof Error ? error.message : 'not written'
    journal.record({ type: 'printer.power_cut', code: 'PRINTER_RELAY', message })
    return false
  }
}
