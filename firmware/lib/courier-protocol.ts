/** What the courier may ask of the core over the control socket, beside what every client may. The core decides; the courier carries. */

/** What the courier may tell the core to record: things only it can see. */
export const COURIER_EVENTS = [
  'cloud.connected',
  'cloud.disconnected',
  'cloud.refused',
  'cloud.taken_over',
  'cloud.acl_refused',
  'cloud.forged',
  'cloud.telemetry_lost',
  'cloud.certificate_renewed',
  'cloud.certificate_failed',
  'cloud.certificate_ending',
  'cloud.transfer_started',
  'cloud.transfer_finished',
  'cloud.transfer_refused',
  'cloud.transfer_cancelled',
  'cloud.alarm',
  'cloud.store_failed',
  'cloud.store_recovered',
] as const
export type CourierEvent = (typeof COURIER_EVENTS)[number]

export interface CourierMethods {
  /** The signed head of the event log, and who signs it. */
  readonly 'log.checkpoint': {
    readonly params: Record<string, never>
    readonly result: {
      readonly size: number
      readonly note: string
      readonly name: string
      /** PEM of the log's public key. */
      readonly publicKey: string
    }
  }
  /** Events `from` to at most `to`, as far as one segment takes them: a signed envelope (base64), and the last number in it. */
  readonly 'log.segment': {
    readonly params: { readonly from: number; readonly to: number }
    readonly result: { readonly envelope: string; readonly to: number }
  }
  /** While held the core accepts no new job; survives a restart. */
  readonly 'intake.hold': {
    readonly params: { readonly isHeld: boolean }
    readonly result: { readonly isHeld: boolean }
  }
  /** A signed command, as it came: base64 of the envelope. The answer's `result` is a signed envelope, base64. */
  readonly 'command.execute': {
    readonly params: { readonly envelope: string }
    readonly result: {
      readonly result: string
      readonly outcome: 'done' | 'refused' | 'failed' | 'handed-over'
      readonly code: string | null
      /** For 'handed-over': a verb of the courier's own. */
      readonly verb: string | null
      readonly args: Readonly<Record<string, string | number | boolean>>
    }
  }
  /** Codes of what is wrong with the courier just now: all of them, shown until it says otherwise. */
  readonly 'cloud.alarms': {
    readonly params: { readonly codes: readonly string[] }
    readonly result: { readonly codes: readonly string[] }
  }
  readonly 'cloud.report': {
    readonly params: {
      readonly type: CourierEvent
      readonly code?: string
      readonly message: string
      readonly detail?: Readonly<Record<string, string | number | boolean | null>>
    }
    readonly result: { readonly sequence: number }
  }
}
