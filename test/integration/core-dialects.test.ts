/** The whole core on every dialect: a sealed part from the stick is executed line by line as sealed, and what makes it safe is said in the dialect's words. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { type Dialect, type DialectName, startSimulatedMarlin } from '#drivers'
import { startCore } from '../../firmware/core/core.ts'
import { deskPrinter, desktopPorts, openerAt, seal, untilEvent } from '../fakes/core-printer.ts'

const samples = join(import.meta.dirname, '../samples')

interface Row {
  readonly board: DialectName
  /** As configured, where that is not what the board speaks. */
  readonly dialect?: Dialect
  readonly checksum?: 'crc16'
  readonly sample: 'clip.gcode' | 'plate.nc'
  /** Said before the program, and once it was executed. */
  readonly before: readonly string[]
  readonly after: readonly string[]
}

const PLAIN = ['M220 S100', 'M221 S100']
const OFF = ['M104 S0', 'M140 S0', 'M107']
const PART = { sample: 'clip.gcode', before: PLAIN, after: OFF } as const
const CNC = { sample: 'plate.nc', before: [], after: ['M5', 'M9'] } as const

const ROWS: readonly Row[] = [
  { ...PART, board: 'marlin', before: [...PLAIN, 'M86 S1800'] },
  { ...PART, board: 'prusa' },
  { ...PART, board: 'buddy' },
  { ...PART, board: 'smoothie' },
  { ...PART, board: 'reprap' },
  { ...PART, board: 'reprap', checksum: 'crc16' },
  { ...PART, board: 'klipper' },
  { ...CNC, board: 'grbl' },
  { ...CNC, board: 'grblhal' },
  { ...CNC, board: 'grbl', dialect: 'auto' },
]

/** What the driver says by itself: identity, reports, marks, questions. */
const OF_THE_DRIVER =
  /^(?:M110|M115|M105|M114|M118|M155|\$I|M400|M108|G4 P0\.01|SET_IDLE_TIMEOUT|STATUS)(?!\d)/

for (const { board: name, dialect = name, checksum, sample, before, after } of ROWS)
  t.test(`${name}, configured as ${dialect} ${checksum ?? ''}, prints ${sample}`, async t => {
    await using printer = await deskPrinter()
    const text = await readFile(join(samples, sample), 'utf8')
    const executed: string[] = []
    await using board = startSimulatedMarlin({
      dialect: name,
      speed: 1_000_000,
      onExecuted: line => executed.push(line),
    })
    const opener = openerAt({ dialect, port: board.port, checksum })
    const ending = new AbortController()
    await using core = await startCore(printer.config, desktopPorts(opener), ending.signal)
    await writeFile(join(printer.stick, 'part.mpf'), await seal(printer, text))
    await untilEvent(core.journal, ({ type }) => type === 'printer.connected')
    const decided = await untilEvent(core.journal, ({ type }) => /admitted|refused/.test(type))
    t.match(decided, { type: 'job.admitted', code: null })
    executed.length = 0
    await core.engine.start(decided.job ?? '')
    const end = await untilEvent(core.journal, ({ type }) => /job\.(done|failed)/.test(type))
    t.match(end, { type: 'job.done', code: null }, end.message)
    const isProgram = (line: string) => line !== '' && !OF_THE_DRIVER.test(line)
    const commands = text.split('\n').map(line => line.replace(/;.*/, '').trim())
    t.strictSame(executed.filter(isProgram), [...before, ...commands.filter(isProgram), ...after])
    if (sample === 'clip.gcode') t.ok(Number(end.detail.audits) > 20, 'audited at each layer')
    t.comment(`${name}: ${JSON.stringify(end.detail)}`)
  })
