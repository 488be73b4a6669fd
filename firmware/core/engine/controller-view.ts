/** A controller as clients see it: identity, heat, and how its link does. Pure. */

import type { Member } from '#drivers'
import type { ControllerView } from '#lib/control-protocol.ts'
import { endReasonOf, isForeseen } from './end-reason.ts'
import { linkView } from './link-view.ts'

export function controllerView({ name, role, controller }: Member): ControllerView {
  const { identity, temperatures, statistics } = controller
  const link = linkView(statistics)
  const { linesSent, resends, inFlightLines, windowLines } = statistics
  return {
    ...{ name, role, connected: true, firmware: identity.firmware, temperatures },
    ...{ linesSent, resends, inFlightLines, windowLines, link },
  }
}

/** A controller that is not connected, and what was wrong when it was last tried. */
export function offlineView(name: string, error: unknown): ControllerView {
  const { code, message } = endReasonOf(error)
  return {
    ...{ name, role: 'motion', connected: false, firmware: null, temperatures: {} },
    fault: isForeseen(error) ? { code, message } : null,
    ...{ linesSent: 0, resends: 0, inFlightLines: 0, windowLines: 0, link: null },
  }
}
