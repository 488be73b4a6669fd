/** The print engine on a bench: real journal and spool, fake controller, a program given as text, a clock that stands still. */
import { mkdtempSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { FlightEntry } from '#drivers'
import { createLogger } from '#lib/logger.ts'
import { MODAL_BIT, type ModalState } from '#mpf'
import type { OpenedPrint } from '../../firmware/core/admission/opened-print.ts'
import { Machine } from '../../firmware/core/engine/machine.ts'
import { PrintEngine } from '../../firmware/core/engine/print-engine.ts'
import type { PrintScripts } from '../../firmware/core/engine/scripts.ts'
import type { JournalObserver } from '../../firmware/core/journal/database.ts'
import { Journal } from '../../firmware/core/journal/journal.ts'
import { Spool } from '../../firmware/core/spool.ts'
import { type FakeClock, fakeClock } from './core-clock.ts'
import { alone, type FakeController, fakeController } from './core-controller.ts'

const NO_SCRIPTS: PrintScripts = {
  start: [],
  pause: [],
  resume: [],
  end: [],
  cancel: [],
  recover: [],
  abnormalEnd: [],
}

/** Homed and known, at the height of the bench's first layer. */
const STANDING: ModalState = {
  ...{ xNm: 7e6, yNm: 8e6, zNm: 0.2e6, eNm: 1.5e6, feedUmPerMin: 1_500_000 },
  ...{ hotendDeciC: [2100, 0, 0, 0], bedDeciC: 0, chamberDeciC: 0, fan: 0, tool: 0 },
  ...{ bits: MODAL_BIT.knownX | MODAL_BIT.knownY | MODAL_BIT.knownZ, flowPercent: 100 },
}

export interface Bench extends AsyncDisposable {
  readonly home: string
  readonly clock: FakeClock
  readonly journal: Journal
  readonly spool: Spool
  readonly machine: Machine
  readonly controller: FakeController
  readonly engine: PrintEngine
  /** Block texts handed out, to look at after they should have been zeroed. */
  readonly handedOut: Uint8Array[]
  /** Jobs whose file the engine said is no longer needed. */
  readonly ended: string[]
  readonly onInterruption: 'fail' | 'ask'
  /** Makes another job ready. */
  addJob(id: string): void
  types(): readonly string[]
  /** Resolves when no print runs any more. */
  finished(): Promise<void>
}

export interface BenchOptions {
  /** Program text by block. */
  readonly blocks: readonly string[]
  /** Thrown when block `at` is opened for printing. */
  readonly fault?: { readonly at: number; readonly error: Error }
  /** Thrown when the job is opened at its start. */
  readonly openFault?: () => Error | undefined
  readonly scripts?: Partial<PrintScripts>
  readonly usesGranted?: number
  readonly manifestDigest?: string
  readonly journalObserver?: JournalObserver
  readonly isRehearsed?: boolean
  readonly onInterruption?: 'fail' | 'ask'
  readonly bootId?: string
  readonly cutPower?: () => void
  readonly keepRecord?: (entries: readonly FlightEntry[]) => Promise<string>
  readonly expectStartAllowed?: () => void
  /** The state directory's parent: a bench at the same place is the next life of the first. */
  readonly home?: string
  /** Where the program stands after a line. */
  readonly modal?: Partial<ModalState>
  /** The line at whose end the controller says that it stands. */
  readonly standingLine?: number
}

/** A program of two layers, by block. */
const BLOCKS = [
  'G28\nG90\nM82\nM104 S210\nG1 Z0.2 F600\n',
  ';LAYER\nG1 X1 E1 F1500\nG1 X2 E2\nM104 S0\n',
]
/** Its commands. */
export const COMMANDS = BLOCKS.join('')
  .split('\n')
  .filter(line => line !== '' && !line.startsWith(';'))
/** What the engine says by itself before a print, and whenever the machine must be safe. */
export const PREPARED = ['M220 S100', 'M221 S100', 'M86 S1800']
export const OFF = ['M104 S0', 'M140 S0', 'M107']

/** A bench with that program. */
export function twoLayers(directory: string, options: Partial<BenchOptions> = {}): Promise<Bench> {
  return engineBench(directory, { blocks: BLOCKS, ...options })
}

/** One job, `aa`, is ready; the controller is connected. */
export async function engineBench(directory: string, options: BenchOptions): Promise<Bench> {
  const home = options.home ?? mkdtempSync(join(directory, 'bench-'))
  const onInterruption = options.onInterruption ?? 'fail'
  const clock = fakeClock()
  const handedOut: Uint8Array[] = []
  const ended: string[] = []
  const journal = new Journal({
    path: join(home, 'journal'),
    stamp: () => ({ atMs: clock.wallMs(), quality: 'rtc' }),
    observer: options.journalObserver,
    bootId: options.bootId,
  })
  const limits = { maxBytes: 1 << 20, maxFileBytes: 1 << 20, reserveBytes: 0 }
  const spool = await Spool.open(join(home, 'spool'), limits)
  const controller = fakeController()
  const machine = new Machine({
    name: 'motion',
    open: async onEvent => {
      controller.onEvent = onEvent
      // Another one each time, as a port opened anew is; what happens to it is seen in `controller`.
      return alone(Object.create(controller))
    },
    heaters: { hotends: 1, hasChamber: false },
    idleTimeoutS: 1800,
    clock,
    journal,
    log: createLogger({ name: 'bench', level: 'silent' }),
    cutPower: options.cutPower,
    ...(options.keepRecord && { keepRecord: options.keepRecord }),
  })
  const connecting = new AbortController()
  const keeping = machine.keepConnected(connecting.signal).catch(() => undefined)
  while (!machine.isConnected) await new Promise(resolve => setImmediate(resolve))
  if (!journal.hasJob('aa')) addReadyJob(journal, spool, 'aa', options.usesGranted ?? 1)
  const running: Promise<void>[] = []
  const engine = new PrintEngine({
    journal,
    machine,
    clock,
    scripts: { ...NO_SCRIPTS, ...options.scripts },
    isRehearsed: options.isRehearsed ?? false,
    onInterruption,
    heightMm: 210,
    ...(options.expectStartAllowed && { expectStartAllowed: options.expectStartAllowed }),
    openJob: async id => {
      const fault = options.openFault?.()
      if (fault) throw fault
      const print = printOf(options, handedOut)
      const source = await spool.open(id)
      return {
        print,
        source,
        context: undefined as never,
        [Symbol.asyncDispose]: () => source[Symbol.asyncDispose](),
      }
    },
    onChange: () => undefined,
    onEnded: id => ended.push(id),
    keep: promise => {
      running.push(promise)
      promise.catch(() => undefined)
    },
  })
  return {
    clock,
    journal,
    spool,
    machine,
    controller,
    engine,
    handedOut,
    ended,
    home,
    onInterruption,
    finished: async () => void (await Promise.all(running)),
    addJob: id => addReadyJob(journal, spool, id, options.usesGranted ?? 1),
    types: () => journal.events(0, 1000).map(({ type }) => type),
    async [Symbol.asyncDispose]() {
      controller.allow()
      await engine.close().catch(() => undefined)
      connecting.abort()
      await keeping
      journal[Symbol.dispose]()
    },
  }
}

export function addReadyJob(journal: Journal, spool: Spool, id: string, usesGranted: number): void {
  writeFileSync(spool.pathOf(id), 'sealed')
  journal.receive(
    { id, name: `${id}.mpf`, origin: 'usb', sizeBytes: 6, sha256: id },
    { type: 'job.received', job: id, message: 'copied' },
  )
  journal.admit(
    id,
    {
      fileId: 'file',
      manifestDigest: 'digest',
      title: 'part',
      grantId: 'grant',
      usesGranted,
      lines: 10,
      layers: 2,
    },
    [],
  )
}

function printOf(options: BenchOptions, handedOut: Uint8Array[]): OpenedPrint {
  return {
    facts: {
      fileId: 'file',
      manifestDigest: options.manifestDigest ?? 'digest',
      title: 'part',
      lines: options.blocks.join('').split('\n').length - 1,
      layers: 2,
      estimatedS: 90,
      revision: 1,
      signedAtMs: 0,
      grant: { id: 'grant', usesGranted: options.usesGranted ?? 1, epoch: 0 },
    },
    get program(): never {
      throw new Error('a fake print has no sealed program')
    },
    async *blocks(signal) {
      let line = 0
      for (const [index, block] of options.blocks.entries()) {
        signal.throwIfAborted()
        if (options.fault?.at === index) throw options.fault.error
        const text = Buffer.from(block)
        handedOut.push(text)
        const commands = block
          .trimEnd()
          .split('\n')
          .map(text => ({ line: ++line, text, layer: index + 1 }))
          .filter(({ text }) => !text.startsWith(';'))
          .values()
        yield { text, commands: () => ({ next: () => commands.next().value }) }
      }
    },
    resumePoint: async (line, backOff) => ({
      line: Math.max(line - backOff, 1),
      modal: { ...STANDING, ...options.modal },
    }),
    standingLine: async () => options.standingLine,
    [Symbol.dispose]: () => undefined,
  }
}
