/** Who may ask for which verb, and what the verbs that are not about a print do. */
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { ConfigError } from '#config'
import { ROLE_OF_VERB, ROLES, VERBS } from '#lib/command-statement.ts'
import { CommandLedger } from '../../firmware/core/commands/ledger.ts'
import { createVerbs } from '../../firmware/core/commands/verbs.ts'
import { verifyCommand } from '../../firmware/core/commands/verify.ts'
import { FlightRecords } from '../../firmware/core/flight-records.ts'
import { Journal } from '../../firmware/core/journal/journal.ts'
import { PrinterKeys } from '../../firmware/core/printer-keys.ts'
import { Settings } from '../../firmware/core/settings.ts'
import { Spool } from '../../firmware/core/spool.ts'
import { command, roleKeys, SERIAL, TENANT } from '../fakes/cloud-roster.ts'
import { deskPrinter } from '../fakes/core-printer.ts'

const AT_MS = Date.UTC(2026, 10, 22)
/** TRUST, roles: what each may ask for. Written out, not computed from the code. */
const MAY: Readonly<Record<string, readonly string[]>> = {
  operator: ['print.pause', 'print.resume', 'job.cancel'],
  maintainer: ['cfg.reload'],
  network: ['cert.renew', 'rebirth'],
  security: [
    ...['lock', 'unlock', 'wipe', 'retire', 'reuse', 'policy.set', 'hold.set', 'drill'],
    'log.export',
  ],
  updater: ['ota.check'],
}
const TWO = ['wipe', 'retire', 'reuse']

test('role by verb: what the table of roles does not allow is refused, whatever role it claims', async t => {
  const { keys, trust } = roleKeys()
  const checks = {
    ...{ trust, serial: SERIAL, tenant: TENANT, atMs: AT_MS, hasClock: true },
    ...{ isSecurityLocked: false, counterOf: () => 0, isKnown: () => false },
  }
  const cases = VERBS.flatMap(verb =>
    ROLES.flatMap(holder =>
      ROLES.flatMap(role => [1, 2].map(signatures => ({ verb, holder, role, signatures }))),
    ),
  )
  const wrong = cases.filter(({ verb, holder, role, signatures }) => {
    const signers = [keys[holder].one, keys[holder].two].slice(0, signatures)
    const { kind } = verifyCommand(command(signers, AT_MS, { verb, role }), checks)
    const isAllowed = MAY[holder]?.includes(verb) && role === holder
    const isEnough = signatures === 2 || !TWO.includes(verb)
    return (kind === 'accepted') !== (isAllowed && isEnough)
  })
  t.same(wrong, [], `${cases.length} combinations`)
  t.same(
    VERBS.filter(verb => !MAY[ROLE_OF_VERB[verb]]?.includes(verb)),
    [],
    'every verb is somebody’s',
  )
  const mixed = [keys.security.one, keys.operator.one]
  const envelope = command(mixed, AT_MS, { verb: 'wipe' })
  t.match(verifyCommand(envelope, checks), { code: 'COMMAND_ROLE' }, 'each of two signers needs it')
})

async function desk(t: Test, read?: (config: unknown) => unknown) {
  const printer = await deskPrinter()
  const directory = await mkdtemp(join(tmpdir(), 'core-verbs-'))
  const stamp = () => ({ atMs: AT_MS, quality: 'rtc' as const })
  const journal = new Journal({ path: join(directory, 'journal.sqlite'), stamp })
  const ledger = new CommandLedger(join(directory, 'commands.sqlite'))
  const limits = { maxBytes: 1 << 20, maxFileBytes: 1 << 20, reserveBytes: 0 }
  const spool = await Spool.open(join(directory, 'spool'), limits)
  const files = { ...printer.config.keys, kekFile: join(directory, 'kek') }
  const keys = await PrinterKeys.open(files, { journal, isWiped: false })
  const { config } = printer
  const reading = read && (async () => read(config) as typeof config)
  const settings = new Settings(config, ledger, reading)
  const engine = { isBusy: false } as Parameters<typeof createVerbs>[0]['engine']
  const { signal } = new AbortController()
  const parts = { journal, ledger, spool, keys, settings, engine, signal, directories: [] }
  const verbs = createVerbs(parts)
  t.teardown(async () => {
    journal[Symbol.dispose]()
    ledger[Symbol.dispose]()
    await printer[Symbol.asyncDispose]()
    await rm(directory, { recursive: true })
  })
  const last = () => journal.events(0, 99).at(-1)
  return { ...parts, verbs, last, directory }
}

test('a policy set to a weaker value is an event of its own; both survive as they were set', async t => {
  const { verbs, settings, last } = await desk(t)
  t.equal(settings.policy('autoStart'), 'ask')
  await verbs['policy.set']({ autoStart: 'start' })
  t.match(last(), { type: 'policy.weakened', severity: 'error' })
  t.equal(settings.policy('autoStart'), 'start')
  await verbs['policy.set']({ autoStart: 'ask', onInterruption: 'fail' })
  t.match(last(), { type: 'policy.changed', detail: { key: 'onInterruption' } })
  t.equal(settings.policy('autoStart'), 'ask')
  t.equal(settings.policy('onInterruption'), 'fail')
  const wrong = [{}, { autoStart: 'never' }, { maxTempC: 300 }, { autoStart: 'ask', other: 1 }]
  for (const args of wrong)
    await t.rejects(verbs['policy.set'](args as Record<string, string>), { code: 'COMMAND_ARGS' })
})

test('a configuration read again applies what is safe and names what waits for a start', async t => {
  const { verbs, settings, last } = await desk(t, config => {
    const { usb, spool, ...rest } = config as { usb: object; spool: object }
    return { ...rest, usb: { ...usb, autoStart: 'start' }, spool: { ...spool, reserveBytes: 7 } }
  })
  const { message } = await verbs['cfg.reload']({})
  t.equal(message, 'applied: usb.autoStart; at the next start: spool.reserveBytes')
  t.equal(settings.policy('autoStart'), 'start')
  t.match(last(), { type: 'config.reloaded', detail: { waiting: 'spool.reserveBytes' } })
  t.match((await verbs['cfg.reload']({})).message, /^applied: nothing; at the next start: spool/)
  await verbs['policy.set']({ autoStart: 'ask' })
  await verbs['cfg.reload']({})
  t.equal(settings.policy('autoStart'), 'ask', 'what was signed stands above the file')
})

test('a configuration that cannot be read changes nothing and says why', async t => {
  const { verbs, settings } = await desk(t, () => {
    throw new ConfigError('CONFIG_INVALID', 'usb.autoStart')
  })
  await t.rejects(verbs['cfg.reload']({}), { code: 'CONFIG_INVALID' })
  t.equal(settings.policy('autoStart'), 'ask')
  const { verbs: without } = await desk(t)
  await t.rejects(without['cfg.reload']({}), { code: 'COMMAND_UNSUPPORTED' })
})

test('on hold nothing kept as evidence goes: no wipe, no record dropped', async t => {
  const { verbs, ledger, directory, last } = await desk(t)
  await verbs['hold.set']({ hold: true })
  t.match(last(), { type: 'hold.changed', detail: { hold: true } })
  await t.rejects(verbs.wipe({}), { code: 'PRINTER_HELD' })
  const records = new FlightRecords(join(directory, 'flight'), () => ledger.isSet('held'))
  for (let i = 0; i < 12; i += 1) await records.keep([], AT_MS + i, 'motion')
  t.equal((await readdir(join(directory, 'flight'))).length, 12)
  await verbs['hold.set']({ hold: false })
  await records.keep([], AT_MS + 99, 'motion')
  t.equal((await readdir(join(directory, 'flight'))).length, 8)
  t.match((await verbs.wipe({})).outcome, 'done')
})

test('a drill looks at log, jobs and keys for real, and is no alarm whatever it finds', async t => {
  const { verbs, journal, spool, last } = await desk(t)
  const receive = (id: string) =>
    journal.receive(
      { id, name: 'a.mpf', origin: 'usb', sizeBytes: 1, sha256: id },
      { type: 'job.received', job: id, message: 'copied' },
    )
  receive('aa')
  receive('bb')
  await writeFile(spool.pathOf('aa'), 'x')
  const { message } = await verbs.drill({ name: 'yearly 2026' })
  t.match(message, /log intact, entries 3, jobs 2, lost 1, drill true/)
  t.match(last(), { type: 'drill.held', severity: 'notice', detail: { drill: true, lost: 1 } })
  await t.rejects(verbs.drill({ name: '\u001b[2J' }), { code: 'COMMAND_ARGS' })
})

test('verbs this printer cannot carry out say so with their code', async t => {
  const { verbs } = await desk(t)
  await t.rejects(verbs['ota.check']({}), { code: 'COMMAND_UNSUPPORTED' })
})
