/** An exercise of what counts on the worst day: looked at for real, recorded as a drill, never an alarm. */

import type { Journal } from '../journal/journal.ts'
import type { PrinterKeys } from '../printer-keys.ts'
import type { Spool } from '../spool.ts'

export interface DrillParts {
  readonly journal: Journal
  readonly spool: Spool
  readonly keys: PrinterKeys
  readonly signal: AbortSignal
}

/** Resolves with what was found. Rejects with `signal.reason`. */
export async function drill(parts: DrillParts, name: string): Promise<string> {
  const { journal, spool, keys, signal } = parts
  const { isIntact, entries } = await journal.verifyEvents(signal)
  const { ids } = await spool.contents()
  const waiting = journal.jobs(['received', 'ready', 'interrupted'])
  const lost = waiting.filter(({ id }) => !ids.includes(id)).length
  const found = { log: isIntact ? 'intact' : 'broken', entries, jobs: waiting.length, lost }
  const detail = { ...found, drill: true, name, keys: keys.isEmpty ? 'none' : 'open' }
  const message = Object.entries(detail)
    .map(([key, value]) => `${key} ${value}`)
    .join(', ')
  journal.record({ type: 'drill.held', message: `exercise ${name}`, detail })
  return message
}
