/** The whole core before grbl and grblHAL: a sealed part is checked by the controller itself before a use is charged or anything moves. */
import { writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import t, { type Test } from 'tap'
import { type DialectName, parseFaults, startSimulatedMarlin } from '#drivers'
import { startCore } from '../../firmware/core/core.ts'
import { deskPrinter, desktopPorts, openerAt, seal, untilEvent } from '../fakes/core-printer.ts'

const BOARDS: readonly DialectName[] = ['grbl', 'grblhal']
const MOVES = Array.from({ length: 600 }, (_, i) => `G1 X${i % 89} Y${i % 97} F3000`)
/** Allowed by printer and policy, and no word of a machine without a part fan. */
const FAN = 'M106 S255'
const isMove = (line: string) => line.startsWith('G1 X')

/** A printer that rehearses, with `lines` sealed, admitted and started; `atChecked` is told of each move the board has checked. */
async function rehearsing(
  t: Test,
  dialect: DialectName,
  options: {
    readonly lines?: readonly string[]
    readonly faults?: string
    readonly atChecked?: (count: number) => void
  } = {},
) {
  const printer = await deskPrinter()
  t.teardown(() => printer[Symbol.asyncDispose]())
  const executed: string[] = []
  const checked: string[] = []
  const board = startSimulatedMarlin({
    ...{ dialect, speed: 1_000_000, linkPath: join(printer.directory, 'by-path') },
    ...(options.faults && { faults: parseFaults(options.faults) }),
    onExecuted: text => executed.push(text),
    onChecked: text => {
      checked.push(text)
      if (isMove(text)) options.atChecked?.(checked.filter(isMove).length)
    },
  })
  t.teardown(() => board[Symbol.asyncDispose]())
  const config = {
    ...printer.config,
    printer: { ...printer.config.printer, scripts: { ...SCRIPTS, start: ['G21', 'G90'] } },
    controllers: printer.config.controllers.map(one => ({ ...one, dialect, rehearse: true })),
  }
  const opener = openerAt({ dialect, port: board.port })
  const core = await startCore(config, desktopPorts(opener), new AbortController().signal)
  t.teardown(() => core[Symbol.asyncDispose]())
  const { journal } = core
  const text = `${(options.lines ?? MOVES).join('\n')}\n`
  await writeFile(join(printer.stick, 'part.mpf'), await seal(printer, text, { maxUses: 1 }))
  await untilEvent(journal, ({ type }) => type === 'printer.connected')
  const { job } = await untilEvent(journal, ({ type }) => /admitted|refused/.test(type))
  const until = (type: RegExp) => untilEvent(journal, event => type.test(event.type))
  return { core, board, config, executed, checked, until, job: job ?? '' }
}

const SCRIPTS = { pause: [], resume: [], cancel: [], abnormalEnd: [], recover: [] }

const ENDS = /job\.(?:done|failed|interrupted|rehearsal_failed|cancelled)/

// Mostly waits for ports: several at once.
t.jobs = 2
const AT_ONCE = { buffered: true, jobs: 4 }

for (const dialect of BOARDS)
  t.test(dialect, AT_ONCE, async t => {
    t.test('a good program is checked whole, then printed exactly once', AT_ONCE, async t => {
      const { core, executed, checked, until, job } = await rehearsing(t, dialect)
      t.match(await core.engine.start(job), { state: 'ready', use: null })
      const end = await until(ENDS)
      t.match(end, { type: 'job.done', code: null }, end.message)
      t.strictSame(checked.slice(0, 2), ['G21', 'G90'])
      t.strictSame(checked.filter(isMove), MOVES)
      t.strictSame(executed.filter(isMove), MOVES)
      t.match(core.journal.job(job), { state: 'done', use: 1 })
      const rehearsed = await until(/job\.rehearsed/)
      t.match(rehearsed.detail, { lines: 600, lastLine: 600 })
      const told = core.journal.events(0, 99).map(({ type }) => type)
      t.notOk(told.includes('printer.lost'), 'its reset is none')
      t.notOk(told.includes('printer.suspicious'))
    })

    t.test('a word this firmware does not have refuses the job at its line', AT_ONCE, async t => {
      const lines = MOVES.with(299, FAN)
      const { core, executed, until, job } = await rehearsing(t, dialect, { lines })
      await core.engine.start(job)
      const end = await until(ENDS)
      t.match(end, {
        ...{ type: 'job.rehearsal_failed', code: 'PRINTER_REFUSED_PROGRAM' },
        ...{ message: /^line 300: error:20/, detail: { line: 300 } },
      })
      t.match(core.journal.job(job), { state: 'refused', use: null })
      t.strictSame(executed.filter(isMove), [])
      t.equal(core.machine.isConnected, true)
    })

    t.test('cancelled in the middle it leaves nothing behind', AT_ONCE, async t => {
      const half = Promise.withResolvers<void>()
      const atChecked = (count: number) => count === 200 && half.resolve()
      const { core, executed, job } = await rehearsing(t, dialect, { atChecked })
      await core.engine.start(job)
      await half.promise
      t.match(await core.engine.cancel(undefined), { state: 'cancelled', use: null })
      t.strictSame(executed.filter(isMove), [])
      t.equal(core.machine.isConnected, true)
    })

    t.test('a cable pulled in it costs nothing: the job is started again', AT_ONCE, async t => {
      const half = Promise.withResolvers<void>()
      const atChecked = (count: number) => count === 200 && half.resolve()
      const { core, board, executed, until, job } = await rehearsing(t, dialect, { atChecked })
      await core.engine.start(job)
      await half.promise
      board.inflict('bump')
      t.match(await until(ENDS), { type: 'job.rehearsal_failed', code: 'DRIVER_PORT_LOST' })
      t.match(core.journal.job(job), { state: 'ready', code: null, use: null })
      let times = 0
      await untilEvent(core.journal, ({ type }) => type === 'printer.connected' && ++times === 2)
      t.strictSame(executed.filter(isMove), [])
      await core.engine.start(job)
      await until(/job\.done/)
      t.strictSame(executed.filter(isMove), MOVES)
      t.match(core.journal.job(job), { state: 'done', use: 1 })
    })

    t.test('over a line that damages answers it is exact, or says why not', AT_ONCE, async t => {
      const faults = 'seed=3,flip-out=0.001'
      const { core, executed, checked, until, job } = await rehearsing(t, dialect, { faults })
      await core.engine.start(job)
      const end = await until(ENDS)
      t.comment(`${end.type} ${end.code ?? ''}: ${end.message}`)
      if (end.type === 'job.rehearsal_failed') {
        t.strictSame(executed.filter(isMove), [])
        return
      }
      t.strictSame(checked.filter(isMove), MOVES)
      t.strictSame(executed.filter(isMove), MOVES.slice(0, executed.filter(isMove).length))
      if (end.type === 'job.done') t.equal(executed.filter(isMove).length, MOVES.length)
      else t.match(end.code, /^DRIVER_/)
    })
  })

t.test('who watches sees the rehearsal, and that it is not a print yet', AT_ONCE, async t => {
  const seen = Promise.withResolvers<unknown>()
  const { core, board, config, job, until } = await rehearsing(t, 'grbl', {
    atChecked: count => count === 200 && board.inflict('silence'),
  })
  const socket = connect(config.control.socket)
  t.teardown(() => socket.destroy())
  createInterface({ input: socket }).on('line', line => {
    const { method, params } = JSON.parse(line)
    const progress = method === 'progress' && params.job?.progress
    if (progress && progress.phase === 'rehearsing' && progress.line > 0) seen.resolve(params)
  })
  socket.write('{"jsonrpc":"2.0","id":1,"method":"watch","params":{}}\n')
  await core.engine.start(job)
  t.match(await seen.promise, { state: 'printing', job: { state: 'ready', use: null } })
  board.inflict('unplug')
  t.match(await until(ENDS), { type: 'job.rehearsal_failed', code: 'DRIVER_PORT_LOST' })
})
