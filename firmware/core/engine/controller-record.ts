/** What is recorded of the printer's controllers: opened, not to be had, lost, and their last lines after a fault. */

import type { PrinterControllers } from '#drivers'
import { endReasonOf, isForeseen } from './end-reason.ts'
import type { MachineOptions } from './machine-options.ts'

type RecordOptions = Pick<MachineOptions, 'journal' | 'log' | 'name' | 'keepRecord'>

/** @throws CoreError JOURNAL_WRITE. */
export function recordConnected(controllers: PrinterControllers, { journal }: RecordOptions): void {
  for (const member of controllers.members) {
    const { firmware, machine } = member.controller.identity
    const detail = { controller: member.name, firmware, machine }
    journal.record({ type: 'printer.connected', message: `${member.name} answers`, detail })
  }
}

/** Never throws: it is opened again all the same. */
export function recordUnavailable(error: unknown, { journal, log, name }: RecordOptions): void {
  log.warn({ err: error, controller: name }, 'controller not connected')
  const detail = { controller: name }
  try {
    journal.record({ type: 'printer.unavailable', ...reasonOf(error), detail })
  } catch (cause) {
    log.error({ err: cause }, 'controller not connected, not recorded')
  }
}

/** Never throws: in the driver's loop that would help nobody. */
export function recordLost(error: unknown, { journal, log, name }: RecordOptions): void {
  const detail = { controller: name }
  try {
    journal.record({ type: 'printer.lost', ...reasonOf(error), detail })
  } catch (cause) {
    log.error({ err: cause }, 'loss not recorded')
  }
}

function reasonOf(error: unknown): { readonly code: string | undefined; readonly message: string } {
  const { code, message } = endReasonOf(error)
  return { code: isForeseen(error) ? code : undefined, message }
}

/** What went over the wire before a fault. A record that cannot be kept stops nothing. */
export async function keepFlightRecord(
  controllers: PrinterControllers,
  { journal, keepRecord, log, name }: RecordOptions,
): Promise<void> {
  if (keepRecord === undefined) return
  try {
    const entries = controllers.flightRecord()
    const file = await keepRecord(entries)
    const message = `${entries.length} lines of the wire`
    journal.record({ type: 'printer.flight_kept', message, detail: { controller: name, file } })
  } catch (error) {
    log.warn({ err: error }, 'flight record not kept')
  }
}
