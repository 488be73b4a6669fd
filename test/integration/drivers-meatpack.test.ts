/** MeatPack on the wire: asked for, confirmed, begun anew after damage, and executed as sealed. */
import { lstatSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { openController } from '#drivers'
import { systemClock } from '#lib/clock.ts'
import { linkPath, never, openBench, program, sourceOf } from '../fakes/drivers-bench.ts'
import { trace } from '../fakes/gcode-trace.ts'
import { sharedPath } from '../shared.ts'

const OF_THE_DRIVER = /^(?:M110|M115|M105|M114|M118|M155|M400)(?!\d)/
const PACKED = { hasMeatPack: true, config: { compact: 'auto' } } as const

function commandsOf(text: string): readonly string[] {
  return text
    .split('\n')
    .map(line => line.replace(/;.*/, '').trim())
    .filter(line => line !== '')
}

function programOf(executed: readonly string[]): readonly string[] {
  return executed.filter(line => !OF_THE_DRIVER.test(line))
}

const clip = join(import.meta.dirname, '../samples/clip.gcode')

for (const path of [clip, sharedPath('gcode/tag.gcode')])
  if (path !== undefined) t.test(`${basename(path)} is executed as sealed`, t => compare(t, path))

async function compare(t: Test, path: string): Promise<void> {
  const lines = commandsOf(await readFile(path, 'utf8'))
  const bytes = new Map<string, number>()
  for (const [name, options] of Object.entries({
    plain: {},
    compacted: { config: { compact: 'auto' } },
    packed: PACKED,
  } as const)) {
    const { controller, executed } = await openBench(t, options)
    const before = controller.statistics.bytesSent
    const report = await controller.stream(sourceOf(lines), { signal: never })
    t.equal(report.lines, lines.length)
    t.strictSame(trace(programOf(executed)), trace(lines), name)
    bytes.set(name, controller.statistics.bytesSent - before)
    t.ok(controller.statistics.savedBytes > 0 !== (name === 'plain'), `${name}: what was saved`)
  }
  const [plain = 0, compacted = 0, packed = 0] = bytes.values()
  t.ok(packed < 0.7 * plain && packed < compacted)
  t.comment(`${lines.length} lines: ${plain} bytes plain, ${compacted} compacted, ${packed} packed`)
}

t.test('stays plain where the configuration does not ask for it', async t => {
  const { controller } = await openBench(t, { config: { compact: 'off' }, hasMeatPack: true })
  await controller.stream(sourceOf(program(20)), { signal: never })
  t.equal(controller.statistics.savedBytes, 0)
})

t.test('goes on packed after damage, and plain once the cable proves bad', async t => {
  for (const flipInPerByte of [0.0002, 0.002]) {
    const faults = {
      ...{ seed: 5, flipInPerByte, flipOutPerByte: 0, hasBursts: false, dropOkRate: 0 },
      events: [],
    }
    const { controller, executed } = await openBench(t, { ...PACKED, faults })
    const lines = program(1500)
    await controller.stream(sourceOf(lines), { signal: never })
    t.strictSame(trace(programOf(executed)), trace(lines))
    t.ok(controller.statistics.resends > 0, `${controller.statistics.resends} resends`)
  }
})

t.test('what the emergency parser must see goes in the clear', async t => {
  const { controller, sim, heard } = await openBench(t, { ...PACKED, speed: 1, busyIntervalMs: 20 })
  const heating = controller.command('M109 S200')
  await heard('busy')
  await controller.command('M108')
  await heating
  t.equal(sim.summary().isHalted, false)
  await controller.emergencyStop()
  t.equal(sim.summary().isHalted, true)
})

t.test('a board left packing by a program that was killed is told to stop', async t => {
  const path = linkPath(t)
  const { sim, controller } = await openBench(t, { ...PACKED, linkPath: path })
  await controller.command('G90')
  // As a killed program leaves it: the port closes without a word.
  const before = lstatSync(path, { bigint: true }).ctimeNs
  sim.inflict('bump')
  while (lstatSync(path, { bigint: true }).ctimeNs === before) await setImmediate()
  await controller[Symbol.asyncDispose]()
  await using next = await openController(
    { dialect: 'marlin', port: path, baud: 250_000, compact: 'auto', tuning: { greetingMs: 20 } },
    { clock: systemClock, signal: never, onEvent: () => undefined },
  )
  t.equal(next.identity.capabilities.MEATPACK, true)
})
