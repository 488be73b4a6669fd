/** What a checksum cannot see: a line damaged twice in one bit column is executed, and the audit before the next layer stops the print. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { type DialectName, parseFaults, startSimulatedMarlin } from '#drivers'
import { DIALECT_NAMES } from '../../drivers/dialect.ts'
import { startCore } from '../../firmware/core/core.ts'
import {
  deskPrinter,
  desktopPorts,
  openerAt,
  program,
  seal,
  untilEvent,
} from '../fakes/core-printer.ts'

/** The extruder in relative terms: an absolute move that went wrong is put right by the next, a relative one is not. */
function relative(moves: number): string {
  return program(moves)
    .replace('M82', 'M83')
    .replaceAll(/E\d+\.\d+/g, 'E0.05')
}

t.test(
  'a collision of the XOR checksum is executed, found at the layer change, and ends safely',
  async t => {
    await using printer = await deskPrinter()
    const text = relative(600)
    const executed: string[] = []
    await using board = startSimulatedMarlin({
      speed: 10_000,
      faults: parseFaults('collision@250'),
      onExecuted: line => executed.push(line),
    })
    const opener = openerAt({ dialect: 'marlin', port: board.port })
    const { signal } = new AbortController()
    await using core = await startCore(printer.config, desktopPorts(opener), signal)
    await writeFile(join(printer.stick, 'part.mpf'), await seal(printer, text))
    await untilEvent(core.journal, ({ type }) => type === 'printer.connected')
    const decided = await untilEvent(core.journal, ({ type }) => /admitted|refused/.test(type))
    await core.engine.start(decided.job ?? '')
    const end = await untilEvent(core.journal, ({ type }) => /job\.(done|failed)/.test(type))
    t.match(end, { type: 'job.failed', code: 'PRINTER_POSITION', message: /E1\.00/ })
    const sealed = new Set(text.split('\n'))
    const wrong = executed.filter(line => line.startsWith('G1 X') && !sealed.has(line))
    t.equal(wrong.length, 1, `executed as it arrived: ${wrong.join()}`)
    t.match(wrong[0], /E1\.05/)
    const after = executed.slice(executed.indexOf(wrong[0] ?? ''))
    t.ok(
      after.filter(line => line.startsWith('G1 X')).length <= 100,
      'nothing of the layer after it',
    )
    t.ok(after.includes('M104 S0') && after.includes('M140 S0') && after.includes('M84'))
    t.equal(board.summary().isHeating, false)
  },
)

/** Relative: nothing of it puts a wrong move right. */
const STAIRS = [
  'G28',
  'G1 X5 Y5 Z1 F3000',
  'G91',
  ...new Array<string>(60).fill('G1 X0.4 Y0.2 F3000'),
  '',
].join('\n')

async function printStairs(dialect: DialectName, faults: string) {
  await using printer = await deskPrinter()
  await using board = startSimulatedMarlin({ dialect, speed: 10_000, faults: parseFaults(faults) })
  const opener = openerAt({ dialect, port: board.port })
  const { signal } = new AbortController()
  await using core = await startCore(printer.config, desktopPorts(opener), signal)
  await writeFile(join(printer.stick, 'part.mpf'), await seal(printer, STAIRS))
  await untilEvent(core.journal, ({ type }) => type === 'printer.connected')
  const decided = await untilEvent(core.journal, ({ type }) => /admitted|refused/.test(type))
  await core.engine.start(decided.job ?? '')
  return await untilEvent(core.journal, ({ type }) => /job\.(done|failed|interrupted)/.test(type))
}

for (const dialect of DIALECT_NAMES)
  t.test(`${dialect}: done means that it stands where a relative program ends`, async t => {
    const whole = await printStairs(dialect, '')
    t.match(whole, { type: 'job.done', detail: { isEndCompared: true } }, whole.message)
    const damaged = await printStairs(dialect, 'collision@30')
    t.match(damaged, { type: 'job.failed' }, damaged.message)
    // RepRapFirmware's driver proves each end by the position itself.
    const code = dialect === 'reprap' ? 'DRIVER_PROTOCOL' : 'PRINTER_POSITION'
    t.match(damaged, { code, message: dialect === 'reprap' ? /position/ : /off by X1\.00 Y1\.00/ })
  })
