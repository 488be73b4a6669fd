/** Commands as the fleet end signs them: one verb, one printer, ten minutes, a counter that only grows. */

import { randomUUID } from 'node:crypto'
import type { Clock } from '#lib/clock.ts'
import {
  COMMAND_TYPE,
  type CommandStatement,
  commandSchema,
  ROLE_OF_VERB,
  type Verb,
} from '#lib/command-statement.ts'
import { signStatement } from '#lib/dsse.ts'
import type { SigningKey } from '#mpf'
import { FleetError } from './errors.ts'
import type { FleetStore } from './store.ts'

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
const ANSWER_MS = 30_000
const LOOK_MS = 200
const PAGE = 100

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

/**
 * The printer's answer to the command of this id, as a worker stores it: looked for behind number `after` of its answers.
 * @throws FleetError FLEET_NO_ANSWER after half a minute; the signal's reason
 */
export async function awaitAnswer(
  store: FleetStore,
  command: { readonly device: string; readonly id: string; readonly after: number },
  clock: Clock,
  signal: AbortSignal,
): Promise<unknown> {
  const { device, id, after } = command
  for (const sinceMs = clock.nowMs(); clock.nowMs() - sinceMs < ANSWER_MS; ) {
    for (const { value } of store.items(device, 'resp', after, PAGE)) {
      const { payload } = value as { readonly payload: string }
      const result = JSON.parse(Buffer.from(payload, 'base64').toString('utf8')) as { id: string }
      if (result.id === id) return result
    }
    await clock.sleep(LOOK_MS, signal)
  }
  throw new FleetError('FLEET_NO_ANSWER', `not answered in ${ANSWER_MS / 1000} s`)
}
