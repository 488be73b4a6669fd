/** M115 as every firmware of the RepRap family answers it: fields, then capabilities. Pure. */
import type { ControllerIdentity } from '../controller.ts'
import type { DialectName } from '../dialect.ts'
import type { Reply } from '../reply.ts'
import type { SendWindow } from '../window/send-window.ts'

/** Reads an identity out of the replies to M115; `undefined` when the firmware's name does not match. */
export function identityBy(
  dialect: DialectName,
  name: RegExp,
): (replies: readonly Reply[]) => ControllerIdentity | undefined {
  return replies => {
    const said = replies.map(reply => (reply.kind === 'ok' ? reply.report : reply))
    const fields = said.findLast(reply => reply?.kind === 'firmware')?.fields
    const firmware = fields?.FIRMWARE_NAME
    if (!fields || firmware === undefined || !name.test(firmware)) return undefined
    const version = fields.FIRMWARE_VERSION
    return {
      dialect,
      firmware: version === undefined ? firmware : `${firmware} ${version}`,
      machine: fields.MACHINE_TYPE ?? '',
      uuid: fields.UUID,
      capabilities: capabilitiesOf(said),
    }
  }
}

function capabilitiesOf(said: readonly (Reply | undefined)[]): Readonly<Record<string, boolean>> {
  const capabilities: Record<string, boolean> = {}
  for (const reply of said)
    if (reply?.kind === 'capability') capabilities[reply.name] = reply.isPresent
  return capabilities
}

/** The firmware reads emergency commands from the receive interrupt: nothing need be kept free for them. */
export function learnEmergencyParser(
  { capabilities }: ControllerIdentity,
  window: SendWindow<unknown>,
): void {
  if (capabilities.EMERGENCY_PARSER === true) window.reservedLines = 0
}
