/** The parts of the core that stand before anything runs: opened in order, closed in reverse. */

import { existsSync } from 'node:fs'
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Config } from '#config'
import type { Clock } from '#lib/clock.ts'
import type { Logger } from '#lib/logger.ts'
import { TaskGroup } from '#lib/task-group.ts'
import { createOpenJob, type OpenJob } from './admission/open-job.ts'
import type { OpenPrint } from './admission/opened-print.ts'
import type { Preflight } from './admission/preflight.ts'
import { PrintReports } from './admission/preflight-report.ts'
import { CommandLedger } from './commands/ledger.ts'
import { finishWipe } from './commands/wipe.ts'
import { windowLinesOf } from './engine/dialect-words.ts'
import { Machine } from './engine/machine.ts'
import type { OpenMachineController } from './engine/machine-options.ts'
import { powerCutOf } from './engine/power-relay.ts'
import { FlightRecords } from './flight-records.ts'
import { GrantStore } from './grant-store.ts'
import type { JournalObserver } from './journal/database.ts'
import { Journal } from './journal/journal.ts'
import { createLogSigner, type LogSigner, loadLogKey } from './log-signer.ts'
import { type PrinterKeyFiles, PrinterKeys } from './printer-keys.ts'
import { RAISED_MARK } from './raise-clock.ts'
import { Settings } from './settings.ts'
import { Spool } from './spool.ts'
import { TrustStore } from './trust-store.ts'
import { createTrustedTime, type TrustedTime } from './trusted-time.ts'

/** The world as the core meets it; tests give their own. */
export interface CorePorts {
  readonly clock: Clock
  readonly log: Logger
  readonly version: string
  /** No clock is right that is behind it. */
  readonly buildAtMs: number
  readonly newId: () => string
  /** Whether the system's clock follows a time server; left out: as systemd-timesyncd says. */
  readonly isClockSynchronised?: () => boolean
  /** The configuration as its file has it now. */
  readonly readConfig?: () => Promise<Config>
  readonly openController: OpenMachineController
  readonly openPrint: OpenPrint
  readonly preflight: Preflight
  readonly journalObserver?: JournalObserver
}

/** Everything made once. */
export interface Parts {
  readonly config: Config
  readonly ports: CorePorts
  readonly journal: Journal
  readonly time: TrustedTime
  readonly spool: Spool
  readonly machine: Machine
  readonly tasks: TaskGroup
  readonly openJob: OpenJob
  readonly reports: PrintReports
  readonly keys: PrinterKeys
  /** Of parts sealed for this printer: a wipe empties them. */
  readonly directories: readonly string[]
  readonly trust: TrustStore
  readonly grants: GrantStore
  readonly ledger: CommandLedger
  readonly settings: Settings
  readonly signer: LogSigner
}

const STATE_DIRECTORY_MODE = 0o700
/** As the configuration has it where it names none. */
const STOCK_BAUD = 115_200

/** @throws CoreError JOURNAL_*, SPOOL_IO, KEYS_*, TRUST_ROLLBACK */
export async function prepareParts(
  config: Config,
  ports: CorePorts,
  stack: AsyncDisposableStack,
  signal: AbortSignal,
): Promise<Parts> {
  const { clock, log } = ports
  const { stateDirectory, printer } = config
  await mkdir(stateDirectory, { recursive: true, mode: STATE_DIRECTORY_MODE })
  const journal = new Journal({
    path: join(stateDirectory, 'journal.sqlite'),
    stamp: () => time.now(),
    observer: ports.journalObserver,
    bootId: await readBootId(),
  })
  stack.use(journal)
  const floorMs = journal.floor('trusted-time')
  const { buildAtMs, isClockSynchronised: isSynchronised = isFollowingTimeServer } = ports
  const isRaised = () => existsSync(RAISED_MARK)
  const time = createTrustedTime({ clock, buildAtMs, floorMs, isSynchronised, isRaised })
  const ledger = stack.use(new CommandLedger(join(stateDirectory, 'commands.sqlite')))
  const keyFiles = keyFilesOf(config)
  const spoolDirectory = join(stateDirectory, 'spool')
  const grantDirectory = join(stateDirectory, 'grants')
  const flightDirectory = join(stateDirectory, 'flight')
  const directories = [grantDirectory, flightDirectory]
  await finishWipe({ ledger, journal, keyFiles, directories: [spoolDirectory, ...directories] })
  const isWiped = ledger.isSet('wiped')
  const keys = stack.use(await PrinterKeys.open(keyFiles, { journal, isWiped }))
  stack.defer(() => {
    journal.record({ type: 'core.stopped', message: 'ended in order' })
  })
  const spool = await Spool.open(spoolDirectory, config.spool)
  const records = new FlightRecords(flightDirectory, () => ledger.isSet('held'))
  const machine = new Machine({
    name: config.controllers.find(({ role }) => role === 'motion')?.name ?? 'motion',
    open: ports.openController,
    heaters: {
      hotends: printer.profile.maxTempC.hotend.length,
      hasChamber: printer.profile.maxTempC.chamber > 0,
    },
    idleTimeoutS: Math.round(printer.safety.controllerIdleTimeoutMs / 1000),
    clock,
    journal,
    log,
    keepRecord: entries => records.keep(entries, time.now().atMs, 'motion'),
    cutPower: powerCutOf(printer.safety),
  })
  stack.use(machine)
  const trust = await TrustStore.open({ path: config.trust.bundleFile, journal })
  const facts = factsOf(config, keys, trust)
  const { openPrint } = ports
  const grants = await GrantStore.open(grantDirectory)
  const logKey = await loadLogKey(join(stateDirectory, 'log-key.pem'))
  const signer = createLogSigner(journal, logKey, printer.serial)
  const openJob = createOpenJob({ spool, journal, time, printer: facts, openPrint, grants })
  const tasks = new TaskGroup(signal)
  const { kinematics } = printer
  const motion = config.controllers.find(({ role }) => role === 'motion')
  const baud = motion?.baud ?? STOCK_BAUD
  const windowLines = windowLinesOf(motion?.dialect ?? 'auto')
  const reports = new PrintReports({
    openJob,
    preflight: ports.preflight,
    kinematics,
    baud,
    windowLines,
  })
  const made = { config, ports, journal, time, spool, machine, tasks, openJob, reports }
  const settings = new Settings(config, ledger, ports.readConfig)
  return { ...made, settings, keys, directories, trust, grants, ledger, signer }
}

/** What admission holds a file against, as it is at that moment. */
function factsOf({ printer: { tenant, profile } }: Config, keys: PrinterKeys, trust: TrustStore) {
  return {
    ...{ tenant, profile },
    get printerKey() {
      return keys.printerKey
    },
    get hybridKey() {
      return keys.hybridKey
    },
    get trustBundle() {
      return trust.bytes
    },
  }
}

/** The private keys of this printer: what a wipe destroys. */
function keyFilesOf({ keys, stateDirectory }: Config): PrinterKeyFiles {
  const credentials = process.env.CREDENTIALS_DIRECTORY
  return {
    ...keys,
    kekFile: join(stateDirectory, 'kek'),
    credentialPath: credentials === undefined ? undefined : join(credentials, 'mpfd.kek'),
  }
}

/** random(4): made anew at each boot. */
async function readBootId(): Promise<string | undefined> {
  const text = await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => undefined)
  return text?.trim()
}

/** systemd-timesyncd.service(8): touched at the first synchronisation of this boot. */
function isFollowingTimeServer(): boolean {
  return existsSync('/run/systemd/timesync/synchronized')
}
