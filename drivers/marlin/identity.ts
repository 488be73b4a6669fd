/** M115 as every firmware of the RepRap family answers it: fields, then capabilities. Pure. */
import type { ControllerIdentity } from '../controller.ts'
import type { DialectName } from '../dialect.ts'
import type { Reply } from '../reply.ts'
import type { SendWindow } from '../window/send-window.ts'

/** Reads an identity out of the replies to M115; `undefined` when `name` does not match its name and version. */
export function identityBy(
  dialect: DialectName,
  name: RegExp,
): (replies: readonly Reply[]) => ControllerIdentity | undefined {
  return replies => {
    const said = replies.map(reply => (reply.kind === 'ok' ? reply.report : reply))
    const fields = said.findLast(reply => reply?.kind === 'firmware')?.fields
    if (fields?.FIRMWARE_NAME === undefined) return undefined
    const { FIRMWARE_NAME, FIRMWARE_VERSION = '' } = fields
    const firmware = `${FIRMWARE_NAME} ${FIRMWARE_VERSION}`.trimEnd()
    if (!name.test(firmware)) return undefined
    return {
      dialect,
      firmware,
      machine: fields.MACHINE_TYPE ?? '',
      uuid: fields.UUID,
      capabilities: capabilitiesOf(said),
    }
  }
}

function capabilitiesOf(said: readonly (Reply | undefined)[]): Readonly<Record<string, boolean>> {
  const capabilities: Record<string, boolean> = {}
  for (const reply of said) {
    if (reply?.kind === 'capability') capabilities[reply.name] = reply.isPresent
    if (reply?.kind === 'firmware') Object.assign(capabilities, runOnCapability(reply.fields))
  }
  return capabilities
}

/** The capability that stands on the firmware's own line. */
function runOnCapability(fields: Readonly<Record<string, string>>): Record<string, boolean> {
  const found = Object.entries(fields).filter(([key]) => key.startsWith('Cap:'))
  return Object.fromEntries(found.map(([key, value]) => [key.slice('Cap:'.length), value === '1']))
}

/** The firmware reads emergency commands from the receive interrupt: nothing need be kept free for them. */
export function learnEmergencyParser(
  { capabilities }: ControllerIdentity,
  window: SendWindow<unknown>,
): void {
  if (capabilities.EMERGENCY_PARSER === true) window.reservedLines = 0
}
