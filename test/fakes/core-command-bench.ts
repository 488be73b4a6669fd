/** Signed commands in front of a ledger and a journal of their own; every verb is written down, `more` ones do what a test says. */
import { generateKeyPairSync } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { type CommandResult, RESULT_TYPE, VERBS, type Verb } from '#lib/command-statement.ts'
import { verifyStatement } from '#lib/dsse.ts'
import { createExecuteCommand, type VerbHandler } from '../../firmware/core/commands/execute.ts'
import { CommandLedger } from '../../firmware/core/commands/ledger.ts'
import { CoreError } from '../../firmware/core/errors.ts'
import { Journal } from '../../firmware/core/journal/journal.ts'
import { type Roster, SERIAL, TENANT } from './cloud-roster.ts'
import { type FakeClock, fakeClock } from './core-clock.ts'

export async function commandBench(
  t: Test,
  { trust }: Roster,
  more: Partial<Record<Verb, VerbHandler>> = {},
  clock: FakeClock = fakeClock(Date.UTC(2026, 10, 22)),
) {
  const directory = await mkdtemp(join(tmpdir(), 'cloud-commands-'))
  const stamp = () => ({ atMs: clock.wallMs(), quality: 'rtc' as const })
  const journal = new Journal({ path: join(directory, 'journal.sqlite'), stamp })
  const ledger = new CommandLedger(join(directory, 'commands.sqlite'))
  t.teardown(async () => {
    journal[Symbol.dispose]()
    ledger[Symbol.dispose]()
    await rm(directory, { recursive: true })
  })
  const done: Verb[] = []
  const handler =
    (verb: Verb): VerbHandler =>
    async args => {
      done.push(verb)
      const { [verb]: own } = more
      if (own) return own(args)
      if (verb === 'job.cancel') throw new CoreError('PRINTER_IDLE', 'no print is running')
      return { outcome: verb === 'rebirth' ? 'handed-over' : 'done', message: 'done' }
    }
  const verbs = Object.fromEntries(VERBS.map(verb => [verb, handler(verb)])) as Record<
    Verb,
    VerbHandler
  >
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  const execute = createExecuteCommand({
    ...{ ledger, journal, verbs, serial: SERIAL, tenant: TENANT, key: privateKey, clock },
    trust: () => trust,
    time: { now: stamp, observe: () => undefined },
  })
  const resultOf = (result: string) => {
    const verdict = verifyStatement(Buffer.from(result, 'base64'), RESULT_TYPE, () => ({
      algorithm: 'EdDSA',
      publicKey,
    }))
    return verdict.kind === 'verified' ? (verdict.statement as CommandResult) : undefined
  }
  return { journal, ledger, done, execute, resultOf, clock }
}
