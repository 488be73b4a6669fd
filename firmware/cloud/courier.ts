/** The courier put together: core on one side, broker on the other, the outbox between, and nothing decided here. */

import { randomUUID } from 'node:crypto'
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Config } from '#config'
import type { Clock } from '#lib/clock.ts'
import type { PrinterView } from '#lib/control-protocol.ts'
import type { Logger } from '#lib/logger.ts'
import { SentRing } from '#lib/sent-ring.ts'
import { Slot } from '#lib/slot.ts'
import { TaskGroup } from '#lib/task-group.ts'
import { CloudLink } from './cloud-link.ts'
import { type CoreClient, connectCore } from './core-client.ts'
import { CloudError } from './errors.ts'
import { EventsPump } from './events-pump.ts'
import { Host } from './host.ts'
import { IdentityStore, type SlotIdentity } from './identity.ts'
import { type LiveTrust, openLiveTrust } from './live-trust.ts'
import { dictionaryOf } from './metrics.ts'
import { Outbox } from './outbox.ts'
import { CertificateRenewal } from './renewal.ts'
import { Reports } from './reports.ts'
import { Sender } from './sender.ts'
import { isStored, untilStored } from './stored.ts'
import { Telemetry } from './telemetry.ts'
import { schemaHash } from './wire.ts'

export interface CourierPorts {
  readonly clock: Clock
  readonly log: Logger
  /** Uniform in [0, 1). */
  readonly random: () => number
  readonly version: string
  /** Where what need not outlast a boot lies, in memory; left out: with the rest. */
  readonly runtimeDirectory?: string | undefined
}

export type CloudConfig = NonNullable<Config['cloud']>

/** What the parts of the courier share. */
export interface CourierState {
  readonly config: Config
  readonly cloud: CloudConfig
  readonly ports: CourierPorts
  readonly trust: LiveTrust
  readonly outbox: Outbox
  readonly reports: Reports
  readonly sender: Sender
  readonly identities: IdentityStore
  /** The certificate in use, and the serial number of the last one that a broker did not accept. */
  identity: SlotIdentity
  unaccepted: string
  readonly boot: string
  readonly session: number
  readonly ring: SentRing
  /** The core while it is connected. */
  readonly core: Slot<CoreClient>
  /** What it last told. */
  view: PrinterView | undefined
  /** Trusted time: the core's, carried on by the wall clock's difference. */
  nowMs(): number
}

const CORE_RETRY_MS = 500

/** Runs until the signal aborts. @throws CloudError CLOUD_IDENTITY, CLOUD_STORE; MpfError MPF_SIGNER */
export async function runCourier(
  config: Config,
  ports: CourierPorts,
  signal: AbortSignal,
): Promise<void> {
  const { cloud } = config
  if (!cloud) throw new CloudError('CLOUD_IDENTITY', 'the configuration has no cloud section')
  await mkdir(cloud.stateDirectory, { recursive: true, mode: 0o700 })
  const identities = new IdentityStore(cloud.identityDirectory)
  const identity = (await identities.usable(ports.clock.wallMs())) ?? (await identities.current())
  if (!identity) throw new CloudError('CLOUD_IDENTITY', 'this printer is not enrolled')
  const reports = new Reports(ports.clock)
  let presence: Pick<CloudLink, 'progressed'> | undefined
  using outbox = openOutbox(cloud, fault => {
    tellFault(reports, ports.log, fault)
    presence?.progressed()
  })
  const trust = await openLiveTrust(config.trust.bundleFile)
  const session = Number(outbox.fact('session') ?? 0) + 1
  using ring = new SentRing(join(ports.runtimeDirectory ?? cloud.stateDirectory, 'sent.sqlite'))
  const made = { config, cloud, ports, trust, outbox, reports, identities, identity, session, ring }
  const state = await createState(made)
  const telemetry = new Telemetry(state, new Host('/', cloud.stateDirectory))
  const renewal = new CertificateRenewal(state)
  const link = new CloudLink(state, { renewal, onWatch: forS => telemetry.watchFor(forS) })
  presence = link
  await using tasks = new TaskGroup(signal)
  const keepSession = () => outbox.setFact('session', String(session))
  tasks.start(taskSignal => untilStored(keepSession, ports.clock, taskSignal))
  tasks.start(taskSignal => keepCore(state, link, taskSignal))
  tasks.start(taskSignal => link.run(taskSignal))
  tasks.start(taskSignal => link.runTransfers(taskSignal))
  tasks.start(taskSignal => telemetry.run(taskSignal))
  tasks.start(taskSignal => renewal.run(taskSignal))
  await tasks.settled()
}

function openOutbox(cloud: CloudConfig, onFault: (fault: CloudError | undefined) => void): Outbox {
  const { eventStoreBytes: eventBytes, telemetryStoreBytes: telemetryBytes } = cloud
  return new Outbox(
    join(cloud.stateDirectory, 'outbox.sqlite'),
    { eventBytes, telemetryBytes },
    onFault,
  )
}

/** A disk that takes nothing is told to the core and shown at both ends; whoever writes waits, or does without. */
function tellFault(reports: Reports, log: Logger, fault: CloudError | undefined): void {
  reports.alarm(fault ? [fault.code] : [])
  if (!fault) return reports.add({ type: 'cloud.store_recovered', message: 'written again' })
  const { code, message } = fault
  log.error({ code }, message)
  reports.add({ type: 'cloud.store_failed', code, message })
}

type Made = Pick<
  CourierState,
  | ('config' | 'cloud' | 'ports' | 'trust' | 'outbox' | 'reports')
  | ('identities' | 'identity' | 'session' | 'ring')
>

async function createState(made: Made): Promise<CourierState> {
  const { config, ports, outbox, identity, session } = made
  const { clock, log } = ports
  const boot = await bootId()
  const sch = schemaHash(dictionaryOf(made.cloud.tier))
  let known: { readonly atMs: number; readonly sinceMs: number } | undefined
  let view: PrinterView | undefined
  const nowMs = () =>
    known ? known.atMs + (clock.nowMs() - known.sinceMs) : Math.trunc(clock.wallMs())
  const sender = new Sender({
    ...{ device: identity.device, outbox, clock },
    header: () => ({
      ...{ dev: identity.device, ten: config.printer.tenant, boot, ses: session },
      ...{ ts: Math.trunc(nowMs()), clk: view?.clock.quality ?? 'unknown' },
      sch,
    }),
    mayLeave: (topic, payload) =>
      !/\/(?:tele|alm)$/.test(topic) ||
      isStored(() => made.ring.add({ atMs: nowMs(), topic, payload })),
    onRefused: error => {
      log.warn({ code: error.code, reason: error.reason }, 'message refused')
      const { code, message, reason } = error
      made.reports.add({ type: 'cloud.acl_refused', code, message, detail: { reason } })
    },
  })
  return {
    ...made,
    ...{ boot, sender, nowMs, core: new Slot(), unaccepted: '' },
    get view() {
      return view
    },
    set view(next) {
      view = next
      if (next) known = { atMs: next.clock.nowMs, sinceMs: clock.nowMs() }
    },
  }
}

/** Names one life of the machine; random where the kernel does not tell. */
async function bootId(): Promise<string> {
  const text = await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => '')
  return text.trim() || randomUUID()
}

/** Connects to the core again and again; a restart of the core is nothing special. */
async function keepCore(state: CourierState, link: CloudLink, signal: AbortSignal): Promise<void> {
  const { clock, log } = state.ports
  while (!signal.aborted) {
    try {
      await serveCore(state, link, signal)
    } catch (error) {
      if (signal.aborted) return
      if (!(error instanceof CloudError) || error.code !== 'CLOUD_CORE') throw error
      log.debug({ err: error }, 'no core')
    } finally {
      state.core.clear()
      // What it told last is not so any more: nobody is shown a print that may have ended.
      state.view = undefined
      link.progressed()
    }
    await clock.sleep(CORE_RETRY_MS, signal).catch(() => undefined)
  }
}

async function serveCore(state: CourierState, link: CloudLink, signal: AbortSignal): Promise<void> {
  const { config, outbox, sender, reports } = state
  let pump: EventsPump | undefined
  const listener = {
    onEvent: () => pump?.news(),
    onProgress: (view: PrinterView) => {
      state.view = view
      link.progressed()
    },
  }
  using core = await connectCore(config.control.socket, listener, signal)
  state.view = await core.request('watch', {})
  const { serial, tenant, profile } = config.printer
  pump = new EventsPump({
    outbox,
    core,
    clock: state.ports.clock,
    device: { serial, tenant, model: profile.model, version: state.view.version },
    onAdded: events => {
      sender.added()
      link.eventsAdded(events)
    },
  })
  link.pump = pump
  state.core.put(core)
  await link.coreConnected(core)
  await using tasks = new TaskGroup(signal)
  const running = pump
  tasks.start(taskSignal => link.commands.run(core, taskSignal))
  tasks.start(taskSignal => link.exports.run(core, taskSignal))
  tasks.start(taskSignal => running.run(taskSignal))
  tasks.start(taskSignal => reports.run(core, taskSignal))
  tasks.start(async taskSignal => {
    await Promise.race([core.closed, aborted(taskSignal)])
    if (!taskSignal.aborted) throw new CloudError('CLOUD_CORE', 'the core has gone')
  })
  await tasks.settled()
}

function aborted(signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  if (signal.aborted) resolve()
  signal.addEventListener('abort', () => resolve(), { once: true })
  return promise
}
