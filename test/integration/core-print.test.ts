import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { openController, startSimulatedMarlin } from '#drivers'
import { systemClock } from '#lib/clock.ts'
import { startCore } from '../../firmware/core/core.ts'
import type { OpenMachineController } from '../../firmware/core/engine/machine.ts'
import { deskPrinter, desktopPorts, program, seal, untilEvent } from '../fakes/core-printer.ts'

function marlinAt(port: string): OpenMachineController {
  return (onEvent, signal) =>
    openController(
      { dialect: 'marlin', port, baud: 115_200 },
      { clock: systemClock, signal, onEvent },
    )
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
    const printed = executed.filter(line => !/^M(400|114|105|155|118)/.test(line))
    t.strictSame(printed, commands)
    const verdict = await core.journal.verifyEvents(ending.signal)
    t.match(verdict, { isIntact: true, brokenAt: null })
  },
)
