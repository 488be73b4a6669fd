/** Asking a controller who and where it is, again when the answer came damaged. */
import type { ControllerIdentity, Position } from '../controller.ts'
import type { Dialect } from '../dialect.ts'
import { DriverError } from '../errors.ts'
import type { Tuning } from '../tuning.ts'
import type { Conversation } from './conversation.ts'

/**
 * Asks who answers.
 * @throws DriverError `DRIVER_NOT_RECOGNISED` when it is not of this dialect.
 */
export async function identify(
  conversation: Conversation,
  { identification, parseReply, name }: Dialect,
  tuning: Tuning,
  signal: AbortSignal,
): Promise<ControllerIdentity> {
  let answer: readonly string[] = []
  if (identification.sync !== undefined) await conversation.command(identification.sync, signal)
  for (let attempt = 0; attempt < tuning.identifyAttempts; attempt++) {
    answer = await conversation.command(identification.ask, signal)
    const identity = identification.identityOf(answer.map(line => parseReply(line)))
    if (identity) return identity
  }
  throw new DriverError(
    'DRIVER_NOT_RECOGNISED',
    `${identification.ask} answered in ${answer.length} lines, none names ${name}`,
  )
}

/** Reads where the controller believes to be; `undefined` when every answer came damaged. Millimetres. */
export async function readPosition(
  conversation: Conversation,
  { positionQuery, parseReply }: Dialect,
  tuning: Tuning,
  signal?: AbortSignal,
): Promise<Position | undefined> {
  if (positionQuery === undefined) return (await conversation.status()).position
  for (let attempt = 0; attempt < tuning.identifyAttempts; attempt++) {
    for (const line of await conversation.command(positionQuery, signal)) {
      const reply = parseReply(line)
      const said = reply.kind === 'ok' ? reply.report : reply
      if (said?.kind === 'position') return said.position
    }
  }
  return undefined
}
