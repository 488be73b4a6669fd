/** A fleet on a desk: tenant, broker, ingest, and a printer whose core is the real journal and socket without a machine. */
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { type Config, parseConfig } from '#config'
import { systemClock } from '#lib/clock.ts'
import { VERBS, type Verb } from '#lib/command-statement.ts'
import type { PrinterView } from '#lib/control-protocol.ts'
import { createLogger } from '#lib/logger.ts'
import { parseTrustBundle } from '#mpf'
import { type CourierPorts, runCourier } from '../../firmware/cloud/courier.ts'
import { IdentityStore } from '../../firmware/cloud/identity.ts'
import { createExecuteCommand, type VerbHandler } from '../../firmware/core/commands/execute.ts'
import { CommandLedger } from '../../firmware/core/commands/ledger.ts'
import { ControlServer } from '../../firmware/core/control/server.ts'
import { createCourierOperations } from '../../firmware/core/courier-operations.ts'
import { CoreError } from '../../firmware/core/errors.ts'
import { Journal } from '../../firmware/core/journal/journal.ts'
import { createLogSigner, loadLogKey } from '../../firmware/core/log-signer.ts'
import { certifyPrinter, issueServer, pemOf } from '../../fleet/ca.ts'
import { Ingest, type IngestOptions } from '../../fleet/ingest.ts'
import { FleetStore } from '../../fleet/store.ts'
import { createTenant, type Tenant } from '../../fleet/tenant.ts'
import { startNats } from './broker-nats.ts'
import type { BrokerCluster } from './broker-nodes.ts'
import { startRabbit } from './broker-rabbit.ts'
import { type BrokerFiles, startAedes, startMosquitto, type TestBroker } from './cloud-broker.ts'

export const log = createLogger({
  name: 'cloud',
  level: process.env.CLOUD_LOG === undefined ? 'silent' : 'debug',
})

export interface Fleet extends AsyncDisposable {
  readonly directory: string
  readonly tenant: Tenant
  readonly broker: TestBroker
  readonly files: BrokerFiles
  readonly store: FleetStore
  startIngest(more?: Partial<IngestOptions>): Promise<Running<Ingest>>
}

export interface Running<T> extends AsyncDisposable {
  readonly value: T
}

/** Every broker, each name with its own certificate; NATS and RabbitMQ know the printers P-1 and P-2. */
const BROKERS = {
  aedes: (_directory: string, files: BrokerFiles) => startAedes(files),
  mosquitto: startMosquitto,
  nats: (directory: string, files: BrokerFiles) => startNats(directory, files, NAMES, 1),
  rabbitmq: (directory: string, files: BrokerFiles) => startRabbit(directory, files, NAMES, 1),
} as const
export type BrokerKind = keyof typeof BROKERS
const NAMES = { fleet: 'fleet', devices: ['P-1', 'P-2'] }

/** `names`: what the broker's certificate is for, beside this machine's own. */
export const fleet = (kind: BrokerKind, names: readonly string[] = []): Promise<Fleet> =>
  fleetOver(BROKERS[kind], names)

/** A fleet over three nodes of one broker. */
export async function clusterFleet(
  kind: 'nats' | 'rabbitmq',
): Promise<Fleet & { readonly broker: BrokerCluster }> {
  const start = kind === 'nats' ? startNats : startRabbit
  return fleetOver((directory, files) => start(directory, files, NAMES, 3))
}

async function fleetOver<B extends TestBroker>(
  start: (directory: string, files: BrokerFiles) => Promise<B>,
  names: readonly string[] = [],
): Promise<Fleet & { readonly broker: B }> {
  const directory = await mkdtemp(join(tmpdir(), 'cloud-'))
  const tenant = await createTenant(join(directory, 'tenant'), 'test', Date.now())
  const server = issueServer(tenant.authority, ['localhost', '127.0.0.1', ...names], Date.now())
  const files = { ca: tenant.authority.certPem, cert: server.certPem, key: server.keyPem }
  const broker = await start(directory, files)
  const store = new FleetStore(join(directory, 'fleet.sqlite'))
  return {
    ...{ directory, tenant, broker, files, store },
    async startIngest(more = {}) {
      const ending = new AbortController()
      const ingest = new Ingest({
        ...{ tenant, store, clock: systemClock, random: () => 0.05, worker: 'fleet-1' },
        endpoints: broker.ports.map(port => ({ host: 'localhost', port })),
        ca: tenant.authority.certPem,
        witness: await tenant.key('witness'),
        ...more,
      })
      const running = ingest.run(ending.signal)
      return {
        value: ingest,
        async [Symbol.asyncDispose]() {
          ending.abort()
          await running
        },
      }
    },
    async [Symbol.asyncDispose]() {
      await broker[Symbol.asyncDispose]()
      store[Symbol.dispose]()
      await rm(directory, { recursive: true, force: true })
    },
  }
}

export interface Printer {
  readonly config: Config
  readonly serial: string
  readonly directory: string
  /** P-384: opens what is sealed for it. */
  readonly key: KeyObject
}

/** A printer enrolled by hand: key, certificate, configuration. */
export async function printer(
  on: Fleet,
  serial: string,
  more: Record<string, unknown> = {},
): Promise<Printer> {
  const directory = join(on.directory, serial)
  await mkdir(join(directory, 'state'), { recursive: true })
  await mkdir(join(directory, 'drop'))
  const caFile = join(directory, 'ca.pem')
  await writeFile(caFile, on.tenant.authority.certPem)
  const keyFile = join(directory, 'printer-key.pem')
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-384' })
  await writeFile(keyFile, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 })
  const settings = {
    printer: {
      ...{ serial, tenant: on.tenant.id },
      profile: {
        model: 'T',
        nozzleMm: 0.4,
        limitsMm: { min: [0, 0, 0], max: [250, 210, 210] },
        maxFeedMmPerMin: 12000,
        maxTempC: { hotend: [285], bed: 120, chamber: 0 },
      },
    },
    controllers: [{ name: 'motion', role: 'motion', dialect: 'marlin', port: 'simulated' }],
    stateDirectory: join(directory, 'state'),
    spool: { maxBytes: 256 << 20, maxFileBytes: 128 << 20, reserveBytes: 0 },
    usb: { pollIntervalMs: 50 },
    intake: { dropDirectory: join(directory, 'drop') },
    control: { socket: join(directory, 'control.sock'), mode: '0600' },
    trust: { bundleFile: join(on.tenant.directory, 'trust.json') },
    keys: { printerKeyFile: keyFile },
    log: { level: 'silent' },
    cloud: {
      endpoints: on.broker.ports.map(port => `mqtts://localhost:${port}`),
      caFile,
      identityDirectory: join(directory, 'identity'),
      stateDirectory: join(directory, 'cloud'),
      ...more,
    },
  }
  await writeFile(join(directory, 'config.json'), JSON.stringify(settings))
  const config = parseConfig(settings)
  const identities = new IdentityStore(join(directory, 'identity'))
  const csr = await identities.request('a', { commonName: serial })
  const cert = certifyPrinter(
    on.tenant.authority,
    csr,
    { serial, tenant: on.tenant.id },
    Date.now(),
  )
  await identities.install('a', pemOf(cert))
  await identities.promote('a')
  return { config, serial, directory, key: privateKey }
}

export interface DeskCore extends AsyncDisposable {
  readonly journal: Journal
  readonly ledger: CommandLedger
  readonly done: string[]
  /** What `mpfctl status` shows of the courier. */
  readonly alarms: ReadonlySet<string>
  view: Partial<PrinterView>
  changed(): void
}

/** The real journal, chain, log signer, command checks and control socket; no machine behind them. */
export async function startDeskCore({ config }: Pick<Printer, 'config'>): Promise<DeskCore> {
  const {
    stateDirectory,
    printer: { serial, tenant, profile },
  } = config
  const stamp = () => ({ atMs: Date.now(), quality: 'rtc' as const })
  const journal = new Journal({ path: join(stateDirectory, 'journal.sqlite'), stamp })
  const ledger = new CommandLedger(join(stateDirectory, 'commands.sqlite'))
  const key = await loadLogKey(join(stateDirectory, 'log-key.pem'))
  const signer = createLogSigner(journal, key, serial)
  const ending = new AbortController()
  const done: string[] = []
  const handler =
    (verb: Verb): VerbHandler =>
    async () => {
      done.push(verb)
      const isCouriers = verb === 'rebirth' || verb === 'cert.renew' || verb === 'log.export'
      return { outcome: isCouriers ? 'handed-over' : 'done', message: 'ok' }
    }
  const bundle = await readFile(config.trust.bundleFile)
  const execute = createExecuteCommand({
    ...{ ledger, journal, serial, tenant, key, trust: () => parseTrustBundle(bundle) },
    time: { now: stamp, observe: () => undefined },
    clock: systemClock,
    verbs: Object.fromEntries(VERBS.map(verb => [verb, handler(verb)])) as Record<
      Verb,
      VerbHandler
    >,
  })
  const core = { view: {} as Partial<PrinterView> }
  const alarms = new Set<string>()
  const status = (): PrinterView => ({
    ...{ printer: profile.model, serial, version: '0.1.0', state: 'idle', job: null },
    controllers: [],
    queue: { ready: 0, received: 0 },
    spool: { usedBytes: 0, capBytes: 1 },
    events: { lastSequence: journal.lastSequence() },
    clock: { nowMs: Date.now(), quality: 'rtc' },
    alarms: [...alarms],
    ...core.view,
  })
  const refuse = () => {
    throw new CoreError('PRINTER_IDLE', 'no print is running')
  }
  const server = await ControlServer.listen({
    path: config.control.socket,
    mode: 0o600,
    clock: systemClock,
    log,
    handlers: {
      ...{ status, watch: status, 'jobs.list': () => ({ jobs: [] }), 'jobs.show': refuse },
      ...{ 'jobs.report': refuse, 'jobs.preview': refuse },
      ...{ 'print.start': refuse, 'print.pause': refuse, 'print.resume': refuse },
      ...{ 'print.cancel': refuse, 'print.stop': () => null, 'print.respond': refuse },
      'events.list': ({ after, limit }) => ({ events: journal.events(after ?? 0, limit ?? 100) }),
      'events.verify': () => ({ entries: 0, intact: true, brokenAt: null }),
      ...createCourierOperations({
        journal,
        ledger,
        signer,
        execute,
        alarms,
        signal: ending.signal,
      }),
    },
  })
  journal.onEvent(event => {
    server.tell(event)
    server.changed()
  })
  const reporting = server.reportProgress(ending.signal).catch(() => undefined)
  return Object.assign(core, {
    ...{ journal, ledger, done, alarms },
    changed: () => server.changed(),
    async [Symbol.asyncDispose]() {
      ending.abort()
      await server[Symbol.asyncDispose]()
      await reporting
      ledger[Symbol.dispose]()
      journal[Symbol.dispose]()
    },
  })
}

/** The courier, in this process. */
export function startCourier(
  { config }: Printer,
  more: Partial<CourierPorts> = {},
): AsyncDisposable & { readonly running: Promise<void> } {
  const ending = new AbortController()
  const ports = { clock: systemClock, log, random: () => 0.05, version: '0.1.0', ...more }
  const running = runCourier(config, ports, ending.signal)
  return {
    running,
    async [Symbol.asyncDispose]() {
      ending.abort()
      await running.catch(() => undefined)
    },
  }
}

/** Looks again and again until it is so; the test runner's own limit ends a test that never is. */
export async function until<T>(
  look: () => T | undefined | false | Promise<T | undefined | false>,
): Promise<T> {
  for (;;) {
    const found = await look()
    if (found !== undefined && found !== false) return found
    await wait(10)
  }
}
