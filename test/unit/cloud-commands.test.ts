/** Signed commands in the core: what is refused, with which code, and that a good one has one effect. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'tap'
import type { Verb } from '#lib/command-statement.ts'
import { CommandLedger } from '../../firmware/core/commands/ledger.ts'
import { expectStartAllowed } from '../../firmware/core/commands/verbs.ts'
import { verifyCommand } from '../../firmware/core/commands/verify.ts'
import { command, roster, SERIAL, TENANT } from '../fakes/cloud-roster.ts'
import { commandBench } from '../fakes/core-command-bench.ts'

const AT_MS = Date.UTC(2026, 10, 22)
const keys = roster()
const CHECKS = {
  ...{ trust: keys.trust, serial: SERIAL, tenant: TENANT, atMs: AT_MS, hasClock: true },
  isSecurityLocked: false,
  counterOf: () => 0,
  isKnown: () => false,
}

for (const [name, envelope, code, more] of [
  ['bytes that are no envelope', Buffer.from('{}'), 'COMMAND_MALFORMED', {}],
  ['a key that is not in the roster', command([roster().security], AT_MS), 'COMMAND_SIGNATURE', {}],
  ['a key of another purpose', command([keys.witness], AT_MS), 'COMMAND_SIGNATURE', {}],
  ['another printer', command([keys.security], AT_MS, { dev: 'T-2' }), 'COMMAND_PRINTER', {}],
  ['another tenant', command([keys.security], AT_MS, { ten: 'x' }), 'COMMAND_PRINTER', {}],
  ['a signer without the role', command([keys.operator], AT_MS), 'COMMAND_ROLE', {}],
  [
    'a role the verb does not have',
    command([keys.security], AT_MS, { role: 'operator' }),
    'COMMAND_ROLE',
    {},
  ],
  ['a wipe signed once', command([keys.security], AT_MS, { verb: 'wipe' }), 'COMMAND_SIGNERS', {}],
  [
    'a wipe signed twice by one',
    command([keys.security, keys.security], AT_MS, { verb: 'wipe' }),
    'COMMAND_SIGNATURE',
    {},
  ],
  [
    'an unlock signed once after a security lock',
    command([keys.security], AT_MS, { verb: 'unlock' }),
    'COMMAND_SIGNERS',
    { isSecurityLocked: true },
  ],
  ['a command that has expired', command([keys.security], AT_MS - 400_000), 'COMMAND_EXPIRED', {}],
  ['a command from the future', command([keys.security], AT_MS + 400_000), 'COMMAND_EXPIRED', {}],
  [
    'a life above 15 minutes',
    command([keys.security], AT_MS, { exp: AT_MS / 1000 + 901 }),
    'COMMAND_EXPIRED',
    {},
  ],
  [
    'an unlock while the clock is unknown',
    command([keys.security], AT_MS, { verb: 'unlock' }),
    'COMMAND_EXPIRED',
    { hasClock: false },
  ],
  [
    'a verb that does not exist',
    command([keys.security], AT_MS, { verb: 'shell' as Verb }),
    'COMMAND_MALFORMED',
    {},
  ],
] as const)
  test(`refuses ${name}`, async t => {
    t.match(verifyCommand(envelope, { ...CHECKS, ...more }), { kind: 'refused', code })
  })

test('accepts a lock while the clock is unknown', async t => {
  const verdict = verifyCommand(command([keys.security], 60_000), { ...CHECKS, hasClock: false })
  t.equal(verdict.kind, 'accepted')
})

test('carries a command out once, however often it comes, and signs the same answer', async t => {
  const { execute, done, resultOf, journal } = await commandBench(t, keys)
  const envelope = command([keys.security], AT_MS)
  const first = await execute(envelope)
  const second = await execute(envelope)
  t.same(done, ['lock'])
  t.equal(second.result, first.result)
  t.match(resultOf(first.result), { verb: 'lock', outcome: 'done', code: null })
  t.match(journal.events(0, 9), [{ type: 'command.executed' }])
})

test('refuses a counter that was used, whatever the id, and records it', async t => {
  const { execute, done, resultOf, journal } = await commandBench(t, keys)
  await execute(command([keys.security], AT_MS, { ctr: 500 }))
  const replay = await execute(command([keys.security], AT_MS, { ctr: 500 }))
  t.match(resultOf(replay.result), { outcome: 'refused', code: 'COMMAND_REPLAY' })
  t.same(done, ['lock'])
  t.match(journal.events(1, 9), [{ type: 'command.refused', code: 'COMMAND_REPLAY' }])
})

test('a command cut off by a crash is answered as interrupted, and not begun again', async t => {
  const { execute, done, ledger, resultOf, journal } = await commandBench(t, keys)
  const envelope = command([keys.security], AT_MS, { id: 'cut', ctr: 900 })
  const verdict = verifyCommand(envelope, CHECKS)
  if (verdict.kind !== 'accepted') throw new Error('not accepted')
  ledger.begin({ id: 'cut', issuer: 'ops', counter: 900, digest: verdict.digest })
  const answer = await execute(envelope)
  t.match(resultOf(answer.result), { id: 'cut', code: 'COMMAND_INTERRUPTED' })
  t.equal((await execute(envelope)).result, answer.result, 'the same answer from then on')
  t.match(journal.events(0, 9), [{ type: 'command.failed', code: 'COMMAND_INTERRUPTED' }])
  t.same(done, [])
})

test('a wipe that was cut off and finished at the start is answered with its receipt', async t => {
  const { execute, ledger, resultOf } = await commandBench(t, keys)
  const envelope = command([keys.security, keys.second], AT_MS, { id: 'w', ctr: 901, verb: 'wipe' })
  const verdict = verifyCommand(envelope, CHECKS)
  if (verdict.kind !== 'accepted') throw new Error('not accepted')
  ledger.begin({ id: 'w', issuer: 'ops', counter: 901, digest: verdict.digest })
  ledger.set('wiped', true)
  const { result } = await execute(envelope)
  t.match(resultOf(result), { id: 'w', verb: 'wipe', outcome: 'done', code: null })
})

test('a command that comes again after its time has its answer, a new one is refused', async t => {
  const late = verifyCommand(command([keys.security], AT_MS), {
    ...CHECKS,
    atMs: AT_MS + 3_600_000,
    isKnown: () => true,
  })
  t.equal(late.kind, 'accepted')
})

test('a verb that cannot be carried out now uses its counter and says why', async t => {
  const { execute, resultOf } = await commandBench(t, keys)
  const answer = await execute(
    command([keys.operator], AT_MS, { verb: 'job.cancel', role: 'operator' }),
  )
  t.match(resultOf(answer.result), { outcome: 'failed', code: 'PRINTER_IDLE' })
})

test('a verb of the courier is handed over with its arguments, each time it comes', async t => {
  const { execute } = await commandBench(t, keys)
  const args = { from: 3 }
  const envelope = command([keys.security], AT_MS, { verb: 'rebirth', role: 'network', args })
  const first = await execute(envelope)
  t.match(first, { outcome: 'handed-over', verb: 'rebirth', args })
  t.same(await execute(envelope), first)
})

test('latches and policies survive a restart; a locked printer starts nothing', async t => {
  const directory = await mkdtemp(join(tmpdir(), 'cloud-ledger-'))
  t.teardown(() => rm(directory, { recursive: true }))
  const path = join(directory, 'commands.sqlite')
  {
    using ledger = new CommandLedger(path)
    ledger.set('locked', true)
    ledger.setPolicy('autoStart', 'start')
  }
  using ledger = new CommandLedger(path)
  t.throws(() => expectStartAllowed(ledger), { code: 'PRINTER_LOCKED' })
  t.equal(ledger.policy('autoStart'), 'start')
  ledger.set('locked', false)
  t.doesNotThrow(() => expectStartAllowed(ledger))
  ledger.set('wiped', true)
  t.throws(() => expectStartAllowed(ledger), { code: 'PRINTER_RETIRED' })
})

test('a thousand forged commands leave eight records that say how many, and every one its answer', async t => {
  const { execute, done, journal } = await commandBench(t, keys)
  const forged = command([roster().security], AT_MS)
  const codes = new Set<string | null>()
  for (let i = 0; i < 1000; i++) codes.add((await execute(forged)).code)
  t.same([...codes], ['COMMAND_SIGNATURE'])
  await execute(Buffer.from('{}'))
  await execute(command([keys.security], AT_MS))
  const events = journal.events(0, 100).map(({ code, message }) => [code, message] as const)
  t.same(
    events.map(([code]) => code),
    [...Array.from({ length: 8 }, () => 'COMMAND_SIGNATURE'), 'COMMAND_MALFORMED', null],
  )
  t.match(events[7]?.[1], /; 1000 of these within 0 s$/)
  t.same(done, ['lock'])
})
