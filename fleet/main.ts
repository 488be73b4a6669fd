/** The `fleet` program: one tenant's directory, and what its people do with their printers. */

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { type Link, type OcsfRecord, openLink, parseEndpoint, syslogLine, topicOf } from '#cloud'
import { systemClock } from '#lib/clock.ts'
import { VERBS, type Verb } from '#lib/command-statement.ts'
import { issueServer } from './ca.ts'
import { roleOf, signCommand } from './commands.ts'
import { FleetError } from './errors.ts'
import { startEstServer } from './est-server.ts'
import { Ingest } from './ingest.ts'
import { makeOffer, sendBlocks } from './jobs.ts'
import { FleetStore } from './store.ts'
import { createTenant, openTenant, type Tenant } from './tenant.ts'
import { Tokens } from './tokens.ts'
import { renderFleet } from './watch.ts'

const USAGE = `usage: fleet --tenant DIR VERB
  tenant create NAME                      authority, keys and trust bundle in DIR
  server NAME... --out PREFIX             certificate for a broker or an enrolment server
  token SERIAL [--region REGION]          a token to enrol one printer, once, within a day
  serve --broker mqtts://HOST:PORT [--worker NAME] [--enrol PORT] [--region REGION]
                                          receive, prove, acknowledge; send blocks; enrol
  watch [SERIAL]                          what was received, again and again (--once: one time)
  jobs send FILE --to SERIAL --broker URL [--priority N] [--grant FILE]...
  command VERB --to SERIAL --broker URL [--arg NAME=VALUE]... [--both]
  events SERIAL [--syslog]                the events of a printer, one a line
`
const EXIT = { ok: 0, fault: 1, usage: 2 } as const

const NONE: string[] = []
const OPTIONS = {
  tenant: { type: 'string', default: '.' },
  broker: { type: 'string', default: 'mqtts://localhost:8883' },
  region: { type: 'string', default: 'local' },
  worker: { type: 'string', default: 'fleet-1' },
  enrol: { type: 'string' },
  out: { type: 'string', default: 'server' },
  to: { type: 'string', default: '' },
  priority: { type: 'string', default: '5' },
  grant: { type: 'string', multiple: true, default: NONE },
  arg: { type: 'string', multiple: true, default: NONE },
  both: { type: 'boolean', default: false },
  once: { type: 'boolean', default: false },
  syslog: { type: 'boolean', default: false },
} as const

type Values = ReturnType<typeof parse>['values']

function parse(args: readonly string[]) {
  return parseArgs({ args: [...args], allowPositionals: true, options: OPTIONS })
}

type Run = (values: Values, operands: readonly string[], signal: AbortSignal) => Promise<void>

const VERBS_OF_FLEET: Readonly<Record<string, Run>> = {
  tenant: async (values, [word, name]) => {
    if (word !== 'create' || name === undefined) throw usage()
    const tenant = await createTenant(values.tenant, name, Date.now())
    say(`tenant ${tenant.id} in ${values.tenant}`)
  },
  server: async (values, names) => {
    const tenant = await openTenant(values.tenant)
    const { certPem, keyPem } = issueServer(tenant.authority, names, Date.now())
    const { writeFile } = await import('node:fs/promises')
    await writeFile(`${values.out}.pem`, certPem)
    await writeFile(`${values.out}.key.pem`, keyPem, { mode: 0o600 })
    say(`${values.out}.pem and ${values.out}.key.pem for ${names.join(', ')}`)
  },
  token: async (values, [serial]) => {
    if (serial === undefined) throw usage()
    const tenant = await openTenant(values.tenant)
    using tokens = new Tokens(join(values.tenant, 'tokens.sqlite'))
    say(tokens.issue({ serial, tenant: tenant.id, region: values.region }, Date.now()))
  },
  serve,
  watch: async (values, [serial], signal) => {
    using store = openStore(values)
    do {
      process.stdout.write(`${values.once ? '' : '\x1b[2J\x1b[H'}${renderFleet(store, serial)}`)
      if (!values.once) await wait(1000, undefined, { signal }).catch(() => undefined)
    } while (!values.once && !signal.aborted)
  },
  jobs: async (values, [word, file], signal) => {
    if (word !== 'send' || file === undefined || values.to === '') throw usage()
    const tenant = await openTenant(values.tenant)
    using store = openStore(values)
    const grants = await Promise.all(values.grant.map(path => readFile(path)))
    const { offer, envelope } = await makeOffer(store, {
      ...{ path: file, device: values.to, tenant: tenant.id, atMs: Date.now(), grants },
      publisher: await tenant.key('publisher'),
      priority: Number(values.priority),
    })
    await using link = await dial(values, tenant, signal)
    await link.publish({ topic: topicOf(values.to, 'job'), payload: envelope })
    say(`offer ${offer.offer}: ${offer.sizeBytes} bytes for ${values.to}`)
  },
  command,
  events: async (values, [serial]) => {
    if (serial === undefined) throw usage()
    using store = openStore(values)
    for (let after = 0; ; ) {
      const items = store.items(serial, 'evt', after, 500)
      for (const { value } of items)
        say(values.syslog ? syslogLine(value as OcsfRecord, serial) : JSON.stringify(value))
      const last = items.at(-1)
      if (!last) return
      after = last.seq
    }
  },
}

async function serve(
  values: Values,
  _operands: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  const tenant = await openTenant(values.tenant)
  await using stack = new AsyncDisposableStack()
  const store = stack.use(openStore(values))
  if (values.enrol !== undefined) {
    const est = await startEstServer({
      ...{ tenant, region: values.region, clock: systemClock, host: '0.0.0.0' },
      tokens: stack.use(new Tokens(join(values.tenant, 'tokens.sqlite'))),
      server: issueServer(tenant.authority, ['localhost', '127.0.0.1'], Date.now()),
      port: Number(values.enrol),
      onRefused: (error, serial) =>
        store.alert(serial || 'unknown', Date.now(), error.code, error.message),
    })
    stack.use(est)
    say(`enrolment at https://localhost:${est.port}`)
  }
  const ingest = new Ingest({
    ...{ tenant, store, clock: systemClock, random: Math.random, worker: values.worker },
    endpoints: [parseEndpoint(values.broker)],
    ca: tenant.authority.certPem,
    witness: await tenant.key('witness'),
    onRequest: (device, payload, link) => sendBlocks(store, device, payload, link),
    onLink: link =>
      say(`receiving from ${link.endpoint}, MQTT ${link.protocol === 5 ? '5' : '3.1.1'}`),
  })
  await ingest.run(signal)
}

async function command(
  values: Values,
  [word]: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  const verb = VERBS.find(each => each === word)
  if (verb === undefined || values.to === '') throw usage()
  const tenant = await openTenant(values.tenant)
  using store = openStore(values)
  const first = await tenant.key('security')
  const keys = values.both ? [first, await tenant.key('second')] : [first]
  const request = {
    device: values.to,
    tenant: tenant.id,
    verb,
    role: roleOf(verb),
    issuer: 'fleet',
  }
  const { id, envelope } = signCommand(
    { ...request, args: argsOf(values.arg), atMs: Date.now() },
    keys,
  )
  await using link = await dial(values, tenant, signal)
  const after = store.contiguous(values.to, 'resp')
  await link.publish({ topic: topicOf(values.to, 'cmd'), payload: envelope, expiryS: 600 })
  say(JSON.stringify(await answerOf(store, values.to, id, after, verb)))
}

/** The printer's answer as the ingest worker stores it. @throws FleetError FLEET_NO_ANSWER */
async function answerOf(
  store: FleetStore,
  device: string,
  id: string,
  after: number,
  verb: Verb,
): Promise<unknown> {
  for (let tries = 0; tries < 150; tries++) {
    for (const { value } of store.items(device, 'resp', after, 100)) {
      const { payload } = value as { readonly payload: string }
      const result = JSON.parse(Buffer.from(payload, 'base64').toString('utf8')) as { id: string }
      if (result.id === id) return result
    }
    await wait(200)
  }
  throw new FleetError('FLEET_NO_ANSWER', `${verb} was not answered in 30 s`)
}

function argsOf(pairs: readonly string[]): Record<string, string | boolean> {
  return Object.fromEntries(
    pairs.map(pair => {
      const [name = '', value = ''] = pair.split('=')
      return [name, value === 'true' ? true : value]
    }),
  )
}

function dial(values: Values, tenant: Tenant, signal: AbortSignal): Promise<Link> {
  const open = (protocol: 5 | 4) =>
    openLink({
      ...parseEndpoint(values.broker),
      ...{ ca: tenant.authority.certPem, identity: tenant.identity, protocol, signal },
      ...{ clientId: `fleet-cli-${process.pid}`, sessionExpiryS: 0, subscriptions: [] },
      onMessage: async () => undefined,
    })
  return open(5).catch(() => open(4))
}

function openStore(values: Values): FleetStore {
  return new FleetStore(join(values.tenant, 'fleet.sqlite'))
}

function usage(): FleetError {
  return new FleetError('FLEET_USAGE', USAGE)
}

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}

/** Runs one verb; resolves with the exit status. */
export async function main(args: readonly string[]): Promise<number> {
  const ending = new AbortController()
  for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => ending.abort())
  try {
    const { values, positionals } = parse(args)
    const [word = '', ...operands] = positionals
    const run = Object.hasOwn(VERBS_OF_FLEET, word) ? VERBS_OF_FLEET[word] : undefined
    if (!run) throw usage()
    await run(values, operands, ending.signal)
    return EXIT.ok
  } catch (error) {
    if (ending.signal.aborted) return EXIT.ok
    return tell(error)
  }
}

function tell(error: unknown): number {
  const isUsage = error instanceof FleetError && error.code === 'FLEET_USAGE'
  const message = error instanceof Error ? error.message : 'unknown'
  const code = error instanceof Error && 'code' in error ? `${String(error.code)}: ` : ''
  process.stderr.write(isUsage ? USAGE : `fleet: ${code}${message}\n`)
  return isUsage ? EXIT.usage : EXIT.fault
}

if (import.meta.main) process.exit(await main(process.argv.slice(2)))
