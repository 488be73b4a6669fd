/** The two timers of a link: any byte at all, and acknowledgements that move. */
import type { Clock } from '#lib/clock.ts'
import { DriverError } from '../errors.ts'
import type { Tuning } from '../tuning.ts'
import type { Conversation } from './conversation.ts'

/** A probe comes later than it is due by half of its delay at most. */
const LOOKS_A_PROBE = 2

export interface WatchOptions {
  readonly clock: Clock
  readonly tuning: Tuning
  readonly conversation: Conversation
  /** Reports the port lost when its device is gone. */
  readonly checkPresence: () => void
  /** Monotonic milliseconds of the last byte received. */
  readonly lastByteMs: () => number
  readonly signal: AbortSignal
}

/** Watches until `signal` aborts or the conversation fails: probes a stalled link, then gives it up. */
export function startWatch(options: WatchOptions): void {
  const { clock, tuning, conversation, signal } = options
  const look = createLook(options)
  const loop = async (): Promise<void> => {
    while (!conversation.failure) {
      // An idle link is looked at seldom: 40 wakes a second cost more than all else an idle core does.
      await clock.sleep(pauseMs(conversation, tuning), signal)
      if (conversation.isDetached) continue
      options.checkPresence()
      if (!conversation.failure && conversation.inFlight > 0) look()
    }
  }
  // Ends by its signal only.
  loop().catch(() => undefined)
}

function pauseMs({ inFlight, progress }: Conversation, tuning: Tuning): number {
  if (inFlight === 0) return tuning.idleWatchMs
  return Math.min(tuning.watchMs, progress.probeDelayMs / LOOKS_A_PROBE)
}

function createLook(options: WatchOptions): () => void {
  const { conversation } = options
  let isSuspected = false
  return () => {
    const error = faultOf(options)
    // A process that was stopped itself finds its timers due before it has read what came meanwhile: look twice.
    if (error && isSuspected) conversation.fail(error)
    isSuspected = error !== undefined
    if (!error && conversation.progress.isProbeDue) conversation.probe()
  }
}

function faultOf({
  clock,
  tuning,
  conversation,
  lastByteMs,
}: WatchOptions): DriverError | undefined {
  const nowMs = clock.nowMs()
  // Counted from the later of the two: a controller that was asked nothing owes nothing.
  const silentMs = nowMs - Math.max(lastByteMs(), conversation.progress.stalledSinceMs)
  if (silentMs > tuning.silenceMs)
    return new DriverError('DRIVER_SILENT', `no byte for ${Math.round(silentMs)} ms`)
  const stalledMs = nowMs - conversation.progress.stalledSinceMs
  if (stalledMs > tuning.ackTimeoutMs)
    return new DriverError(
      'DRIVER_ACK_TIMEOUT',
      `no acknowledgement for ${Math.round(stalledMs)} ms`,
    )
  return undefined
}
