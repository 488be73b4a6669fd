/** One command outside the program, from its call to its acknowledgement; and who waits for a line of the window. */
import type { Reply } from '../reply.ts'
import type { Feed } from './feed.ts'

/** A command that waits or is in flight. */
export interface Ticket {
  readonly text: string
  readonly replies: string[]
  readonly isUrgent: boolean
  /** A mark instead of `text`: resolves when everything before it was executed, by the controller's own word. */
  readonly isMark: boolean
  isCancelled: boolean
  resolve(replies: readonly string[]): void
  reject(reason: unknown): void
}

/** Who waits for a line: a program line by number, a command by its ticket, or nobody (marks). */
export type Owner =
  | { readonly kind: 'program'; readonly line: number; readonly feed: Feed }
  | { readonly kind: 'command'; readonly ticket: Ticket }
  | { readonly kind: 'driver' }

/** Hands a new ticket to `queue` and settles as it does; an abort before the acknowledgement rejects with the signal's reason. */
export function issue(
  request: Pick<Ticket, 'text' | 'isUrgent' | 'isMark'>,
  signal: AbortSignal | undefined,
  queue: (ticket: Ticket) => void,
): Promise<readonly string[]> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason)
    const abort = (): void => {
      ticket.isCancelled = true
      ticket.reject(signal?.reason)
    }
    const ticket: Ticket = {
      ...request,
      replies: [],
      isCancelled: false,
      resolve: replies => {
        signal?.removeEventListener('abort', abort)
        resolve(replies)
      },
      reject: reason => {
        signal?.removeEventListener('abort', abort)
        reject(reason)
      },
    }
    signal?.addEventListener('abort', abort, { once: true })
    queue(ticket)
  })
}

/** Keeps a line as an answer to the command being executed; the link's own words are nobody's answer. */
export function collectReply(owner: Owner | undefined, line: string, reply: Reply): void {
  if (owner?.kind !== 'command') return
  if (reply.kind === 'ok' && reply.report === undefined) return
  if (reply.kind === 'busy' || reply.kind === 'action' || reply.kind === 'status') return
  if (reply.kind === 'linkError' || reply.kind === 'resend') return
  owner.ticket.replies.push(line)
}
