/** The core is killed in the middle of a print while the board lives on: the next life goes on at the very line, so that every move is made once. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { startSimulatedMarlin } from '#drivers'
import { startCore } from '../../firmware/core/core.ts'
import {
  deskPrinter,
  desktopPorts,
  openerAt,
  program,
  seal,
  untilEvent,
} from '../fakes/core-printer.ts'

const MPFD = join(import.meta.dirname, '../../firmware/core/main.ts')
/** Restoring the place moves without extruding: only the program does both. */
const isOfProgram = (line: string) => /^G1 X\S+ Y\S+ E/.test(line)

t.test('resumed after a SIGKILL, the part has every move exactly once', async t => {
  await using printer = await deskPrinter({ autoStart: 'start' })
  const executed: string[] = []
  const { promise: wellUnderWay, resolve } = Promise.withResolvers<string>()
  const { promise: opened, resolve: onOpened } = Promise.withResolvers<void>()
  await using board = startSimulatedMarlin({
    speed: 50,
    onExecuted: line => {
      executed.push(line)
      // The last word of opening: what is admitted before it is not started by itself.
      if (line.startsWith('M155')) onOpened()
      if (executed.length === 500) resolve('under way')
    },
  })
  const settings = JSON.parse(await readFile(printer.configFile, 'utf8'))
  settings.controllers[0].port = board.port
  await writeFile(printer.configFile, JSON.stringify(settings))
  const text = program(1000)
  const sealed = await seal(printer, text, { maxUses: 1 })
  const mpfd = spawn(process.execPath, [MPFD, '--config', printer.configFile], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  t.teardown(() => mpfd.kill('SIGKILL'))
  const exited = once(mpfd, 'exit')
  await Promise.race([opened, exited])
  await writeFile(join(printer.stick, 'part.mpf'), sealed)
  t.equal(await Promise.race([wellUnderWay, exited.then(() => 'ended')]), 'under way')
  mpfd.kill('SIGKILL')
  await exited

  const ports = desktopPorts(openerAt({ dialect: 'marlin', port: board.port }))
  await using core = await startCore(printer.config, ports, new AbortController().signal)
  const { journal, engine } = core
  const [job] = journal.jobs(['interrupted'])
  t.match(job, { state: 'interrupted', use: 1, message: /at most 5 s/ })
  await writeFile(join(printer.stick, 'another.mpf'), await seal(printer, program(10)))
  const waiting = await untilEvent(journal, ({ type }) => type === 'job.waiting')
  t.match(waiting, { code: 'PRINTER_BUSY', message: /interrupted print/ })
  t.equal(journal.job(waiting.job ?? '').state, 'ready')
  let connections = 0
  await untilEvent(journal, ({ type }) => type === 'printer.connected' && ++connections === 2)
  await engine.resume()
  const continued = await untilEvent(journal, ({ type }) => type === 'job.continued')
  t.match(continued.detail, { isExact: true, isPositionKept: true, use: 1 })
  const end = await untilEvent(
    journal,
    ({ sequence, type }) =>
      sequence > continued.sequence && /job\.(done|failed|interrupted)/.test(type),
  )
  t.match(end, { type: 'job.done', code: null })
  t.strictSame(executed.filter(isOfProgram), text.split('\n').filter(isOfProgram))
  t.comment(`kept line ${continued.detail.ackedLine}, went on at ${continued.detail.fromLine}`)
})
