/** The core put together: every part made once, handed what it needs, and ended in the right order. */

import type { KeyObject } from 'node:crypto'
import { once } from 'node:events'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Config } from '#config'
import { DriverError } from '#drivers'
import type { Clock } from '#lib/clock.ts'
import type { Logger } from '#lib/logger.ts'
import { TaskGroup } from '#lib/task-group.ts'
import { MpfError } from '#mpf'
import { AdmissionQueue } from './admission/admission-queue.ts'
import { createOpenJob, type OpenJob } from './admission/open-job.ts'
import type { OpenPrint } from './admission/opened-print.ts'
import type { Preflight } from './admission/preflight.ts'
import { createCommands } from './commands/commands.ts'
import { CommandLedger } from './commands/ledger.ts'
import { expectStartAllowed } from './commands/verbs.ts'
import type { ControlHandlers } from './control/methods.ts'
import { ControlServer } from './control/server.ts'
import { createCourierOperations } from './courier-operations.ts'
import { Machine, type OpenMachineController } from './engine/machine.ts'
import { PrintEngine } from './engine/print-engine.ts'
import { CoreError } from './errors.ts'
import { GrantStore } from './grant-store.ts'
import { Stick } from './intake/stick.ts'
import { watchMount } from './intake/watch-mount.ts'
import type { JournalObserver } from './journal/database.ts'
import type { JobRecord } from './journal/job-record.ts'
import { isFinal } from './journal/job-states.ts'
import { Journal } from './journal/journal.ts'
import { loadPrinterKey, loadTrustBundle } from './keys.ts'
import { createLogSigner, type LogSigner, loadLogKey } from './log-signer.ts'
import { createOperations } from './operations.ts'
import { recover } from './recovery.ts'
import { Spool } from './spool.ts'
import { createTrustedTime, type TrustedTime } from './trusted-time.ts'

/** The world as the core meets it; tests give their own. */
export interface CorePorts {
  readonly clock: Clock
  readonly log: Logger
  readonly version: string
  /** No clock is right that is behind it. */
  readonly buildAtMs: number
  readonly newId: () => string
  readonly openController: OpenMachineController
  readonly openPrint: OpenPrint
  readonly preflight: Preflight
  readonly journalObserver?: JournalObserver
}

/** A running core. Dispose ends it in order: a running print is stopped safely and recorded. */
export interface Core extends AsyncDisposable {
  readonly journal: Journal
  readonly spool: Spool
  readonly engine: PrintEngine
  /** Resolves once the signal has aborted; rejects with the first fault the core cannot live with. */
  ended(): Promise<void>
}

interface Parts {
  readonly config: Config
  readonly ports: CorePorts
  readonly journal: Journal
  readonly time: TrustedTime
  readonly spool: Spool
  readonly machine: Machine
  readonly tasks: TaskGroup
  readonly openJob: OpenJob
  readonly printerKey: KeyObject
  readonly trustBundle: Uint8Array
  readonly grants: GrantStore
  readonly ledger: CommandLedger
  readonly signer: LogSigner
}

const STATE_DIRECTORY_MODE = 0o700

/**
 * Starts the core and resolves when its control socket answers.
 * @throws CoreError JOURNAL_*, SPOOL_IO, KEYS_*, CONTROL_SOCKET.
 */
export async function startCore(
  config: Config,
  ports: CorePorts,
  signal: AbortSignal,
): Promise<Core> {
  await using stack = new AsyncDisposableStack()
  const parts = await prepareParts(config, ports, stack, signal)
  const { journal, machine, tasks } = parts
  const received = await recover(parts, signal)
  let server: ControlServer | undefined
  const engine = createEngine(parts, () => server?.changed())
  server = await ControlServer.listen({
    path: config.control.socket,
    mode: config.control.mode,
    handlers: createHandlers(parts, engine),
    clock: ports.clock,
    log: ports.log,
  })
  const control = stack.use(server)
  stack.use(tasks)
  stack.use(journal.onEvent(event => control.tell(event)))
  stack.use(journal.onEvent(() => control.changed()))
  stack.use(machine.onEvent(() => control.changed()))
  stack.defer(() => engine.close())
  startTasks(parts, engine, control, received)
  journal.record({ type: 'core.started', message: `version ${ports.version}` })
  const lifetime = stack.move()
  return {
    journal,
    spool: parts.spool,
    engine,
    ended: () => tasks.settled(),
    [Symbol.asyncDispose]: () => lifetime.disposeAsync(),
  }
}

function createHandlers(parts: Parts, engine: PrintEngine): ControlHandlers {
  const { config, tasks } = parts
  const { serial, tenant } = config.printer
  const { printerKeyFile } = config.keys
  const key = parts.signer.key
  const signal = tasks.signal
  const execute = createCommands({ ...parts, serial, tenant, key, engine, printerKeyFile, signal })
  return {
    ...createOperations({ ...parts, ...identityOf(parts), engine, signal }),
    ...createCourierOperations({ ...parts, execute, signal }),
  }
}

async function prepareParts(
  config: Config,
  ports: CorePorts,
  stack: AsyncDisposableStack,
  signal: AbortSignal,
): Promise<Parts> {
  const { clock, log } = ports
  const { stateDirectory, printer } = config
  await mkdir(stateDirectory, { recursive: true, mode: STATE_DIRECTORY_MODE })
  const printerKey = await loadPrinterKey(config.keys.printerKeyFile)
  const trustBundle = await loadTrustBundle(config.trust.bundleFile)
  const journal = new Journal({
    path: join(stateDirectory, 'journal.sqlite'),
    stamp: () => time.now(),
    observer: ports.journalObserver,
  })
  stack.use(journal)
  const floorMs = journal.floor('trusted-time')
  const time = createTrustedTime({ clock, buildAtMs: ports.buildAtMs, floorMs })
  stack.defer(() => {
    journal.record({ type: 'core.stopped', message: 'ended in order' })
  })
  const spool = await Spool.open(join(stateDirectory, 'spool'), config.spool)
  const machine = new Machine({
    name: config.controllers.find(({ role }) => role === 'motion')?.name ?? 'motion',
    open: ports.openController,
    heatersOff: heatersOff(printer.profile.maxTempC.hotend.length),
    clock,
    journal,
    log,
  })
  stack.use(machine)
  const facts = { printerKey, trustBundle, tenant: printer.tenant, profile: printer.profile }
  const { openPrint } = ports
  const grants = await GrantStore.open(join(stateDirectory, 'grants'))
  const ledger = stack.use(new CommandLedger(join(stateDirectory, 'commands.sqlite')))
  const logKey = await loadLogKey(join(stateDirectory, 'log-key.pem'))
  const signer = createLogSigner(journal, logKey, printer.serial)
  const openJob = createOpenJob({ spool, journal, time, printer: facts, openPrint, grants })
  const tasks = new TaskGroup(signal)
  const made = { config, ports, journal, time, spool, machine, tasks, openJob }
  return { ...made, printerKey, trustBundle, grants, ledger, signer }
}

function createEngine(parts: Parts, onChange: () => void): PrintEngine {
  const { config, ports, journal, machine, openJob, tasks } = parts
  return new PrintEngine({
    journal,
    machine,
    clock: ports.clock,
    scripts: {
      ...config.printer.scripts,
      end: config.printer.scripts.end ?? heatersOff(config.printer.profile.maxTempC.hotend.length),
    },
    openJob,
    onChange,
    onEnded: job => releaseFile(parts, job),
    keep: running => tasks.start(() => running),
    expectStartAllowed: () => expectStartAllowed(parts.ledger),
  })
}

function startTasks(
  parts: Parts,
  engine: PrintEngine,
  control: ControlServer,
  received: readonly string[],
): void {
  const { ports, journal, machine, openJob, tasks } = parts
  const { preflight } = ports
  const admission = new AdmissionQueue({
    journal,
    openJob,
    preflight,
    onDecided: job => afterAdmission(parts, engine, job),
  })
  for (const id of received) admission.push(id)
  tasks.start(signal => admission.run(signal))
  tasks.start(signal => machine.keepConnected(signal))
  tasks.start(signal => closeAtEnd(engine, signal))
  tasks.start(signal => control.reportProgress(signal))
  startIntake(parts, id => admission.push(id))
}

/** Sticks, and the directory the courier fills: one way in for all. */
function startIntake(parts: Parts, onReceived: (id: string) => void): void {
  const { config, ports, journal, spool, grants, ledger, tasks } = parts
  const { clock, newId } = ports
  const { mountDirectories, pollIntervalMs } = config.usb
  const { dropDirectory } = config.intake
  const sources = [
    ...mountDirectories.map(directory => ({ directory, origin: 'usb' as const })),
    ...(dropDirectory === undefined
      ? []
      : [{ directory: dropDirectory, origin: 'cloud' as const }]),
  ]
  for (const { directory, origin } of sources) {
    const stick = new Stick(directory, pollIntervalMs, {
      ...{ clock, journal, spool, newId, onReceived, origin },
      isHeld: () => ledger.isSet('intake-held'),
      storeGrant: bytes => grants.put(bytes),
    })
    tasks.start(signal => watchMount(stick, { directory, pollIntervalMs, clock }, signal))
  }
}

/** A print is a task too, and would otherwise be waited for to its last line. */
async function closeAtEnd(engine: PrintEngine, signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, 'abort')
  await engine.close()
}

/** What follows from a decision: a refused file leaves the spool; an admitted one prints if the policy says so. */
async function afterAdmission(parts: Parts, engine: PrintEngine, job: JobRecord): Promise<void> {
  const { config, ports } = parts
  if (isFinal(job.state)) releaseFile(parts, job.id)
  const autoStart = parts.ledger.policy('autoStart') ?? config.usb.autoStart
  const isWanted = job.state === 'ready' && autoStart === 'start'
  if (!isWanted || engine.isBusy) return
  try {
    await engine.start(job.id)
  } catch (error) {
    const isRefusal =
      error instanceof CoreError || error instanceof MpfError || error instanceof DriverError
    if (!isRefusal || error.code === 'JOURNAL_WRITE') throw error
    ports.log.warn({ job: job.id, code: error.code }, 'not started by itself')
  }
}

function releaseFile({ spool, ports, tasks }: Parts, job: string): void {
  tasks.start(async () => {
    await spool.remove(job).catch((error: unknown) => {
      ports.log.warn({ err: error, job }, 'spool file not removed') // the next start removes it
    })
  })
}

function identityOf({ config, ports }: Parts): {
  readonly model: string
  readonly serial: string
  readonly version: string
} {
  const { profile, serial } = config.printer
  return { model: profile.model, serial, version: ports.version }
}

/** Every heater this printer may have, and the part fan; nothing that moves. */
function heatersOff(tools: number): readonly string[] {
  const hotends = Array.from({ length: tools }, (_, tool) =>
    tools === 1 ? 'M104 S0' : `M104 T${tool} S0`,
  )
  return [...hotends, 'M140 S0', 'M107']
}
