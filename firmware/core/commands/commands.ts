/** Signed commands put together: the ledger, the verbs and the checks of one printer. */

import type { KeyObject } from 'node:crypto'
import type { Clock } from '#lib/clock.ts'
import { parseTrustBundle } from '#mpf'
import type { TrustedTime } from '../trusted-time.ts'
import { createExecuteCommand, type ExecuteCommand } from './execute.ts'
import { createVerbs, type VerbParts } from './verbs.ts'

export interface CommandsParts extends VerbParts {
  readonly time: TrustedTime
  readonly clock: Clock
  readonly serial: string
  readonly tenant: string
  readonly trustBundle: Uint8Array
  /** Ed25519: signs results. */
  readonly key: KeyObject
}

export function createCommands(parts: CommandsParts): ExecuteCommand {
  // Read with the first command: a bundle that cannot be read refuses commands, not the start of the core.
  const trust = () => parseTrustBundle(parts.trustBundle)
  return createExecuteCommand({ ...parts, trust, verbs: createVerbs(parts) })
}
