/** Since when nothing has moved, and when it is time to ask. */
import type { Clock } from '#lib/clock.ts'
import type { Tuning } from '../tuning.ts'
import type { SendWindow } from '../window/send-window.ts'

/** A framed mark at its longest. */
const PROBE_BYTES = 24
/** Probes that fit the smallest receive ring beside nothing else: 64 bytes. */
const PROBES_IN_RING = 2

/** Of a new interval in the mean. */
const PACE_SHARE = 1 / 8
/** No acknowledgement for so many of them: a word was lost rather than a move long. */
const PACES_MISSED = 5

/** Progress of the acknowledgements of one conversation. */
export class Progress {
  readonly #clock: Clock
  readonly #tuning: Tuning
  readonly #window: SendWindow<unknown>
  /** When it was last asked, in this stall. */
  #probedMs: number | undefined
  #isBusy = false
  /** Between acknowledgements, a moving mean: a wait for a move that makes room in the planner included. */
  #paceMs = 0
  /** Since when nothing has moved the acknowledgements, and nothing says that the controller works on it. Monotonic. */
  stalledSinceMs: number

  constructor(clock: Clock, tuning: Tuning, window: SendWindow<unknown>) {
    this.#clock = clock
    this.#tuning = tuning
    this.#window = window
    this.stalledSinceMs = clock.nowMs()
  }

  /** Acknowledgements moved, or begin to be owed. */
  moved(): void {
    const nowMs = this.#clock.nowMs()
    this.#paceMs += (nowMs - this.stalledSinceMs - this.#paceMs) * PACE_SHARE
    this.stalledSinceMs = nowMs
    this.#probedMs = undefined
    this.#isBusy = false
  }

  /** The controller says that it works on something. */
  busy(): void {
    this.#isBusy = true
    this.stalledSinceMs = this.#clock.nowMs()
  }

  /** A probe is sent; true for the first of a stall. */
  probed(): boolean {
    const isFirst = this.#probedMs === undefined
    this.#probedMs = this.#clock.nowMs()
    return isFirst
  }

  /** Nothing has moved, and nothing was asked, for {@link probeDelayMs}. */
  get isProbeDue(): boolean {
    const sinceMs = Math.max(this.stalledSinceMs, this.#probedMs ?? 0)
    return this.#clock.nowMs() - sinceMs >= this.probeDelayMs
  }

  /**
   * Milliseconds without progress, or from the last probe on, after which the next is due: each after as long as all before it. Where a
   * probe would not fit the receive ring or take the slot kept free for a stop, or the controller said it is busy, it waits for longer
   * than a busy interval: probes must not pile up behind an M109.
   */
  get probeDelayMs(): number {
    const probingMs = Math.max(0, (this.#probedMs ?? 0) - this.stalledSinceMs)
    return Math.max(this.#afterMs, Math.min(probingMs, this.#tuning.maxProbeAfterMs))
  }

  get #afterMs(): number {
    const { probeAfterMs, probeBusyAfterMs, probeNoisyAfterMs, probePacedAfterMs } = this.#tuning
    if (this.#isBusy || this.#isTight) return probeBusyAfterMs
    const { resends, windowLines, noiseLevel } = this.#window
    const isNoisy = noiseLevel >= 1 || (resends > 0 && windowLines === 1)
    if (!isNoisy) return probeAfterMs
    const pacedMs = Math.max(probePacedAfterMs, PACES_MISSED * this.#paceMs)
    return Math.min(pacedMs, probeNoisyAfterMs, probeAfterMs)
  }

  get #isTight(): boolean {
    const { bufferLines, reservedLines, outstandingBytes, ringBytes, rules } = this.#window
    // Rewound lines are owed, not with the controller.
    const lines = this.#window.cursor - 1 - this.#window.acked
    if (reservedLines > 0 && lines >= bufferLines - reservedLines) return true
    // The Marlin family queues lines apart from its receive ring: what the window allows is in the queue, the ring is empty.
    const isQueued = rules.okAfterResend !== 'never' && lines < bufferLines + PROBES_IN_RING
    return !isQueued && outstandingBytes + PROBE_BYTES > ringBytes
  }
}
