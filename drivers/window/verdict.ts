/** What a reply asks of whoever owns the window: the only words between acknowledgement models and the shell. */

export type Verdict =
  | { readonly kind: 'nothing' }
  /** `acked` moved. */
  | { readonly kind: 'acked' }
  /** Write nothing for the settle time, then call `settle`. */
  | { readonly kind: 'resend'; readonly from: number }
  /** The reply cannot be right: ask again. */
  | { readonly kind: 'probe' }
  /** An acknowledgement or a line was lost: ask, unless what follows tells as much. */
  | { readonly kind: 'lost' }
  | { readonly kind: 'noise'; readonly resends: number }
  /** The controller did not execute line `n` of the window. */
  | { readonly kind: 'refused'; readonly n: number; readonly reason: string }
  /** It began anew although nobody heard it say so. */
  | { readonly kind: 'restarted'; readonly reason: string }
  /** No history of a well-behaved link leads here. */
  | { readonly kind: 'impossible'; readonly reason: string }

export const NOTHING: Verdict = Object.freeze({ kind: 'nothing' })
export const ACKED: Verdict = Object.freeze({ kind: 'acked' })
export const PROBE: Verdict = Object.freeze({ kind: 'probe' })
export const LOST: Verdict = Object.freeze({ kind: 'lost' })
