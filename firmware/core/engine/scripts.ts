/** The printer's own commands around a print, from its configuration. What heats is switched off apart from them, by the controllers' own words. */

export interface PrintScripts {
  readonly start: readonly string[]
  readonly pause: readonly string[]
  readonly resume: readonly string[]
  /** Left out: heaters and fans off. */
  readonly end?: readonly string[] | undefined
  readonly cancel: readonly string[]
  readonly abnormalEnd: readonly string[]
  readonly recover: readonly string[]
}
