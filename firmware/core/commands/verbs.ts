/** What each verb of a signed command does to this printer. */

import { z } from 'zod'
import type { CommandStatement, Verb } from '#lib/command-statement.ts'
import type { PrintEngine } from '../engine/print-engine.ts'
import { CoreError } from '../errors.ts'
import type { Settings } from '../settings.ts'
import { type DrillParts, drill } from './drill.ts'
import type { VerbHandler } from './execute.ts'
import type { CommandLedger } from './ledger.ts'
import { isWeaker, policyArgs } from './policies.ts'
import { type WipeParts, wipe } from './wipe.ts'

export interface VerbParts extends WipeParts, DrillParts {
  readonly settings: Settings
  readonly engine: Pick<PrintEngine, 'pause' | 'resume' | 'cancel' | 'isBusy'>
}

const nothing = z.strictObject({})
const jobArgs = z.strictObject({ job: z.string().max(36).exactOptional() })
const lockArgs = z.strictObject({ security: z.boolean().exactOptional() })
const holdArgs = z.strictObject({ hold: z.boolean() })
/** Of one command: what the courier's store takes at once without pushing anything out. */
const MOST_EXPORTED = 20_000
const exportArgs = z.strictObject({
  from: z.coerce.number().int().min(1),
  to: z.coerce.number().int().min(1).exactOptional(),
})
const drillArgs = z.strictObject({ name: z.string().regex(/^[\w .-]{1,64}$/) })

const handOver: VerbHandler = async () => ({
  outcome: 'handed-over',
  message: 'for the courier to carry out',
})

/** One handler a verb. */
export function createVerbs(parts: VerbParts): Readonly<Record<Verb, VerbHandler>> {
  const { ledger, journal, engine, keys, settings } = parts
  return {
    'print.pause': verb(nothing, async () => {
      await engine.pause()
      return 'paused'
    }),
    'print.resume': verb(nothing, async () => {
      expectStartAllowed(ledger)
      await engine.resume()
      return 'resumed'
    }),
    'job.cancel': verb(jobArgs, async ({ job }) => {
      await engine.cancel(job === undefined ? undefined : journal.findJob(job).id)
      return 'cancelled'
    }),
    lock: verb(lockArgs, async ({ security }) => {
      ledger.set('locked', true)
      if (security === true) ledger.set('security-locked', true)
      const message = security === true ? 'locked, security' : 'locked'
      journal.record({ type: 'printer.locked', message })
      return message
    }),
    unlock: verb(nothing, async () => {
      ledger.set('security-locked', false)
      ledger.set('locked', false)
      journal.record({ type: 'printer.unlocked', message: 'unlocked' })
      return 'unlocked'
    }),
    wipe: verb(nothing, async () => {
      if (engine.isBusy) throw new CoreError('PRINTER_BUSY', 'a print is running')
      if (ledger.isSet('held')) throw new CoreError('PRINTER_HELD', 'evidence is on hold')
      return wipe(parts)
    }),
    retire: verb(nothing, async () => {
      ledger.set('retired', true)
      journal.record({ type: 'printer.retired', message: 'out of service' })
      return 'retired'
    }),
    reuse: verb(nothing, async () => {
      // First the key: a printer cut off between the two is still wiped, and takes the command again.
      const made = keys.isEmpty ? await keys.renew() : undefined
      ledger.set('wiped', false)
      ledger.set('retired', false)
      journal.record({ type: 'printer.reused', message: 'in service' })
      return made ? `in service, new key ${Buffer.from(made).toString('base64')}` : 'in service'
    }),
    'policy.set': verb(policyArgs, async args => setPolicies(parts, args)),
    'cfg.reload': verb(nothing, async () => {
      const { applied, waiting } = await settings.reload()
      const detail = { applied: applied.join(' '), waiting: waiting.join(' ') }
      journal.record({ type: 'config.reloaded', message: 'configuration read again', detail })
      return `applied: ${detail.applied || 'nothing'}; at the next start: ${detail.waiting || 'nothing'}`
    }),
    'hold.set': verb(holdArgs, async ({ hold }) => {
      ledger.set('held', hold)
      const message = hold ? 'nothing kept is removed' : 'the usual limits apply'
      journal.record({ type: 'hold.changed', message, detail: { hold } })
      return message
    }),
    drill: verb(drillArgs, ({ name }) => drill(parts, name)),
    'log.export': async args => {
      const { from, to = journal.lastSequence() } = parseArgs(exportArgs, args)
      if (to < from || to - from >= MOST_EXPORTED || to > journal.lastSequence())
        throw new CoreError('COMMAND_ARGS', `events ${from} to ${to}`)
      const detail = { from, to }
      journal.record({ type: 'log.exported', message: `events ${from} to ${to}`, detail })
      return { outcome: 'handed-over', message: `events ${from} to ${to}`, args: { from, to } }
    },
    'cert.renew': handOver,
    rebirth: handOver,
    'ota.check': async () => {
      throw new CoreError('COMMAND_UNSUPPORTED', 'this printer takes no updates yet')
    },
  }
}

function setPolicies(
  { ledger, journal, settings }: VerbParts,
  args: z.output<typeof policyArgs>,
): string {
  const said = Object.entries(args).map(([name, value]) => {
    const key = name === 'autoStart' ? 'autoStart' : 'onInterruption'
    const type = isWeaker(key, settings.policy(key), value) ? 'policy.weakened' : 'policy.changed'
    ledger.setPolicy(key, value)
    journal.record({ type, message: `${key} is ${value}`, detail: { key, value } })
    return `${key} is ${value}`
  })
  return said.join(', ')
}

/** What forbids every start of a print, whoever asks. @throws CoreError PRINTER_LOCKED, PRINTER_RETIRED */
export function expectStartAllowed(ledger: CommandLedger): void {
  if (ledger.isSet('wiped') || ledger.isSet('retired'))
    throw new CoreError('PRINTER_RETIRED', 'out of service')
  if (ledger.isSet('locked') || ledger.isSet('security-locked'))
    throw new CoreError('PRINTER_LOCKED', 'locked by a signed command')
}

function verb<T>(schema: z.ZodType<T>, body: (args: T) => Promise<string>): VerbHandler {
  return async (args: CommandStatement['args']) => {
    const message = await body(parseArgs(schema, args))
    return { outcome: 'done', message }
  }
}

function parseArgs<T>(schema: z.ZodType<T>, args: CommandStatement['args']): T {
  const parsed = schema.safeParse(args)
  if (!parsed.success) throw new CoreError('COMMAND_ARGS', 'the verb does not take these')
  return parsed.data
}
