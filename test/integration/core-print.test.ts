import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { type SimulatedMarlin, startSimulatedMarlin } from '#drivers'
import { type Core, startCore } from '../../firmware/core/core.ts'
import type { OpenMachineController } from '../../firmware/core/engine/machine-options.ts'
import {
  deskPrinter,
  desktopPorts,
  openerAt,
  program,
  seal,
  untilEvent,
} from '../fakes/core-printer.ts'

function marlinAt(port: string, tuning: { silenceMs?: number } = {}): OpenMachineController {
  return openerAt({ dialect: 'marlin', port, tuning })
}

t.test(
  'prints a sealed file from a stick, line by acknowledged line, exactly as sealed',
  async t => {
    await using printer = await deskPrinter()
    const executed: string[] = []
    await using board = startSimulatedMarlin({
      speed: 10_000,
      onExecuted: text => executed.push(text),
    })
    const ending = new AbortController()
    await using core = await startCore(
      printer.config,
      desktopPorts(marlinAt(board.port)),
      ending.signal,
    )
    const text = program(1500)
    await writeFile(join(printer.stick, 'Bracket.MPF'), await seal(printer, text, { maxUses: 2 }))
    await untilEvent(core.journal, ({ type }) => type === 'printer.connected')
    const decided = await untilEvent(core.journal, ({ type }) => /admitted|refused/.test(type))
    t.match(decided, { type: 'job.admitted', code: null })
    const [ready] = core.journal.jobs(['ready'])
    executed.length = 0
    const started = await core.engine.start(ready?.id ?? '')
    t.match(started, { state: 'printing', use: 1, usesGranted: 2, title: 'bracket' })
    const end = await untilEvent(core.journal, ({ type }) => /job\.(done|failed)/.test(type))
    t.match(end, { type: 'job.done' })
    const commands = text.split('\n').filter(line => line !== '' && !line.startsWith(';'))
    const printed = executed.filter(line => !/^M(400|114|105|155|118|220|221|86)/.test(line))
    t.strictSame(printed, [...commands, 'M104 S0', 'M140 S0', 'M107'], 'and the end script')
    for (const name of await readdir(printer.config.stateDirectory, { recursive: true })) {
      const bytes = await readFile(join(printer.config.stateDirectory, name)).catch(() => undefined)
      t.notOk(bytes?.includes('G1 X'), `no plaintext in ${name}`)
    }
    const verdict = await core.journal.verifyEvents(ending.signal)
    t.match(verdict, { isIntact: true, brokenAt: null })
  },
)

interface Setup extends AsyncDisposable {
  readonly core: Core
  readonly board: SimulatedMarlin
  readonly executed: string[]
  readonly id: string
}

/** A job is ready and the board, `speed` times faster than a real one, is connected. */
async function readyPrint(text: string, speed: number, silenceMs = 600): Promise<Setup> {
  await using stack = new AsyncDisposableStack()
  const printer = stack.use(await deskPrinter())
  const executed: string[] = []
  const board = stack.use(startSimulatedMarlin({ speed, onExecuted: text => executed.push(text) }))
  const ending = new AbortController()
  const opener = marlinAt(board.port, { silenceMs })
  const core = stack.use(await startCore(printer.config, desktopPorts(opener), ending.signal))
  await writeFile(join(printer.stick, 'part.mpf'), await seal(printer, text))
  await untilEvent(core.journal, ({ type }) => type === 'printer.connected')
  const { job } = await untilEvent(core.journal, ({ type }) => type === 'job.admitted')
  const lifetime = stack.move()
  return {
    core,
    board,
    executed,
    id: job ?? '',
    [Symbol.asyncDispose]: () => lifetime.disposeAsync(),
  }
}

function ended({ core }: Setup): ReturnType<typeof untilEvent> {
  return untilEvent(core.journal, ({ type }) =>
    /job\.(done|failed|cancelled|interrupted)/.test(type),
  )
}

async function untilPrinted(setup: Setup, lines: number): Promise<void> {
  const isFar = () => setup.executed.filter(text => text.startsWith('G1 X')).length >= lines
  while (!isFar()) await new Promise(resolve => setImmediate(resolve))
}

t.test('a spooled file that changed after its admission prints nothing', async t => {
  await using setup = await readyPrint(program(50), 10_000)
  const { core, executed, id } = setup
  const path = core.spool.pathOf(id)
  const bytes = await readFile(path)
  bytes[bytes.length - 50] = (bytes[bytes.length - 50] ?? 0) ^ 1
  await writeFile(path, bytes)
  await core.engine.start(id)
  t.match(await ended(setup), { type: 'job.failed', code: 'MPF_CHANGED_MEDIA' })
  t.strictSame(
    executed.filter(text => text.startsWith('G')),
    [],
    'no motion',
  )
})

for (const [fault, code, state] of [
  ['unplug', 'DRIVER_PORT_LOST', 'interrupted'],
  ['silence', 'DRIVER_SILENT', 'interrupted'],
  ['kill', 'DRIVER_HALTED', 'failed'],
  ['reset', 'DRIVER_RESET', 'interrupted'],
] as const)
  t.test(`a print whose controller has the fault ${fault} is ${state} with ${code}`, async t => {
    await using setup = await readyPrint(program(3000), 200)
    await setup.core.engine.start(setup.id)
    await untilPrinted(setup, 20)
    setup.board.inflict(fault)
    t.match(await ended(setup), { type: `job.${state}`, code })
    t.equal(setup.core.journal.job(setup.id).ackedLine > 0, true)
    t.match(setup.core.journal.job(setup.id), { state, use: 1 })
  })

t.test('pauses, resumes and ends where the program ends', async t => {
  await using setup = await readyPrint(program(400), 500)
  const { core, executed, id } = setup
  await core.engine.start(id)
  await untilPrinted(setup, 50)
  t.match(await core.engine.pause(), { state: 'paused' })
  const atPause = executed.length
  t.strictSame(executed.slice(-3), ['G91', 'G1 Z5 F600', 'G90'])
  await new Promise(resolve => setImmediate(resolve))
  t.equal(executed.length, atPause, 'nothing moves')
  t.match(await core.engine.resume(), { state: 'printing' })
  t.match(await ended(setup), { type: 'job.done' })
  t.match(executed.slice(atPause).join('\n'), /G90\nG1 X.* F6000\nG1 Z.* F600\n.*G92 E/s)
  const moves = executed.filter(text => /^G1 X\d+ Y\d+ E/.test(text))
  t.equal(moves.length, 400)
})

t.test('ends a print safely when the core is told to end', async t => {
  const setup = await readyPrint(program(3000), 200)
  await setup.core.engine.start(setup.id)
  await untilPrinted(setup, 20)
  const failed = ended(setup)
  await setup[Symbol.asyncDispose]()
  t.match(await failed, { type: 'job.interrupted', code: 'JOB_INTERRUPTED' })
  t.ok(setup.executed.includes('M84'), 'the abnormal-end script was executed')
})

t.test('cancelling does not wait for the heat', async t => {
  const text = `G92 E0\nM109 S270\n${program(5)}`
  await using setup = await readyPrint(text, 2, 6_000)
  const { core, board } = setup
  await core.engine.start(setup.id)
  while (!board.summary().isHeating) await new Promise(resolve => setImmediate(resolve))
  t.match(await core.engine.cancel(undefined), { state: 'cancelled', code: 'JOB_CANCELLED' })
  t.equal(board.summary().isHeating, false)
  t.ok(board.summary().maxHotendC < 260, 'long before it was hot')
})

t.test(
  'a print whose controller restarted goes on above the part, and every line was executed',
  async t => {
    await using setup = await readyPrint(program(1500), 500)
    const { core, executed, id } = setup
    await core.engine.start(id)
    await untilPrinted(setup, 200)
    setup.board.inflict('reset')
    await untilEvent(core.journal, ({ type }) => type === 'job.interrupted')
    while (!core.machine.isConnected) await new Promise(resolve => setImmediate(resolve))
    const before = executed.length
    t.match(await core.engine.resume(), { state: 'printing', use: 1 })
    await untilEvent(core.journal, ({ type }) => /job\.(done|failed)/.test(type))
    t.match(core.journal.job(id), { state: 'done', use: 1 })
    const after = executed.slice(before)
    t.notOk(
      after.some(line => /^G28(?! X Y)/.test(line)),
      'Z was never homed',
    )
    const done = new Set(executed)
    const missing = program(1500)
      .split('\n')
      .filter(line => line !== '' && !line.startsWith(';') && !done.has(line))
    t.strictSame(missing, [])
  },
)

t.test(
  'a cable that is bumped costs nothing: the port comes back and the print goes on',
  async t => {
    await using printer = await deskPrinter()
    const executed: string[] = []
    await using board = startSimulatedMarlin({
      speed: 500,
      linkPath: join(printer.directory, 'by-path'),
      onExecuted: text => executed.push(text),
    })
    const opener = openerAt({ dialect: 'marlin', port: board.port, reattachWithinMs: 20_000 })
    await using core = await startCore(
      printer.config,
      desktopPorts(opener),
      new AbortController().signal,
    )
    await writeFile(join(printer.stick, 'part.mpf'), await seal(printer, program(600)))
    await untilEvent(core.journal, ({ type }) => type === 'printer.connected')
    const { job } = await untilEvent(core.journal, ({ type }) => type === 'job.admitted')
    await core.engine.start(job ?? '')
    const moves = () => executed.filter(text => /^G1 X\d+ Y\d+ E/.test(text))
    while (moves().length < 100) await new Promise(resolve => setImmediate(resolve))
    board.inflict('bump')
    await untilEvent(core.journal, ({ type }) => type === 'printer.reattached')
    const end = await untilEvent(core.journal, ({ type }) =>
      /job\.(done|failed|interrupted)/.test(type),
    )
    t.match(end, { type: 'job.done', detail: { reattachments: 1 } })
    const sealed = program(600)
      .split('\n')
      .filter(line => /^G1 X\d+ Y\d+ E/.test(line))
    t.strictSame(moves(), sealed, 'every line once')
  },
)
