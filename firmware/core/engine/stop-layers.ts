/** Which ways of stopping this controller has, from what it announced: said at the start of each print, not found out in need. Pure. */

import type { ControllerIdentity, PrinterControllers } from '#drivers'

export type StopLayer =
  /** M112 is taken from the receive interrupt, whatever is queued. */
  | 'emergency-parser'
  /** A byte outside the line protocol halts at once. */
  | 'realtime-byte'
  /** M112 waits its turn behind what is already queued: seconds, not milliseconds. */
  | 'queued-command'
  /** Last resort where the port has DTR and the board is wired for it: reset, when a stop is not confirmed. */
  | 'reset-line'
  /** Of the printer, not of a controller: cuts the power when no controller says that it halted, or none is connected. */
  | 'power-relay'

/** grbl 1.1 and grblHAL take `!` and Ctrl-X as bytes, Smoothieware Ctrl-X. */
const REALTIME: ReadonlySet<string> = new Set(['grbl', 'grblhal', 'smoothie'])
/** Buddy compares the bare word, RepRapFirmware looks for it in its input, Klipper while fewer than 20 lines are pending: the window has 14. */
const EARLY: ReadonlySet<string> = new Set(['buddy', 'reprap', 'klipper'])

export function stopLayersOf({
  dialect,
  capabilities,
  hasResetLine,
}: ControllerIdentity): readonly StopLayer[] {
  const layers: StopLayer[] = []
  if (capabilities.EMERGENCY_PARSER === true || EARLY.has(dialect)) layers.push('emergency-parser')
  if (REALTIME.has(dialect)) layers.push('realtime-byte')
  if (layers.length === 0) layers.push('queued-command')
  if (hasResetLine === true) layers.push('reset-line')
  return layers
}

/** Of each controller, by name where there are several: `motion: emergency-parser; fibre: queued-command; printer: power-relay`. */
export function stopStatement(
  members: PrinterControllers['members'],
  { hasPowerRelay }: { readonly hasPowerRelay: boolean },
): string {
  const all = members.map(({ name, controller }) => {
    const layers = stopLayersOf(controller.identity).join(' ')
    return members.length === 1 ? layers : `${name}: ${layers}`
  })
  const relay: StopLayer = 'power-relay'
  if (hasPowerRelay) all.push(`printer: ${relay}`)
  return all.join('; ')
}
