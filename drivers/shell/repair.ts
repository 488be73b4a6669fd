/** After damage: waits until what was in flight has crossed the wire, then rewinds or asks. */
import type { Clock } from '#lib/clock.ts'
import type { Tuning } from '../tuning.ts'
import { inFlightLines, isRewound, type SendWindow, trust } from '../window/send-window.ts'
import type { Health } from './health.ts'

export interface RepairOptions {
  readonly clock: Clock
  readonly tuning: Tuning
  readonly window: SendWindow<unknown>
  readonly health: Health
  /** True while nothing may be written. */
  readonly isDumb: () => boolean
  readonly probe: () => void
  readonly settled: () => void
  /** Writes what there is room for. */
  readonly goOn: () => void
}

/** The line asked for was the last one written: nothing stale is on its way behind it. */
function isAlone({ settlingFrom, cursor }: SendWindow<unknown>): boolean {
  return settlingFrom !== undefined && cursor <= settlingFrom + 1
}

export class Repair {
  readonly #options: RepairOptions
  #isAskDue = false
  /** What was acknowledged when the last reply was lost. */
  #doubted = 0

  constructor(options: RepairOptions) {
    this.#options = options
  }

  /** A resend was asked for, or a reply cannot be right: rewinds once the stale lines of the window were refused, or asks. */
  settleLater(): void {
    const { window, probe, settled } = this.#options
    if (isAlone(window)) return settled()
    this.#later(() => {
      if (window.settlingFrom === undefined) probe()
      else settled()
    })
  }

  /**
   * An acknowledgement or a line was lost. Where `ok N` is said the next line asks: its number acknowledges both, or is refused. Else, or
   * where there is no next one, asks by a line of its own, unless a later number tells as much. A plain count stays one behind.
   */
  askLater(): void {
    const { window, probe, goOn } = this.#options
    if (window.isNumbered && window.settlingFrom === undefined && !isRewound(window)) {
      trust(window)
      goOn()
    }
    this.#doubted = window.acked
    if (this.#isAskDue) return
    this.#isAskDue = true
    this.#later(() => {
      const isHealed = window.isNumbered && window.acked > this.#doubted
      if (!isHealed && inFlightLines(window) > 0) probe()
    })
  }

  #later(act: () => void): void {
    const { clock, tuning, window, health, isDumb } = this.#options
    clock.sleep(tuning.settleMs + health.wireMs(window.outstandingBytes)).then(
      () => {
        this.#isAskDue = false
        if (!isDumb()) act()
      },
      () => undefined,
    )
  }
}
