/** Which ways of stopping this controller has, from what it announced: said at the start of each print, not found out in need. Pure. */

import type { ControllerIdentity } from '#drivers'

export type StopLayer =
  /** M112 is taken from the receive interrupt, whatever is queued. */
  | 'emergency-parser'
  /** A byte outside the line protocol halts at once. */
  | 'realtime-byte'
  /** M112 waits its turn behind what is already queued: seconds, not milliseconds. */
  | 'queued-command'

/** grbl 1.1 and grblHAL take `!` and Ctrl-X as bytes. */
const REALTIME: ReadonlySet<string> = new Set(['grbl', 'grblhal'])

export function stopLayersOf({ dialect, capabilities }: ControllerIdentity): readonly StopLayer[] {
  const layers: StopLayer[] = []
  if (capabilities.EMERGENCY_PARSER === true) layers.push('emergency-parser')
  if (REALTIME.has(dialect)) layers.push('realtime-byte')
  return layers.length === 0 ? ['queued-command'] : layers
}
