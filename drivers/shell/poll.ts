/** Keeps temperatures and position fresh where the firmware does not report by itself. */
import type { Clock } from '#lib/clock.ts'
import type { Dialect } from '../dialect.ts'
import type { Tuning } from '../tuning.ts'
import type { Conversation } from './conversation.ts'

export interface PollOptions {
  readonly clock: Clock
  readonly tuning: Tuning
  readonly conversation: Conversation
  readonly dialect: Dialect
  readonly signal: AbortSignal
}

/** Asks until `signal` aborts or the conversation fails. */
export function startPolling({ clock, tuning, conversation, dialect, signal }: PollOptions): void {
  const loop = async (): Promise<void> => {
    const { poll } = dialect
    while (!conversation.failure) {
      if (poll.kind === 'status') conversation.statusDesk.ask()
      else await conversation.command(poll.text, signal)
      await clock.sleep(poll.kind === 'status' ? tuning.statusPollMs : tuning.pollMs, signal)
    }
  }
  // Ends with the conversation, whose failure is told as `lost`.
  loop().catch(() => undefined)
}
