/** The core put together: every part made once, handed what it needs, and ended in the right order. */

import { once } from 'node:events'
import type { Config } from '#config'
import { DriverError } from '#drivers'
import { MpfError } from '#mpf'
import { AdmissionQueue } from './admission/admission-queue.ts'
import { createCommands } from './commands/commands.ts'
import { expectStartAllowed } from './commands/verbs.ts'
import type { ControlHandlers } from './control/methods.ts'
import { ControlServer } from './control/server.ts'
import { createCourierOperations } from './courier-operations.ts'
import { ControllerVoice } from './engine/controller-voice.ts'
import type { Machine } from './engine/machine.ts'
import { PrintEngine } from './engine/print-engine.ts'
import { ThermalWatch } from './engine/thermal-watch.ts'
import { CoreError } from './errors.ts'
import { Stick } from './intake/stick.ts'
import { watchMount } from './intake/watch-mount.ts'
import type { JobRecord } from './journal/job-record.ts'
import { isFinal } from './journal/job-states.ts'
import type { Journal } from './journal/journal.ts'
import { createOperations } from './operations.ts'
import { type CorePorts, type Parts, prepareParts } from './parts.ts'
import { keepFloor } from './raise-clock.ts'
import { recover } from './recovery.ts'
import type { Spool } from './spool.ts'
import { watchClock } from './trusted-time.ts'

export type { CorePorts } from './parts.ts'

/** A running core. Dispose ends it in order: a running print is stopped safely and recorded. */
export interface Core extends AsyncDisposable {
  readonly journal: Journal
  readonly spool: Spool
  readonly engine: PrintEngine
  readonly machine: Machine
  /** Resolves once the signal has aborted; rejects with the first fault the core cannot live with. */
  ended(): Promise<void>
}

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
  const onInterruption = parts.settings.policy('onInterruption')
  const received = await recover({ ...parts, onInterruption }, signal)
  let server: ControlServer | undefined
  const engine = createEngine(parts, () => server?.changed())
  const voice = new ControllerVoice({ machine, engine, journal, log: ports.log })
  server = await ControlServer.listen({
    path: config.control.socket,
    mode: config.control.mode,
    handlers: createHandlers(parts, engine, voice),
    clock: ports.clock,
    log: ports.log,
  })
  const control = stack.use(server)
  stack.use(tasks)
  stack.use(journal.onEvent(event => control.tell(event)))
  stack.use(journal.onEvent(() => control.changed()))
  stack.use(voice.listen())
  stack.use(machine.onEvent(() => control.changed()))
  stack.defer(() => engine.close())
  startTasks(parts, engine, control, received)
  journal.record({ type: 'core.started', message: `version ${ports.version}` })
  const lifetime = stack.move()
  return {
    journal,
    spool: parts.spool,
    engine,
    machine,
    ended: () => tasks.settled(),
    [Symbol.asyncDispose]: () => lifetime.disposeAsync(),
  }
}

function createHandlers(
  parts: Parts,
  engine: PrintEngine,
  voice: ControllerVoice,
): ControlHandlers {
  const { config, tasks } = parts
  const { serial, tenant } = config.printer
  const key = parts.signer.key
  const signal = tasks.signal
  const { trust } = parts
  const alarms = new Set<string>()
  const execute = createCommands({
    ...{ ...parts, serial, tenant, key, engine, signal, clock: parts.ports.clock },
    get trustBundle() {
      return trust.bytes
    },
  })
  return {
    ...createOperations({ ...parts, ...identityOf(parts), engine, voice, alarms, signal }),
    ...createCourierOperations({ ...parts, execute, alarms, signal }),
  }
}

function createEngine(parts: Parts, onChange: () => void): PrintEngine {
  const { config, ports, journal, machine, openJob, settings, tasks } = parts
  return new PrintEngine({
    journal,
    machine,
    clock: ports.clock,
    scripts: config.printer.scripts,
    isRehearsed: config.controllers.some(({ rehearse }) => rehearse),
    get onInterruption() {
      return settings.policy('onInterruption')
    },
    heightMm: config.printer.profile.limitsMm.max[2],
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
  const { config, ports, journal, machine, openJob, tasks } = parts
  const { preflight } = parts.reports
  const admission = new AdmissionQueue({
    journal,
    openJob,
    preflight,
    clock: ports.clock,
    onDecided: job => afterAdmission(parts, engine, job),
  })
  for (const id of received) admission.push(id)
  tasks.start(signal => admission.run(signal))
  tasks.start(signal => machine.keepConnected(signal))
  tasks.start(signal => thermalWatch(parts, engine).run(signal))
  tasks.start(signal => closeAtEnd(engine, signal))
  tasks.start(signal => control.reportProgress(signal))
  tasks.start(signal => parts.trust.watch(ports.clock, signal))
  const keepFloorHere = (floorMs: number) =>
    keepFloor(config.stateDirectory, floorMs).catch((error: unknown) => {
      ports.log.warn({ err: error }, 'the time was not kept') // the journal has it too
    })
  const watching = { journal, clock: ports.clock, keepFloor: keepFloorHere }
  tasks.start(signal => watchClock(parts.time, watching, signal))
  startIntake(parts, id => admission.push(id))
}

function thermalWatch(
  { config, ports, journal, machine }: Parts,
  engine: PrintEngine,
): ThermalWatch {
  const { safety, profile } = config.printer
  const { clock } = ports
  const { thermalMarginC: marginC, temperatureReportTimeoutMs: reportTimeoutMs } = safety
  const settings = { ...safety, marginC, reportTimeoutMs }
  const { maxTempC } = profile
  return new ThermalWatch({ machine, engine, journal, clock, settings, maxTempC })
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
  const { journal, settings } = parts
  if (isFinal(job.state)) releaseFile(parts, job.id)
  if (job.state !== 'ready' || settings.policy('autoStart') !== 'start') return
  try {
    await engine.start(job.id)
  } catch (error) {
    const isRefusal =
      error instanceof CoreError || error instanceof MpfError || error instanceof DriverError
    if (!isRefusal || error.code === 'JOURNAL_WRITE') throw error
    const { code, message } = error
    journal.record({ type: 'job.waiting', job: job.id, code, message })
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
