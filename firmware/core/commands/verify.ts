/** Whether a command may be carried out: every check in its order, and no effect. Pure. */

import { createHash } from 'node:crypto'
import {
  COMMAND_TYPE,
  type CommandStatement,
  commandSchema,
  MAX_COMMAND_LIFE_MS,
  ROLE_OF_VERB,
  type Verb,
} from '#lib/command-statement.ts'
import { unverifiedStatement, verifyStatement } from '#lib/dsse.ts'
import type { TrustBundle } from '#mpf'
import type { CoreErrorCode } from '../errors.ts'

/** These need two different authorities; `unlock` only after a security lock. */
const TWO_SIGNATURES: ReadonlySet<Verb> = new Set(['wipe', 'retire', 'reuse'])
/** What may be asked while the clock is not to be trusted: nothing that opens or destroys. */
const SAFE_WITHOUT_CLOCK: ReadonlySet<Verb> = new Set(['print.pause', 'job.cancel', 'lock'])
const NOT_BEFORE_TOLERANCE_MS = 5 * 60_000
const EXPIRY_TOLERANCE_MS = 0

export interface CommandChecks {
  readonly trust: TrustBundle
  readonly serial: string
  readonly tenant: string
  /** Trusted time and whether a clock stands behind it. */
  readonly atMs: number
  readonly hasClock: boolean
  readonly isSecurityLocked: boolean
  /** The highest counter an issuer has used. */
  counterOf(issuer: string): number
  /** Seen before with this very content: its answer does not grow old. */
  isKnown(id: string, digest: string): boolean
}

export type CommandVerdict =
  | {
      readonly kind: 'accepted'
      readonly command: CommandStatement
      readonly digest: string
      /** Its counter was used before: carried out already, or a replay; the ledger knows which. */
      readonly isKnownCounter: boolean
    }
  | {
      readonly kind: 'refused'
      readonly code: CoreErrorCode
      readonly message: string
      /** As claimed; not to be believed. */
      readonly claimed: CommandStatement | undefined
    }

/**
 * Signature, form, printer, tenant, role, number of authorities, time, counter: in this order, nothing later once one fails.
 * The same command again is not judged by time: it has its answer already.
 */
export function verifyCommand(envelope: Uint8Array, checks: CommandChecks): CommandVerdict {
  const claimed = commandSchema.safeParse(unverifiedStatement(envelope)).data
  const refuse = (code: CoreErrorCode, message: string): CommandVerdict => ({
    kind: 'refused',
    code,
    message,
    claimed,
  })
  const verdict = verifyStatement(envelope, COMMAND_TYPE, kid => {
    const key = checks.trust.keyFor('command', kid)
    const isCurrent =
      key &&
      checks.atMs + NOT_BEFORE_TOLERANCE_MS >= key.notBeforeMs &&
      checks.atMs <= key.notAfterMs
    return isCurrent ? key : undefined
  })
  if (verdict.kind === 'refused')
    return refuse(
      verdict.reason === 'malformed' ? 'COMMAND_MALFORMED' : 'COMMAND_SIGNATURE',
      verdict.message,
    )
  const parsed = commandSchema.safeParse(verdict.statement)
  if (!parsed.success) return refuse('COMMAND_MALFORMED', 'not a command of this version')
  const command = parsed.data
  const digest = createHash('sha256').update(JSON.stringify(command)).digest('hex')
  const refusal =
    judge(command, verdict.signers, checks) ??
    (checks.isKnown(command.id, digest) ? undefined : judgeTime(command, checks))
  if (refusal) return refuse(...refusal)
  return {
    kind: 'accepted',
    command,
    digest,
    isKnownCounter: command.ctr <= checks.counterOf(command.iss),
  }
}

type Refusal = readonly [CoreErrorCode, string]

function judge(
  command: CommandStatement,
  signers: readonly string[],
  checks: CommandChecks,
): Refusal | undefined {
  if (command.dev !== checks.serial || command.ten !== checks.tenant)
    return ['COMMAND_PRINTER', 'for another printer or tenant']
  const role = ROLE_OF_VERB[command.verb]
  const mayAll = signers.every(kid => checks.trust.keyFor('command', kid)?.roles.includes(role))
  if (command.role !== role || !mayAll)
    return ['COMMAND_ROLE', `${command.verb} needs the role ${role} of every signer`]
  const needsTwo =
    TWO_SIGNATURES.has(command.verb) || (command.verb === 'unlock' && checks.isSecurityLocked)
  if (needsTwo && signers.length < 2)
    return ['COMMAND_SIGNERS', `${command.verb} needs two authorities, ${signers.length} signed`]
  return undefined
}

function judgeTime(command: CommandStatement, checks: CommandChecks): Refusal | undefined {
  const lifeMs = (command.exp - command.nbf) * 1000
  if (lifeMs <= 0 || lifeMs > MAX_COMMAND_LIFE_MS)
    return ['COMMAND_EXPIRED', `a life of ${lifeMs} ms, at most ${MAX_COMMAND_LIFE_MS}`]
  if (!checks.hasClock)
    return SAFE_WITHOUT_CLOCK.has(command.verb)
      ? undefined
      : ['COMMAND_EXPIRED', 'the clock of this printer is not to be trusted']
  if (checks.atMs > command.exp * 1000 + EXPIRY_TOLERANCE_MS)
    return ['COMMAND_EXPIRED', `expired ${new Date(command.exp * 1000).toISOString()}`]
  if (checks.atMs + NOT_BEFORE_TOLERANCE_MS < command.nbf * 1000)
    return ['COMMAND_EXPIRED', `valid from ${new Date(command.nbf * 1000).toISOString()}`]
  return undefined
}
