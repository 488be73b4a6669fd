/** What a checksum cannot see: a line damaged twice in one bit column is executed, and the audit before the next layer stops the print. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { parseFaults, startSimulatedMarlin } from '#drivers'
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
