/** Asking a controller who and where it is, again when the answer came damaged. */
import type { Clock } from '#lib/clock.ts'
import type { ControllerIdentity, Position } from '../controller.ts'
import type { Dialect } from '../dialect.ts'
import type { Tuning } from '../tuning.ts'
import type { Conversation } from './conversation.ts'

/** Asks who answers, and lets the window learn from it; `undefined` when it is not of this dialect. @throws DriverError; `signal.reason`. */
export async function identify(
  conversation: Conversation,
  { identification, parseReply }: Dialect,
  tuning: Tuning,
  signal: AbortSignal,
): Promise<ControllerIdentity | undefined> {
  let answer: readonly string[] = []
  if (identification.sync !== undefined) await conversation.command(identification.sync, signal)
  for (let attempt = 0; attempt < tuning.identifyAttempts; attempt++) {
    const previous = answer
    answer = await conversation.command(identification.ask, signal)
    // A damaged digit would size the window wrongly, and nothing checks it: believed once it was said twice.
    if (identification.isUnchecked && !isSame(previous, answer)) continue
    const replies = answer.map(line => parseReply(line))
    const identity = identification.identityOf(replies)
    if (!identity) continue
    identification.learn(identity, conversation.window, replies)
    return identity
  }
  return undefined
}

function isSame(one: readonly string[], other: readonly string[]): boolean {
  return one.join('\n') === other.join('\n')
}

export interface PositionOptions {
  readonly dialect: Dialect
  readonly tuning: Tuning
  readonly clock: Clock
  readonly signal?: AbortSignal
}

/** Reads where the controller believes to be; `undefined` when every answer came damaged. Millimetres. */
export async function readPosition(
  conversation: Conversation,
  options: PositionOptions,
): Promise<Position | undefined> {
  const { dialect, tuning, signal } = options
  const { positionQuery, parseReply } = dialect
  if (positionQuery === undefined) return statusPosition(conversation, options)
  for (let attempt = 0; attempt < tuning.identifyAttempts; attempt++) {
    for (const line of await conversation.command(positionQuery, signal)) {
      const reply = parseReply(line)
      const said = reply.kind === 'ok' ? reply.report : reply
      if (said?.kind === 'position') return said.position
    }
  }
  return undefined
}

/** grbl tells its work offset only in one report of thirty (REPORT_WCO_REFRESH_BUSY_COUNT). */
const STATUS_ATTEMPTS = 40
const MOVING = /^(?:Run|Jog|Home)/

// A status report tells where the machine is, not where the program has got to: the two are one once it stands.
async function statusPosition(
  conversation: Conversation,
  { dialect, tuning, clock, signal }: PositionOptions,
): Promise<Position | undefined> {
  await conversation.command(dialect.drain, signal)
  let standing = 0
  for (let movingMs = 0; standing < STATUS_ATTEMPTS && movingMs < tuning.ackTimeoutMs; ) {
    signal?.throwIfAborted()
    const { state, position } = await conversation.statusDesk.next()
    if (MOVING.test(state)) {
      // Told drained on an acknowledgement that was not its own: where it ends is what counts.
      await clock.sleep(tuning.statusPollMs, signal)
      movingMs += tuning.statusPollMs
    } else if (position) return position
    else standing++
  }
  return undefined
}
