/** Asking a Marlin who and where it is: M115 and M114, asked again when the answer came damaged. */
import type { ControllerIdentity, Position } from '../controller.ts'
import { DriverError } from '../errors.ts'
import type { Conversation } from './conversation.ts'
import { parseReply } from './replies.ts'
import type { MarlinTuning } from './tuning.ts'

/**
 * Reads M115.
 * @throws DriverError `DRIVER_NOT_RECOGNISED` when the firmware does not call itself Marlin.
 */
export async function identify(
  conversation: Conversation,
  tuning: MarlinTuning,
  signal: AbortSignal,
): Promise<ControllerIdentity> {
  let answer: readonly string[] = []
  // The first numbered exchange: its `ok T:` is unmistakable, so an acknowledgement left over from the greeting cannot be counted.
  await conversation.command('M105', signal)
  for (let attempt = 0; attempt < tuning.identifyAttempts; attempt++) {
    answer = await conversation.command('M115', signal)
    const identity = identityOf(answer)
    if (identity) return identity
  }
  throw new DriverError(
    'DRIVER_NOT_RECOGNISED',
    `M115 answered in ${answer.length} lines, none names Marlin`,
  )
}

function identityOf(answer: readonly string[]): ControllerIdentity | undefined {
  const capabilities: Record<string, boolean> = {}
  let fields: Readonly<Record<string, string>> | undefined
  for (const line of answer) {
    const reply = parseReply(line)
    if (reply.kind === 'firmware') fields = reply.fields
    else if (reply.kind === 'capability') capabilities[reply.name] = reply.isPresent
  }
  const firmware = fields?.FIRMWARE_NAME
  if (!fields || firmware === undefined || !/marlin/i.test(firmware)) return undefined
  return {
    dialect: 'marlin',
    firmware,
    machine: fields.MACHINE_TYPE ?? '',
    uuid: fields.UUID,
    capabilities,
  }
}

/** Reads M114; `undefined` when every answer came damaged. */
export async function readPosition(
  conversation: Conversation,
  tuning: MarlinTuning,
  signal: AbortSignal,
): Promise<Position | undefined> {
  for (let attempt = 0; attempt < tuning.identifyAttempts; attempt++) {
    for (const line of await conversation.command('M114', signal)) {
      const reply = parseReply(line)
      if (reply.kind === 'position') return reply.position
    }
  }
  return undefined
}
