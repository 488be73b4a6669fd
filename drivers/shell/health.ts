/** What a link does beside printing: latencies, stalls, use of the wire, and the ledger of replies nobody asked for. */
import type { Clock } from '#lib/clock.ts'
import type { ControllerEvent, StreamStatistics } from '../controller.ts'
import type { Reply } from '../reply.ts'
import { limitLines, type SendWindow } from '../window/send-window.ts'
import { LatencyHistogram } from './latency.ts'
import { Ledger } from './ledger.ts'

const BITS_PER_BYTE = 10
const MS_PER_S = 1000

const REASONS = {
  'acknowledged a line never sent': 'reply to a line never sent',
  'line number jumped': 'line number jumped',
} as const

/** One link's health, from open to close, over every reattachment. */
export class Health {
  readonly okToWrite = new LatencyHistogram()
  readonly #ledger: Ledger
  readonly #clock: Clock
  readonly #baud: number
  #streamedSinceMs: number | undefined
  #streamedMs = 0
  #streamedBytes = 0
  #plannerBlocks: number | undefined
  #isHalted = false
  stalls = 0
  reattachments = 0
  bytesSent = 0
  bytesReceived = 0
  /** Told by the identity: the firmware says `//action:` of its own accord. */
  hasHostActions = true

  constructor(clock: Clock, baud: number, onEvent: (event: ControllerEvent) => void) {
    this.#clock = clock
    this.#baud = baud
    this.#ledger = new Ledger((reason, detail, count) =>
      onEvent({ kind: 'suspicious', reason, detail, count }),
    )
  }

  /** A program begins, or ends: the wire's use is measured between. */
  streaming(isStreaming: boolean): void {
    const nowMs = this.#clock.nowMs()
    if (this.#streamedSinceMs !== undefined) this.#streamedMs += nowMs - this.#streamedSinceMs
    this.#streamedSinceMs = isStreaming ? nowMs : undefined
  }

  /** How long the wire takes for so many bytes. */
  wireMs(bytes: number): number {
    return ((bytes * BITS_PER_BYTE) / this.#baud) * MS_PER_S
  }

  sent(bytes: number): void {
    this.bytesSent += bytes
    if (this.#streamedSinceMs !== undefined) this.#streamedBytes += bytes
  }

  /** Judges one reply once the window has heard it. */
  judge(reply: Reply, window: SendWindow<unknown>, isStartExpected: boolean): void {
    if (window.plannerFree !== undefined && window.plannerFree > (this.#plannerBlocks ?? 0))
      this.#plannerBlocks = window.plannerFree
    if (window.doubt !== undefined) {
      this.#ledger.note(REASONS[window.doubt], `${window.next} is next`)
      window.doubt = undefined
    }
    if (reply.kind === 'start' && !isStartExpected)
      this.#ledger.note('unexpected start', `after line ${window.acked}`)
    else if (reply.kind === 'fatal') this.#isHalted = true
    else if (reply.kind === 'action')
      this.#ledger.judgeAction(reply.action, {
        hasHostActions: this.hasHostActions,
        isHalted: this.#isHalted,
      })
  }

  statistics(
    window: SendWindow<unknown>,
    { linesSent, savedBytes }: { readonly linesSent: number; readonly savedBytes: number },
  ): StreamStatistics {
    const sinceMs = this.#streamedSinceMs
    const streamedMs =
      this.#streamedMs + (sinceMs === undefined ? 0 : this.#clock.nowMs() - sinceMs)
    const capacityBytes = (this.#baud / BITS_PER_BYTE) * (streamedMs / MS_PER_S)
    return {
      linesSent,
      savedBytes,
      linesAcked: window.acked,
      bytesSent: this.bytesSent,
      bytesReceived: this.bytesReceived,
      resends: window.resends,
      inFlightLines: window.next - 1 - window.acked,
      windowLines: limitLines(window),
      okToWrite: this.okToWrite.percentiles(),
      wireUtilisation: capacityBytes > 0 ? this.#streamedBytes / capacityBytes : undefined,
      stalls: this.stalls,
      plannerFree: window.plannerFree,
      plannerBlocks: this.#plannerBlocks,
      reattachments: this.reattachments,
      suspicions: this.#ledger.counts,
    }
  }
}
