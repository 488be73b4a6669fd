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

/** Of each controller, by name where there are several: `motion: emergency-parser; fibre: queued-command`. */
export function stopStatement({ members }: Pick<PrinterControllers, 'members'>): string {
  const all = members.map(({ name, controller }) => {
    const layers = stopLayersOf(controller.identity).join(' ')
    return members.length === 1 ? layers : `${name}: ${layers}`
  })
  return all.join('; ')
}
