/** A broker that floods a printer while it prints: forged commands, a real one again and again, old acknowledgements, blocks nobody asked for. */
import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'tap'
import { encodeBlock, type Link, openLink, STATEMENT, topicOf } from '#cloud'
import { startSimulatedMarlin } from '#drivers'
import { COMMAND_TYPE } from '#lib/command-statement.ts'
import { signStatement } from '#lib/dsse.ts'
import { Outbox } from '../../firmware/cloud/outbox.ts'
import { startCore } from '../../firmware/core/core.ts'
import { signCommand } from '../../fleet/commands.ts'
import {
  type Fleet,
  fleet,
  type Printer,
  printer,
  startCourier,
  startDeskCore,
  until,
} from '../fakes/cloud-bench.ts'
import { edKey } from '../fakes/cloud-roster.ts'
import {
  type DeskPrinter,
  desktopPorts,
  openerAt,
  program,
  seal,
  untilEvent,
} from '../fakes/core-printer.ts'

const FLOOD = 10_000

async function voice(on: Fleet): Promise<Link> {
  return openLink({
    ...{ host: 'localhost', port: on.broker.port, ca: on.tenant.authority.certPem },
    ...{ identity: on.tenant.identity, clientId: 'voice', protocol: 4, sessionExpiryS: 0 },
    ...{ subscriptions: [], onMessage: async () => undefined, signal: AbortSignal.timeout(10_000) },
  })
}

/** Everything a broker can say to a printer, none of it news. */
async function noise(
  on: Fleet,
): Promise<readonly (readonly ['cmd' | 'ack' | 'blk', Uint8Array])[]> {
  const rebirth = signCommand(
    {
      ...{ device: 'P-1', tenant: on.tenant.id, verb: 'rebirth', issuer: 'test', args: {} },
      atMs: Date.now(),
    },
    [await on.tenant.key('security')],
  )
  const ack = { v: 1, dev: 'P-1', acks: { evt: 0 }, cosig: { size: 0, line: 'old' } }
  const bytes = randomBytes(64 * 1024)
  return [
    ['cmd', signStatement(COMMAND_TYPE, { v: 1, verb: 'wipe' }, [edKey()])],
    ['cmd', rebirth.envelope],
    ['cmd', Buffer.from('{}')],
    ['ack', signStatement(STATEMENT.ack, ack, [await on.tenant.key('witness')])],
    ['blk', encodeBlock({ offer: 'nobody-asked', off: 0, len: bytes.length }, bytes)],
  ]
}

/** How many answers wait or went. */
function answers({ directory }: Printer): number {
  const limits = { eventBytes: 1 << 20, telemetryBytes: 1 << 20 }
  using outbox = new Outbox(join(directory, 'cloud/outbox.sqlite'), limits)
  return outbox.lastOf('resp')
}

test('ten thousand commands: a handful of records, few reach the core, and one of them has one effect', async t => {
  await using on = await fleet('aedes')
  const desk = await printer(on, 'P-1')
  await using core = await startDeskCore(desk)
  await using _courier = startCourier(desk)
  await using link = await voice(on)
  await until(() => core.journal.events(0, 100).some(({ type }) => type === 'cloud.connected'))
  const said = await noise(on)
  for (let i = 0; i < FLOOD; i++) {
    const [name, payload] = said[i % 3] ?? ['cmd', Buffer.alloc(0)]
    await link.publish({ topic: topicOf('P-1', name), payload, qos: 0 })
  }
  await using _ingest = await on.startIngest()
  core.journal.record({ type: 'job.received', message: 'after the flood' })
  await until(() =>
    on.store
      .items('P-1', 'evt', 0, 1000)
      .some(({ value }) => JSON.stringify(value).includes('after the flood')),
  )
  const events = await until(() => {
    const all = core.journal.events(0, 1000)
    return all.some(({ code }) => code === 'CLOUD_FLOOD') && all
  })
  t.same(core.done, ['rebirth'])
  t.ok(events.length < 60, `${events.length} events`)
  // Two minutes' worth, should the flood take longer than one.
  t.ok(answers(desk) <= 240, `${answers(desk)} of ${FLOOD} commands were answered`)
})

test('a print goes on, line by line as sealed, through a flood that lasts from its first line to its last', async t => {
  await using on = await fleet('aedes')
  const desk = await printer(on, 'P-1')
  const executed: string[] = []
  await using board = startSimulatedMarlin({
    ...{ speed: 2000, onExecuted: (line: string) => executed.push(line) },
  })
  const ending = new AbortController()
  const opener = openerAt({ dialect: 'marlin', port: board.port })
  await using core = await startCore(desk.config, desktopPorts(opener), ending.signal)
  await using _courier = startCourier(desk)
  await using link = await voice(on)
  const text = program(3000)
  const sealed = await seal({} as DeskPrinter, text, {
    ...{ tenant: on.tenant.id, recipient: desk.key },
    ...{ signer: await on.tenant.key('publisher'), granter: await on.tenant.key('issuer') },
  })
  await writeFile(join(desk.directory, 'drop/part.mpf'), sealed)
  await untilEvent(core.journal, ({ type }) => type === 'printer.connected')
  await untilEvent(core.journal, ({ type }) => type === 'cloud.connected')
  const decided = await untilEvent(core.journal, ({ type }) => /admitted|refused/.test(type))
  t.match(decided, { type: 'job.admitted', code: null })
  executed.length = 0
  const said = await noise(on)
  let end: unknown
  void untilEvent(core.journal, ({ type }) => /job\.(done|failed)/.test(type)).then(event => {
    end = event
  })
  await core.engine.start(decided.job ?? '')
  let sent = 0
  for (; end === undefined; sent++) {
    const [name, payload] = said[sent % said.length] ?? ['cmd', Buffer.alloc(0)]
    await link.publish({ topic: topicOf('P-1', name), payload, qos: 0 })
    if (sent % 100 === 0) await new Promise(resolve => setImmediate(resolve))
  }
  t.match(end, { type: 'job.done', detail: { reattachments: 0 } })
  const commands = text.split('\n').filter(line => line !== '' && !line.startsWith(';'))
  const printed = executed.filter(line => !/^M(400|114|105|155|118|220|221|86)/.test(line))
  t.strictSame(printed.slice(0, commands.length), commands)
  t.comment(`${sent} messages while ${commands.length} lines were printed`)
  t.ok(core.journal.lastSequence() < 80, `${core.journal.lastSequence()} events`)
})
