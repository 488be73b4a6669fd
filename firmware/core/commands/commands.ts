/** Signed commands put together: the ledger, the verbs and the checks of one printer. */

import type { KeyObject } from 'node:crypto'
import { keyId, parseTrustBundle } from '#mpf'
import type { TrustedTime } from '../trusted-time.ts'
import { createExecuteCommand, type ExecuteCommand } from './execute.ts'
import { createVerbs, type VerbParts } from './verbs.ts'

export interface CommandsParts extends Omit<VerbParts, 'printerKeyId'> {
  readonly time: TrustedTime
  readonly serial: string
  readonly tenant: string
  readonly printerKey: KeyObject
  readonly trustBundle: Uint8Array
  /** Ed25519: signs results. */
  readonly key: KeyObject
}

export function createCommands(parts: CommandsParts): ExecuteCommand {
  // Read with the first command: a bundle that cannot be read refuses commands, not the start of the core.
  const trust = () => parseTrustBundle(parts.trustBundle)
  const verbs = createVerbs({ ...parts, printerKeyId: keyId(parts.printerKey) })
  return createExecuteCommand({ ...parts, trust, verbs })
}
