/** One body of conformance tests, run over every dialect against its simulated board on a real pseudo-terminal. */
import t from 'tap'
import { DIALECT_NAMES, type DialectName } from '../../drivers/dialect.ts'
import { parseFaults } from '../../drivers/index.ts'
import { linkPath, movesOf, never, openBench, program, sourceOf } from '../fakes/drivers-bench.ts'

const HAS_HEATERS = (dialect: DialectName): boolean => !dialect.startsWith('grbl')
/** Dialects that announce their capabilities. */
const HAS_AUTOREPORT = (dialect: DialectName): boolean => !/^grbl|klipper/.test(dialect)
/** Dialects whose acknowledgements can be lost on a wire; Klipper's terminal loses nothing. */
const IS_WIRED = (dialect: DialectName): boolean => dialect !== 'klipper'

const only = process.env.ONLY
for (const dialect of DIALECT_NAMES.filter(name => only === undefined || only.includes(name)))
  t.test(dialect, async t => {
    t.test('is opened, by name and by asking, and names itself', async t => {
      const { controller, executed } = await openBench(t, { dialect })
      t.equal(controller.identity.dialect, dialect)
      t.not(controller.identity.firmware, '')
      t.equal(executed.includes('M155 S2'), HAS_AUTOREPORT(dialect))
      const found = await openBench(t, { dialect, config: { dialect: 'auto' } })
      t.equal(found.controller.identity.dialect, dialect)
    })

    t.test('waits for a board that boots late, and loses nothing to it', async t => {
      const tuning = { handshakeRetryMs: 100, handshakeAttempts: 200 }
      const { controller, executed } = await openBench(t, { dialect, bootMs: 350, tuning })
      await controller.stream(sourceOf(program(50)), { signal: never })
      t.strictSame(movesOf(executed), program(50))
    })

    t.test('is not opened where nothing answers', async t => {
      const tuning = { handshakeRetryMs: 30, handshakeAttempts: 3 }
      const opening = openBench(t, { dialect, bootMs: 3_600_000, tuning })
      await t.rejects(opening, { code: 'DRIVER_SILENT' })
    })

    t.test('executes a program exactly once and in order, and says where it ended', async t => {
      const { controller, executed, sim } = await openBench(t, { dialect })
      const lines = program(800)
      const report = await controller.stream(sourceOf(lines), { signal: never })
      t.match(report, { lastLine: 800, lines: 800, position: { x: 193, y: 79, z: 15.98 } })
      t.strictSame(movesOf(executed), lines)
      t.match(controller.statistics, { resends: 0, inFlightLines: 0 })
      t.equal(sim.summary().overrunBytes, 0)
    })

    t.test('refuses what this wire cannot carry, and sends nothing after it', async t => {
      const { controller, executed } = await openBench(t, { dialect })
      const bad = dialect.startsWith('grbl') ? 'G1 X1 ?' : 'M117 see M110 N500'
      await t.rejects(controller.stream(sourceOf(['G1 X1', bad, 'G1 X2']), { signal: never }), {
        code: 'DRIVER_LINE_REFUSED',
        line: 2,
      })
      await controller.command(HAS_HEATERS(dialect) ? 'M400' : 'G4 P0.01')
      t.strictSame(movesOf(executed), ['G1 X1'])
      await t.rejects(controller.command('M118 A1 action:cancel\u0080'), {
        code: 'DRIVER_LINE_REFUSED',
      })
    })

    t.test('holds, and goes on where it held', async t => {
      const { controller, executed } = await openBench(t, { dialect })
      const lines = program(300)
      const held = Promise.withResolvers<void>()
      const streaming = controller.stream(
        sourceOf(lines, line => {
          if (line !== 100) return
          controller.hold()
          held.resolve()
        }),
        { signal: never },
      )
      await held.promise
      await controller.command(HAS_HEATERS(dialect) ? 'M400' : 'G4 P0.01')
      t.ok(movesOf(executed).length <= 100)
      controller.release()
      await streaming
      t.strictSame(movesOf(executed), lines)
    })

    t.test('stops feeding when aborted, and obeys afterwards', async t => {
      const { controller, executed } = await openBench(t, { dialect })
      const abort = new AbortController()
      const reason = new Error('cancelled')
      const lines = program(300)
      const streaming = controller.stream(
        sourceOf(lines, line => {
          if (line === 100) abort.abort(reason)
        }),
        { signal: abort.signal },
      )
      await t.rejects(streaming, reason)
      await controller.command(HAS_HEATERS(dialect) ? 'M400' : 'G4 P0.01')
      t.ok(movesOf(executed).length <= 100)
      t.strictSame(movesOf(executed), lines.slice(0, movesOf(executed).length))
    })

    t.test('waits out a silence, and does not fill it with questions', async t => {
      const eager = { watchMs: 1, probeAfterMs: 5, probeBusyAfterMs: 10, maxProbeAfterMs: 20 }
      const { controller, executed } = await openBench(t, { dialect, speed: 1, tuning: eager })
      const lines = [HAS_HEATERS(dialect) ? 'G4 P400' : 'G4 P0.4', 'G1 X1 F6000', 'G1 X2']
      const { position } = await controller.stream(sourceOf(lines), { signal: never })
      t.equal(position?.x, 2)
      t.strictSame(movesOf(executed), lines.slice(1))
      t.ok(controller.statistics.linesSent < 90, String(controller.statistics.linesSent))
    })

    if (IS_WIRED(dialect))
      t.test('is exact although one acknowledgement in fifty is lost', async t => {
        const { controller, executed } = await openBench(t, {
          dialect,
          faults: parseFaults('seed=5,drop-ok=0.02'),
        })
        const lines = program(300)
        await controller.stream(sourceOf(lines), { signal: never })
        t.strictSame(movesOf(executed), lines)
      })

    for (const [fault, code] of [
      ['unplug', 'DRIVER_PORT_LOST'],
      ['reset', 'DRIVER_RESET'],
      ['kill', 'DRIVER_HALTED'],
    ] as const)
      t.test(`fails with ${code} on ${fault}`, async t => {
        const { controller, sim } = await openBench(t, {
          dialect,
          faults: parseFaults(`${fault}@200`),
        })
        const streaming = controller.stream(sourceOf(program(600)), { signal: never })
        await t.rejects(streaming, { code })
        t.notOk(sim.summary().isHeating)
      })

    t.test('fails with DRIVER_SILENT when nothing comes any more', async t => {
      const { controller } = await openBench(t, {
        dialect,
        faults: parseFaults('silence@200'),
        tuning: { silenceMs: 300 },
      })
      await t.rejects(controller.stream(sourceOf(program(600)), { signal: never }), {
        code: 'DRIVER_SILENT',
      })
    })

    t.test('an emergency stop is proved and leaves nothing hot', async t => {
      const { controller, sim, heard } = await openBench(t, { dialect, speed: 1 })
      const heat = HAS_HEATERS(dialect) ? ['M140 S60'] : []
      const streaming = controller.stream(sourceOf([...heat, ...program(200)]), { signal: never })
      const rejected = t.rejects(streaming, { code: 'DRIVER_HALTED' })
      await heard('acked')
      await controller.emergencyStop()
      await rejected
      t.equal(sim.summary().isHeating, false)
    })

    t.test('a cable out for a moment costs nothing, or ends the print truthfully', async t => {
      const { controller, executed, events } = await openBench(t, {
        dialect,
        linkPath: linkPath(t),
        faults: parseFaults('bump@150'),
        config: { reattachWithinMs: 5000 },
        tuning: { reattachRetryMs: 20, reattachListenMs: 300 },
      })
      const lines = program(400)
      const outcome = await controller.stream(sourceOf(lines), { signal: never }).then(
        () => 'exact',
        (error: { code?: string }) => error.code,
      )
      const canContinue = ['marlin', 'prusa', 'buddy', 'smoothie', 'reprap'].includes(dialect)
      t.equal(outcome, canContinue ? 'exact' : 'DRIVER_PORT_LOST')
      if (!canContinue) return
      t.strictSame(movesOf(executed), lines)
      t.ok(events.some(event => event.kind === 'reattached'))
      t.equal(controller.statistics.reattachments, 1)
    })

    t.test('a brown-out is a reset, and names the last line acknowledged', async t => {
      const { controller, sim } = await openBench(t, {
        dialect,
        linkPath: linkPath(t),
        faults: parseFaults('brownout@150'),
        config: { reattachWithinMs: 5000 },
        tuning: { reattachRetryMs: 20, reattachListenMs: 300 },
      })
      const streaming = controller.stream(sourceOf(program(400)), { signal: never })
      const code = await streaming.then(
        () => 'done',
        (error: { code?: string }) => error.code,
      )
      t.match(code, /^DRIVER_(?:RESET|PORT_LOST)$/)
      t.notOk(sim.summary().isHeating)
    })
  })
