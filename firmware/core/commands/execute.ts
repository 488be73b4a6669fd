/** A signed command's way: verified, counted, carried out once and in its turn, answered with a signed result, recorded. */

import type { KeyObject } from 'node:crypto'
import { ConfigError } from '#config'
import { DriverError } from '#drivers'
import type { Clock } from '#lib/clock.ts'
import {
  type CommandResult,
  type CommandStatement,
  RESULT_TYPE,
  type Verb,
} from '#lib/command-statement.ts'
import type { CourierMethods } from '#lib/courier-protocol.ts'
import { signStatement } from '#lib/dsse.ts'
import { FloodGate } from '#lib/flood-gate.ts'
import { keyId, MpfError, type TrustBundle } from '#mpf'
import { CoreError, type CoreErrorCode } from '../errors.ts'
import type { EventEntry } from '../journal/events.ts'
import type { Journal } from '../journal/journal.ts'
import type { TrustedTime } from '../trusted-time.ts'
import type { CommandLedger, KnownCommand } from './ledger.ts'
import { createTurns, type Turns } from './turns.ts'
import { verifyCommand } from './verify.ts'

/** Carries out one verb. 'handed-over' means that the courier does the rest. @throws coded errors */
export type VerbHandler = (args: CommandStatement['args']) => Promise<{
  readonly outcome: 'done' | 'handed-over'
  readonly message: string
  /** For the courier; left out: those of the command. */
  readonly args?: CommandStatement['args']
}>

export interface CommandParts {
  readonly ledger: CommandLedger
  readonly journal: Journal
  readonly time: TrustedTime
  readonly clock: Pick<Clock, 'nowMs'>
  /** @throws MpfError MPF_SIGNER */
  readonly trust: () => TrustBundle
  readonly serial: string
  readonly tenant: string
  /** Ed25519: signs results. */
  readonly key: KeyObject
  readonly verbs: Readonly<Record<Verb, VerbHandler>>
}

type Answer = CourierMethods['command.execute']['result']

/** Resolves with the signed result whatever happens; rejects only when a record cannot be made durable. */
export type ExecuteCommand = (envelope: Uint8Array) => Promise<Answer>

/**
 * Counters are checked and used up in the order in which commands come, without waiting. What is carried out takes its turn only
 * where it touches the same thing (turns.ts): a lock or a cancel does not wait for a controller that drains.
 */
export function createExecuteCommand(parts: CommandParts): ExecuteCommand {
  const { ledger, time, trust, serial, tenant } = parts
  const refusals = new FloodGate(parts.clock)
  const turns = createTurns()
  const running = new Map<string, Promise<Answer>>()
  return async envelope => {
    const { atMs, quality } = time.now()
    const verdict = verifyCommand(envelope, {
      ...{ trust: trust(), serial, tenant, atMs },
      hasClock: quality === 'rtc',
      isSecurityLocked: ledger.isSet('security-locked'),
      counterOf: issuer => ledger.counterOf(issuer),
      isKnown: (id, digest) => ledger.known(id)?.digest === digest,
    })
    if (verdict.kind === 'refused') {
      const { claimed, code, message } = verdict
      return refuse(parts, refusals, claimed, { code, message })
    }
    const { command, digest } = verdict
    const known = ledger.known(command.id)
    if (known?.digest === digest) return running.get(command.id) ?? repeat(parts, command, known)
    if (known || verdict.isKnownCounter)
      return refuse(parts, refusals, command, {
        ...{ code: 'COMMAND_REPLAY', message: 'its counter or id was used before' },
      })
    ledger.begin({ id: command.id, issuer: command.iss, counter: command.ctr, digest })
    const answering = carryOut(parts, turns, command).finally(() => running.delete(command.id))
    running.set(command.id, answering)
    return answering
  }
}

/** The same command again: the same answer, no second effect; what is the courier's to do is handed over again. */
function repeat(parts: CommandParts, command: CommandStatement, known: KnownCommand): Answer {
  const { result, handedOver } = known
  if (result === null) return conclude(parts, command, cutOff(parts, command))
  return {
    result: Buffer.from(result).toString('base64'),
    outcome: handedOver ? 'handed-over' : 'done',
    code: null,
    verb: handedOver ? command.verb : null,
    args: handedOver ?? {},
  }
}

async function carryOut(
  parts: CommandParts,
  turns: Turns,
  command: CommandStatement,
): Promise<Answer> {
  const outcome = await turns(command.verb, () => attempt(parts, command))
  return conclude(parts, command, outcome)
}

/** The core ended between the counter and the answer. Only a wipe is finished by itself, at the start of the core. */
function cutOff({ ledger }: CommandParts, { verb }: CommandStatement): Outcome {
  if (verb === 'wipe' && ledger.isSet('wiped') && !ledger.isSet('wiping'))
    return { outcome: 'done', code: null, message: 'cut off, and finished at the next start' }
  const message = 'the core ended while it was carried out'
  return { outcome: 'failed', code: 'COMMAND_INTERRUPTED', message }
}

/** Recorded, signed, and the answer for every time it comes again. */
function conclude(parts: CommandParts, command: CommandStatement, outcome: Outcome): Answer {
  const { ledger, journal } = parts
  const entry: EventEntry = {
    type: outcome.outcome === 'failed' ? 'command.failed' : 'command.executed',
    code: outcome.code ?? undefined,
    message: outcome.message,
    detail: { id: command.id, verb: command.verb, issuer: command.iss, counter: command.ctr },
  }
  journal.record(entry)
  const given = answer(parts, command, outcome)
  const handedOver = given.verb === null ? undefined : given.args
  ledger.finish(command.id, Buffer.from(given.result, 'base64'), handedOver)
  return given
}

type Outcome = Pick<CommandResult, 'outcome' | 'code' | 'message'> & {
  readonly args?: CommandStatement['args']
}

async function attempt(parts: CommandParts, command: CommandStatement): Promise<Outcome> {
  const { atMs, quality } = parts.time.now()
  // It may have waited for its turn.
  if (quality === 'rtc' && atMs > command.exp * 1000)
    return { outcome: 'failed', code: 'COMMAND_EXPIRED', message: 'its turn came too late' }
  try {
    return { ...(await parts.verbs[command.verb](command.args)), code: null }
  } catch (error) {
    const isOurs =
      error instanceof CoreError ||
      error instanceof MpfError ||
      error instanceof DriverError ||
      error instanceof ConfigError
    if (!isOurs || error.code === 'JOURNAL_WRITE') throw error
    return { outcome: 'failed', code: error.code, message: error.message }
  }
}

/** Every one is answered; a flood of them leaves a handful of records that say how many there were. */
function refuse(
  parts: CommandParts,
  refusals: FloodGate,
  claimed: CommandStatement | undefined,
  { code, message }: { readonly code: CoreErrorCode; readonly message: string },
): Answer {
  const more = refusals.pass(code)
  if (more !== undefined)
    parts.journal.record({
      type: 'command.refused',
      code,
      message: message + more,
      detail: {
        id: claimed?.id ?? null,
        verb: claimed?.verb ?? null,
        issuer: claimed?.iss ?? null,
      },
    })
  return answer(parts, claimed, { outcome: 'refused', code, message })
}

function answer(
  parts: CommandParts,
  command: CommandStatement | undefined,
  { outcome, code, message, args = command?.args ?? {} }: Outcome,
): Answer {
  const result: CommandResult = {
    v: 1,
    id: command?.id ?? null,
    dev: parts.serial,
    verb: command?.verb ?? null,
    outcome,
    code,
    message,
    atMs: parts.time.now().atMs,
  }
  const signer = { kid: keyId(parts.key), algorithm: 'EdDSA', privateKey: parts.key }
  const isHandedOver = outcome === 'handed-over'
  return {
    result: Buffer.from(signStatement(RESULT_TYPE, result, [signer])).toString('base64'),
    outcome,
    code,
    verb: isHandedOver ? (command?.verb ?? null) : null,
    args: isHandedOver ? args : {},
  }
}
