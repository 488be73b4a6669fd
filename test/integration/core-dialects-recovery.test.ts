/** One body over every dialect: the cable comes back to a board that ran on, and to one that restarted; the print goes on, or says why it cannot. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { type DialectName, startSimulatedMarlin } from '#drivers'
import { DIALECT_NAMES } from '../../drivers/dialect.ts'
import { startCore } from '../../firmware/core/core.ts'
import { deskPrinter, desktopPorts, openerAt, seal, untilEvent } from '../fakes/core-printer.ts'

/** Words every dialect has: layers of a hundred moves, each line unlike all others. */
const LINES = ['G28', 'G90', 'G1 Z0.2 F1200']
for (let i = 0; i < 600; i++) {
  if (i > 0 && i % 100 === 0) LINES.push(';LAYER_CHANGE', `G1 Z${(0.2 + i / 500).toFixed(2)} F1200`)
  LINES.push(`G1 X${(10 + i * 0.1).toFixed(1)} Y${(10 + (i % 89)).toFixed(1)} F3000`)
}
const isMove = (line: string) => /^G1 X\S+ Y\S+ F3000/.test(line)
const MOVES = LINES.filter(isMove)

/** Without line numbers, or with a host behind the terminal, nobody can say on the wire what arrived: the core asks for the place instead. */
const GOES_ON_ON_THE_WIRE: ReadonlySet<DialectName> = new Set([
  ...(['marlin', 'prusa', 'buddy', 'smoothie', 'reprap'] as const),
])

async function printing(t: Test, dialect: DialectName) {
  const printer = await deskPrinter()
  t.teardown(() => printer[Symbol.asyncDispose]())
  const executed: string[] = []
  const underWay = Promise.withResolvers<void>()
  const board = startSimulatedMarlin({
    dialect,
    speed: 200,
    linkPath: join(printer.directory, 'by-path'),
    onExecuted: text => {
      executed.push(text)
      if (executed.filter(isMove).length === 250) underWay.resolve()
    },
  })
  t.teardown(() => board[Symbol.asyncDispose]())
  const opener = openerAt({ dialect, port: board.port, reattachWithinMs: 20_000 })
  const core = await startCore(printer.config, desktopPorts(opener), new AbortController().signal)
  t.teardown(() => core[Symbol.asyncDispose]())
  await writeFile(join(printer.stick, 'part.mpf'), await seal(printer, `${LINES.join('\n')}\n`))
  await untilEvent(core.journal, ({ type }) => type === 'printer.connected')
  const { job } = await untilEvent(core.journal, ({ type }) => /admitted|refused/.test(type))
  await core.engine.start(job ?? '')
  await underWay.promise
  return { core, board, executed, job: job ?? '' }
}

type Core = Awaited<ReturnType<typeof printing>>['core']

function untilAgain({ journal }: Core, type: string): Promise<unknown> {
  let times = 0
  return untilEvent(journal, event => event.type === type && ++times === 2)
}

// Mostly waits for ports: several at once.
t.jobs = 4
const AT_ONCE = { buffered: true }

const ENDS = /job\.(?:done|failed|interrupted)/

for (const dialect of DIALECT_NAMES) {
  t.test(
    `${dialect}: a cable out for a moment, the board ran on: each move once`,
    AT_ONCE,
    async t => {
      const { core, board, executed } = await printing(t, dialect)
      board.inflict('bump')
      let end = await untilEvent(core.journal, ({ type }) => ENDS.test(type))
      if (!GOES_ON_ON_THE_WIRE.has(dialect)) {
        t.match(end, { type: 'job.interrupted', code: 'DRIVER_PORT_LOST' })
        await untilAgain(core, 'printer.connected')
        await core.engine.resume()
        const continued = await untilEvent(core.journal, ({ type }) => type === 'job.continued')
        t.match(continued.detail, { isExact: true, isPositionKept: true })
        const { sequence: after } = continued
        end = await untilEvent(core.journal, e => e.sequence > after && ENDS.test(e.type))
      }
      t.match(end, { type: 'job.done', code: null }, end.message)
      t.strictSame(executed.filter(isMove), MOVES)
    },
  )

  t.test(
    `${dialect}: a restart is told, and the print goes on above the part`,
    AT_ONCE,
    async t => {
      const { core, board, executed, job } = await printing(t, dialect)
      board.inflict('reset')
      const end = await untilEvent(core.journal, ({ type }) => ENDS.test(type))
      t.match(end, { type: 'job.interrupted', code: 'DRIVER_RESET' }, end.message)
      await untilAgain(core, 'printer.connected')
      const before = executed.length
      if (dialect.startsWith('grbl')) {
        await t.rejects(core.engine.resume(), { code: 'JOB_NOT_RESUMABLE' })
        t.match(core.journal.job(job), { state: 'interrupted', use: 1 })
        return
      }
      await core.engine.resume()
      const { sequence: after } = end
      const last = await untilEvent(core.journal, e => e.sequence > after && ENDS.test(e.type))
      t.match(last, { type: 'job.done', code: null }, last.message)
      t.notOk(
        executed.slice(before).some(line => /^G28(?! X Y)/.test(line)),
        'Z was never homed',
      )
      const done = new Set(executed)
      t.strictSame(
        MOVES.filter(line => !done.has(line)),
        [],
      )
    },
  )
}
