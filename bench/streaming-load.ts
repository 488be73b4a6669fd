/** Rows S4 and S5: a print while the courier drains a long log and a release is unpacked, beside the same print alone. */

import { execFileSync, spawn } from 'node:child_process'
import { createPublicKey } from 'node:crypto'
import { once } from 'node:events'
import { access, copyFile, mkdir, readFile, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { zstdDecompressSync } from 'node:zlib'
import { z } from 'zod'
import { Journal } from '../firmware/core/journal/journal.ts'
import { type Fleet, fleet, type Printer, printer } from '../test/fakes/cloud-bench.ts'
import { hasMosquitto } from '../test/fakes/cloud-broker.ts'
import {
  OutboxView,
  startCourierProcess,
  startIngestProcess,
} from '../test/fakes/link-processes.ts'
import { sharedPath } from '../test/shared.ts'
import { type BenchContext, median, type Row } from './row.ts'
import { type Board, startBoard } from './streaming-rivals.ts'

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

const statusSchema = z.object({
  result: z.object({
    job: z.object({ state: z.string(), progress: z.object({ line: z.int() }) }).nullable(),
    controllers: z.array(
      z.object({
        link: z
          .object({
            okToNextMs: z.object({ p50: z.number().nullable(), p999: z.number().nullable() }),
          })
          .nullish(),
      }),
    ),
  }),
})

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
  const note = `${WINDOW_S} s at ${SPEED} times the machine's pace; courier draining ${EVENTS} events (${of(loaded, run => run.drained)} acknowledged), tar unpacking a release in a loop; broker and fleet end on the same two cores`
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
  const desk = await printer(on, 'P-1')
  if (journal !== undefined) await copyFile(journal, join(desk.directory, 'state/journal.sqlite'))
  const board = await startBoard(['--speed', `${SPEED}`, '--baud', `${BAUD}`, '--advanced-ok'])
  await prepare(on, desk, board, gcode)
  const core = spawn(join(ROOT, 'bin/mpfd'), ['--config', join(desk.directory, 'config.json')], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  stack.defer(async () => {
    core.kill('SIGKILL')
    if (core.exitCode === null && core.signalCode === null) await once(core, 'exit')
  })
  await untilMoving(desk)
  if (journal !== undefined) {
    stack.use(startIngestProcess(on))
    stack.use(startCourierProcess(desk))
    stack.use(unpackForever(context, on.directory))
  }
  await sleep(WINDOW_S * 1000)
  const { link } = (await status(desk)).controllers[0] ?? {}
  const drained = journal === undefined ? 0 : ackedOf(desk)
  const { starvations } = await board.end([])
  const { p50, p999 } = link?.okToNextMs ?? {}
  return { p50: p50 ?? Number.NaN, p999: p999 ?? Number.NaN, starvations, drained }
}

/** The part sealed by the tenant's own keys, and the core's configuration on this board. */
async function prepare(on: Fleet, desk: Printer, board: Board, gcode: string): Promise<void> {
  const place = (name: string) => join(desk.directory, name)
  const key = (name: string) => join(on.tenant.directory, `keys/${name}.key.pem`)
  await mkdir(place('stick'))
  const own = createPublicKey(await readFile(place('printer-key.pem')))
  await writeFile(place('printer.pub.pem'), own.export({ type: 'spki', format: 'pem' }))
  execFileSync(join(ROOT, 'bin/mpf'), [
    ...['seal', gcode, '--out', place('stick/part.mpf'), '--tenant', on.tenant.id, '--level', '1'],
    ...['--sign', key('publisher'), '--issue', key('issuer'), '--to', place('printer.pub.pem')],
  ])
  const config = JSON.parse(await readFile(place('config.json'), 'utf8'))
  config.controllers = [
    { name: 'motion', role: 'motion', dialect: 'marlin', port: board.port, baud: BAUD },
  ]
  config.usb = { mountDirectories: [place('stick')], autoStart: 'start', pollIntervalMs: 1000 }
  config.log = { level: 'error' }
  await writeFile(place('config.json'), JSON.stringify(config))
}

async function status({ config }: Printer): Promise<z.infer<typeof statusSchema>['result']> {
  const link = connect(config.control.socket)
  link.write(`${JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'status', params: {} })}\n`)
  let text = ''
  for await (const chunk of link) {
    text += chunk
    if (text.endsWith('\n')) break
  }
  return statusSchema.parse(JSON.parse(text)).result
}

/** Homed and hot: the first layer is being printed. */
async function untilMoving(desk: Printer): Promise<void> {
  const { socket } = desk.config.control
  while (
    !(await access(socket).then(
      () => true,
      () => false,
    ))
  )
    await sleep(50)
  while (((await status(desk)).job?.progress.line ?? 0) < 100) await sleep(200)
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
