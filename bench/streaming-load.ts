/** Rows S4 and S5: a print while the courier drains a long log and a release is unpacked, beside the same print alone. */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { zstdDecompressSync } from 'node:zlib'
import { Journal } from '../firmware/core/journal/journal.ts'
import { fleet, type Printer } from '../test/fakes/cloud-bench.ts'
import { hasMosquitto } from '../test/fakes/cloud-broker.ts'
import {
  OutboxView,
  startCourierProcess,
  startIngestProcess,
} from '../test/fakes/link-processes.ts'
import { sharedPath } from '../test/shared.ts'
import { ConnectedPrinter } from './connected-printer.ts'
import { prioritise } from './priorities.ts'
import { type BenchContext, median, type Row } from './row.ts'

const ROOT = join(import.meta.dirname, '..')
const PROGRAM = 'gcode/bracket.gcode.zst'
const BAUD = 250_000
/** Machine seconds in one second: twenty lines a second become two hundred, a third of what the wire carries. */
const SPEED = 10
const WINDOW_S = 30
const EVENTS = 100_000
const S4_OWED_MS = { p50: 0.2, p999: 2 } as const

interface Measured {
  readonly p50: number
  readonly p999: number
  readonly starvations: number
  readonly drained: number
}

export async function* loadRows(context: BenchContext): AsyncGenerator<Row, void, void> {
  const shared = sharedPath(PROGRAM)
  if (shared === undefined) {
    context.say('streaming: the shared part is absent: rows S4 and S5 are not measured')
    return
  }
  const gcode = join(context.directory, 'bracket.gcode')
  await writeFile(gcode, zstdDecompressSync(await readFile(shared)))
  context.say(`recording ${EVENTS} events`)
  const journal = join(context.directory, 'full-journal.sqlite')
  fillJournal(journal)
  const [alone, loaded]: [Measured[], Measured[]] = [[], []]
  for (let run = 0; run < context.runs; run++) {
    alone.push(await measure(context, gcode, undefined))
    loaded.push(await measure(context, gcode, journal))
    context.say(`S4 run ${run + 1}: alone ${shown(alone.at(-1))}, loaded ${shown(loaded.at(-1))}`)
  }
  const of = (runs: readonly Measured[], pick: (one: Measured) => number) => median(runs.map(pick))
  const [p50, p999] = [of(loaded, run => run.p50), of(loaded, run => run.p999)]
  const note = `${WINDOW_S} s at ${SPEED} times the machine's pace; courier draining ${EVENTS} events (${of(loaded, run => run.drained)} acknowledged), tar unpacking a release in a loop; priorities as the units give them; broker and fleet end on the same two cores`
  yield {
    id: 'S4',
    what: 'ok -> next write while the courier drains 100 k events and a release is unpacked',
    peer: 'the same print alone',
    ratio: p999 / of(alone, run => run.p999),
    figure: `p50 ${p50} ms, p99.9 ${p999} ms; alone ${of(alone, run => run.p50)} / ${of(alone, run => run.p999)} ms`,
    owed: `<= ${S4_OWED_MS.p50} / ${S4_OWED_MS.p999} ms`,
    isMet: p50 <= S4_OWED_MS.p50 && p999 <= S4_OWED_MS.p999,
    note,
  }
  const starved = of(loaded, run => run.starvations)
  const forced = of(alone, run => run.starvations)
  yield {
    id: 'S5',
    what: `planner starvations of \`bracket\` at ${BAUD} baud under the same load`,
    peer: 'the same print alone',
    ratio: undefined,
    figure: `${starved} in ${(WINDOW_S * SPEED) / 60} machine minutes, alone ${forced}`,
    owed: '0 beyond what the wire forces',
    isMet: starved <= forced,
    note,
  }
}

function shown(run: Measured | undefined): string {
  return run ? `${run.p50} / ${run.p999} ms, ${run.starvations} starvations` : ''
}

function fillJournal(path: string): void {
  using journal = new Journal({ path, stamp: () => ({ atMs: Date.now(), quality: 'rtc' }) })
  for (let i = 0; i < EVENTS; i++) journal.record({ type: 'job.received', message: 'bench' })
}

async function measure(
  context: BenchContext,
  gcode: string,
  journal: string | undefined,
): Promise<Measured> {
  await using stack = new AsyncDisposableStack()
  const on = stack.use(await fleet(hasMosquitto ? 'mosquitto' : 'aedes'))
  const place = { speed: SPEED, baud: BAUD, journal, programs: context.programs }
  const printing = stack.use(await ConnectedPrinter.start(on, place))
  await printing.print(gcode)
  if (journal !== undefined) {
    const beside = [
      stack.use(startIngestProcess(on)),
      stack.use(startCourierProcess(printing.desk, context.programs)),
    ]
    for (const { pid } of beside) prioritise(pid, 'mpfd-cloud')
    stack.use(unpackForever(context, on.directory))
  }
  await sleep(WINDOW_S * 1000)
  const { link } = (await printing.status()).controllers[0] ?? {}
  const drained = journal === undefined ? 0 : ackedOf(printing.desk)
  const { starvations } = await printing.board.end([])
  const { p50, p999 } = link?.okToNextMs ?? {}
  return { p50: p50 ?? Number.NaN, p999: p999 ?? Number.NaN, starvations, drained }
}

function ackedOf(desk: Printer): number {
  using outbox = new OutboxView(desk)
  return outbox.of('evt').acked
}

/** Stands for an update: a release's files written and synced, as the unit of an updater would be, behind a print. */
function unpackForever(context: BenchContext, directory: string): AsyncDisposable {
  const into = join(directory, 'release')
  const script = `mkdir -p ${into}; while :; do tar c -C ${join(ROOT, 'node_modules')} node typescript | tar x -C ${into}; sync; done`
  const child = spawn('nice', ['-n', '10', 'sh', '-c', script], { detached: true, stdio: 'ignore' })
  context.say('unpacking a release in a loop')
  return {
    async [Symbol.asyncDispose]() {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
    },
  }
}
