/** Which ways of stopping this controller has, from what it announced: said at the start of each print, not found out in need. Pure. */

import type { ControllerIdentity } from '#drivers'

export type StopLayer =
  /** M112 is taken from the receive interrupt, whatever is queued. */
  | 'emergency-parser'
  /** A byte outside the line protocol halts at once. */
  | 'realtime-byte'
  /** M112 waits its turn behind what is already queued: seconds, not milliseconds. */
  | 'queued-command'

/** grbl 1.1 and grblHAL take `!` and Ctrl-X as bytes, Smoothieware Ctrl-X. */
const REALTIME: ReadonlySet<string> = new Set(['grbl', 'grblhal', 'smoothie'])
/** Buddy compares the bare word, RepRapFirmware looks for it in its input, Klipper while fewer than 20 lines are pending: the window has 14. */
const EARLY: ReadonlySet<string> = new Set(['buddy', 'reprap', 'klipper'])

export function stopLayersOf({ dialect, capabilities }: ControllerIdentity): readonly StopLayer[] {
  const layers: StopLayer[] = []
  if (capabilities.EMERGENCY_PARSER === true || EARLY.has(dialect)) layers.push('emergency-parser')
  if (REALTIME.has(dialect)) layers.push('realtime-byte')
  return layers.length === 0 ? ['queued-command'] : layers
}
