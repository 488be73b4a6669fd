/** Commands as the fleet end signs them: one verb, one printer, ten minutes, a counter that only grows. */

import { randomUUID } from 'node:crypto'
import {
  COMMAND_TYPE,
  type CommandStatement,
  commandSchema,
  ROLE_OF_VERB,
  type Verb,
} from '#lib/command-statement.ts'
import { signStatement } from '#lib/dsse.ts'
import type { SigningKey } from '#mpf'

export interface CommandRequest {
  readonly device: string
  readonly tenant: string
  readonly verb: Verb
  readonly args: CommandStatement['args']
  readonly issuer: string
  readonly atMs: number
  readonly lifeS?: number
}

const LIFE_S = 600

/** The envelope, and the id the answer will carry. The counter is the time in milliseconds: it needs no memory. */
export function signCommand(
  request: CommandRequest,
  keys: readonly SigningKey[],
): { readonly id: string; readonly envelope: Uint8Array } {
  const { device, tenant, verb, args, issuer, atMs, lifeS = LIFE_S } = request
  const role = ROLE_OF_VERB[verb]
  const atS = Math.floor(atMs / 1000)
  const statement: CommandStatement = commandSchema.parse({
    ...{ v: 1, id: randomUUID(), dev: device, ten: tenant, verb, args, role, iss: issuer },
    ...{ nbf: atS - 5, exp: atS - 5 + lifeS, ctr: Math.trunc(atMs) },
  })
  return { id: statement.id, envelope: signStatement(COMMAND_TYPE, statement, keys) }
}
