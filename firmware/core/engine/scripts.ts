/** The printer's own commands around a print, from its configuration, with what stands for those left out. */

import type { Config } from '#config'

export interface PrintScripts {
  readonly start: readonly string[]
  readonly pause: readonly string[]
  readonly resume: readonly string[]
  readonly end: readonly string[]
  readonly cancel: readonly string[]
  readonly abnormalEnd: readonly string[]
  readonly recover: readonly string[]
}

/** The scripts of a configured printer. */
export function scriptsOf({ scripts, profile }: Config['printer']): PrintScripts {
  return { ...scripts, end: scripts.end ?? heatersOff(profile.maxTempC.hotend.length) }
}

/** Every heater this printer may have, and the part fan; nothing that moves. */
export function heatersOff(tools: number): readonly string[] {
  const hotends = Array.from({ length: tools }, (_, tool) =>
    tools === 1 ? 'M104 S0' : `M104 T${tool} S0`,
  )
  return [...hotends, 'M140 S0', 'M107']
}
