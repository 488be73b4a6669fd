/** Compaction on the wire: fewer bytes, and what the board executed does exactly what the program does. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { openController, startSimulatedMarlin } from '#drivers'
import { systemClock } from '#lib/clock.ts'
import type { Dialect } from '../../drivers/dialect.ts'
import { klipper } from '../../drivers/klipper/dialect.ts'
import { marlin } from '../../drivers/marlin/dialect.ts'
import { markOf } from '../../drivers/shell/mark.ts'
import { smoothie } from '../../drivers/smoothie/dialect.ts'
import { trace } from '../fakes/gcode-trace.ts'

const clip = join(import.meta.dirname, '../samples/clip.gcode')

/** The first words of all that a driver sends of its own. */
function ownWords({ opening, identification, rules, probe, poll, ...asks }: Dialect): Set<string> {
  const lines = [
    ...opening.bytes.split('\n').map(line => line.replace(/^N\d+ /, '')),
    ...[identification.sync, identification.ask, asks.drain, asks.positionQuery, 'M155'],
    ...[probe.kind === 'line' ? markOf(rules, 1)?.text : probe.bytes],
    ...[poll.kind === 'command' ? poll.text : undefined],
  ]
  return new Set(lines.map(line => firstWord(line ?? '')))
}

const firstWord = (line: string): string => line.split(' ', 1)[0] ?? ''

for (const row of [marlin, smoothie, klipper]) {
  const dialect = row.name
  const own = ownWords(row)
  t.test(`${dialect} executes the same from fewer bytes`, async t => {
    const text = await readFile(clip, 'utf8')
    const lines = text
      .split('\n')
      .map((line, i) => ({ line: i + 1, text: line.replace(/;.*/, '').trim() }))
      .filter(({ text }) => text !== '')
    const executed: string[] = []
    await using board = startSimulatedMarlin({
      dialect,
      speed: 1_000_000,
      onExecuted: line => executed.push(line),
    })
    const { signal } = new AbortController()
    const ports = { clock: systemClock, signal, onEvent: () => undefined }
    const config = { dialect, port: board.port, baud: 115_200, compact: 'auto' } as const
    await using controller = await openController(config, ports)
    const queue = lines.values()
    const asked = [1000, 3000]
    const report = await controller.stream(
      {
        next: () => {
          const { value } = queue.next()
          // A question between lines changes nothing; a command of somebody's makes all words be said again.
          if (asked.includes(value?.line ?? 0)) void controller.command('M204 P1000')
          return value
        },
      },
      { signal },
    )
    t.equal(report.lines, lines.length)
    const printed = executed.filter(line => !own.has(firstWord(line)) && line !== 'M204 P1000')
    t.strictSame(trace(printed), trace(lines.map(({ text }) => text)))
    const { savedBytes, bytesSent } = controller.statistics
    const share = savedBytes / (savedBytes + bytesSent)
    t.ok(share > 0.05, `${(100 * share).toFixed(1)} % of the bytes saved`)
    t.comment(`${dialect}: ${savedBytes} of ${savedBytes + bytesSent} bytes saved`)
  })
}
