/** The courier killed between the answer to a command and what follows from it, at every step: the next life goes on, and nothing is done or told twice. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Test, test } from 'tap'
import { type Link, topicOf } from '#cloud'
import { systemClock } from '#lib/clock.ts'
import type { Verb } from '#lib/command-statement.ts'
import { IdentityStore } from '../../firmware/cloud/identity.ts'
import { issueServer } from '../../fleet/ca.ts'
import { signCommand } from '../../fleet/commands.ts'
import { startEstServer } from '../../fleet/est-server.ts'
import { readSegment } from '../../fleet/segments.ts'
import { Tokens } from '../../fleet/tokens.ts'
import {
  type Fleet,
  fleet,
  printer,
  startCourier,
  startDeskCore,
  until,
} from '../fakes/cloud-bench.ts'

const COURIER = fileURLToPath(new URL('../fakes/cloud-dying-courier.ts', import.meta.url))

/** How many different answers came: the same one may come again. */
function answers({ store }: Fleet): number {
  return new Set(store.items('P-1', 'resp', 0, 100).map(({ value }) => JSON.stringify(value))).size
}

/** A fleet, a printer and its core; the courier's first life ends at `moment` of what `verb` brings about. */
async function cutOff(
  t: Test,
  [moment, nth]: readonly [string, number],
  verb: Verb,
  args: Record<string, number>,
) {
  const on = await fleet('aedes')
  t.teardown(() => on[Symbol.asyncDispose]())
  const tokens = new Tokens(join(on.directory, 'tokens.sqlite'))
  const est = await startEstServer({
    ...{ tenant: on.tenant, region: 'local', tokens, clock: systemClock, factoryCa: '' },
    ...{ server: issueServer(on.tenant.authority, ['localhost'], Date.now()), port: 0 },
    ...{ host: '127.0.0.1', onRefused: () => undefined },
  })
  t.teardown(async () => {
    await est[Symbol.asyncDispose]()
    tokens[Symbol.dispose]()
  })
  const desk = await printer(on, 'P-1', { enrolUrl: `https://localhost:${est.port}` })
  const core = await startDeskCore(desk)
  t.teardown(() => core[Symbol.asyncDispose]())
  for (let i = 0; i < 150; i += 1) core.journal.record({ type: 'job.done', message: `part ${i}` })
  let link: Link | undefined
  const ingest = await on.startIngest({ onLink: opened => (link = opened) })
  t.teardown(() => ingest[Symbol.asyncDispose]())
  const dying = spawn(
    process.execPath,
    [COURIER, join(desk.directory, 'config.json'), moment, String(nth)],
    { stdio: ['ignore', 'ignore', 'inherit'] },
  )
  const exited = once(dying, 'exit')
  t.teardown(() => dying.kill('SIGKILL'))
  await until(() => (on.store.log('P-1')?.proven ?? 0) >= 150)
  const { envelope } = signCommand(
    { device: 'P-1', tenant: on.tenant.id, verb, issuer: 'test', args, atMs: Date.now() },
    [await on.tenant.key('security')],
  )
  await link?.publish({ topic: topicOf('P-1', 'cmd'), payload: envelope })
  t.same(await exited, [null, 'SIGKILL'])
  return { on, desk, core, courier: () => startCourier(desk) }
}

for (const moment of [
  ...[['answered', 1] as const, ['intended', 1] as const],
  ...[['segment', 1] as const, ['segment', 2] as const, ['sent', 2] as const],
])
  test(`a log export cut off at ${moment.join(' ')}: every segment comes once, and one answer`, async t => {
    const { on, core, courier } = await cutOff(t, moment, 'log.export', { from: 11, to: 150 })
    await using _ = courier()
    const read = await until(() => {
      const segments = on.store
        .items('P-1', 'seg', 0, 100)
        .map(({ value }) => readSegment(on.store, 'P-1', value))
      return segments.at(-1)?.to === 150 && segments
    })
    t.same(
      read.map(segment => [segment?.from, segment?.to]),
      [
        [11, 74],
        [75, 138],
        [139, 150],
      ],
    )
    t.equal(await until(() => answers(on)), 1)
    t.same(core.done, ['log.export'], 'the core did it once')
    t.same(on.store.alerts('P-1'), [])
  })

for (const moment of ['answered', 'intended', 'requested', 'installed', 'proven', 'promoted'])
  test(`a renewal cut off at ${moment}: it is made good for, told once, and a slot serves all the time`, async t => {
    const { on, desk, core, courier } = await cutOff(t, [moment, 1], 'cert.renew', {})
    const store = new IdentityStore(join(desk.directory, 'identity'))
    t.ok(await store.usable(Date.now()), 'a slot serves after the kill')
    await using _ = courier()
    const events = () =>
      core.journal.events(0, 1000).filter(({ type }) => type === 'cloud.certificate_renewed')
    const [renewed] = await until(() => events().length > 0 && events())
    t.equal(await until(() => answers(on)), 1)
    t.equal((await store.current())?.slot, 'b')
    t.equal((await store.current())?.serialNumber, renewed?.detail.serial)
    t.equal(events().length, 1)
    t.same(core.done, ['cert.renew'])
  })
