/** The health of a link, kept as counts: what no line of ours explains is told, at once and then ever more rarely. */
import type { SuspicionReason } from '../controller.ts'

/** Actions a firmware says by itself (Marlin host_actions.h, Prusa Buddy): anything else was put into its mouth. */
const KNOWN_ACTIONS =
  /^(?:cancel|disconnect|out_of_filament|paused?|poweroff|resumed?|start|shutdown|not_ready|ready|prompt_\w+|notification|uvlo_(?:auto_)?recovery_ready|sd_\w+)(?:\s|$)/

/** What an action is judged by. */
export interface ActionContext {
  /** The firmware announced host actions, or does not announce capabilities at all. */
  readonly hasHostActions: boolean
  readonly isHalted: boolean
}

/** Counts by reason. The first of a kind is told, then the second, the fourth, the eighth. */
export class Ledger {
  readonly #counts = new Map<SuspicionReason, number>()
  readonly #tell: (reason: SuspicionReason, detail: string, count: number) => void

  constructor(tell: (reason: SuspicionReason, detail: string, count: number) => void) {
    this.#tell = tell
  }

  /** Every reason met so far, with how often. */
  get counts(): Readonly<Partial<Record<SuspicionReason, number>>> {
    return Object.fromEntries(this.#counts)
  }

  note(reason: SuspicionReason, detail: string): void {
    const count = (this.#counts.get(reason) ?? 0) + 1
    this.#counts.set(reason, count)
    if ((count & (count - 1)) === 0) this.#tell(reason, detail, count)
  }

  /** Judges a `//action:` line. No program line can have caused it: M118 never passes the codec. */
  judgeAction(action: string, { hasHostActions, isHalted }: ActionContext): void {
    const isKnown = KNOWN_ACTIONS.test(action)
    const isPowerOff = /^poweroff/.test(action)
    if (hasHostActions && isKnown && (!isPowerOff || isHalted)) return
    if (isHalted && isPowerOff) return
    this.note('forged action', action.slice(0, 40))
  }
}
