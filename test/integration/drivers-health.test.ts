/** Audits, statistics, suspicions and refusals of a controller on a simulated board. */
import t from 'tap'
import { parseFaults } from '../../drivers/index.ts'
import { linkPath, movesOf, never, openBench, program, sourceOf } from '../fakes/drivers-bench.ts'

t.test('an audit from inside next() is asked between exactly those two lines', async t => {
  const { controller, executed } = await openBench(t)
  const lines = program(300)
  const audits: Promise<{ readonly kind: string }>[] = []
  const source = sourceOf(lines)
  let pulled = 0
  await controller.stream(
    {
      next: () => {
        // 100 lines have been handed over: the machine must be where the hundredth ends.
        if (pulled++ === 100) audits.push(controller.audit({ x: 93, y: 99, z: 1.98 }))
        if (pulled === 200) audits.push(controller.audit({ x: 0, y: 0, z: 0 }))
        return source.next()
      },
    },
    { signal: never },
  )
  t.strictSame(
    (await Promise.all(audits)).map(({ kind }) => kind),
    ['agrees', 'differs'],
  )
  t.strictSame(movesOf(executed), lines)
  const at = executed.indexOf('M114')
  t.equal(movesOf(executed.slice(0, at)).length, 100)
})

t.test('statistics tell latency, use of the wire and the planner', async t => {
  const { controller } = await openBench(t, { hasAdvancedOk: true })
  await controller.stream(sourceOf(program(500)), { signal: never })
  const { okToWrite, wireUtilisation, plannerBlocks, suspicions } = controller.statistics
  t.ok(okToWrite.samples > 50)
  t.ok((okToWrite.p50Ms ?? 0) <= (okToWrite.p99Ms ?? 0))
  t.ok((wireUtilisation ?? 0) > 0)
  t.equal(plannerBlocks, 15)
  t.strictSame(suspicions, {})
})

t.test('an unexpected start is a fault and a suspicion', async t => {
  const { controller, heard } = await openBench(t, { faults: parseFaults('reset@100') })
  await t.rejects(controller.stream(sourceOf(program(400)), { signal: never }), {
    code: 'DRIVER_RESET',
  })
  t.match(await heard('suspicious'), { reason: 'unexpected start', count: 1 })
  t.ok(controller.flightRecord().some(entry => entry.text === 'start'))
})

t.test('a reset names the last program line acknowledged', async t => {
  const { controller } = await openBench(t, {
    linkPath: linkPath(t),
    faults: parseFaults('brownout@150'),
    config: { reattachWithinMs: 5000 },
    tuning: { reattachRetryMs: 20, reattachListenMs: 300 },
  })
  const error = await controller
    .stream(sourceOf(program(400)), { signal: never })
    .catch((reason: { code: string; line?: number }) => reason)
  t.match(error, { code: 'DRIVER_RESET', line: Number })
})

for (const seed of [1, 2, 3])
  t.test(`three bumps of the cable cost nothing (seed ${seed})`, async t => {
    const { controller, executed } = await openBench(t, {
      linkPath: linkPath(t),
      hasAdvancedOk: seed === 2,
      faults: parseFaults(
        `seed=${seed},bump@${90 + seed},bump@${250 + seed * 7},bump@${480 - seed}`,
      ),
      config: { reattachWithinMs: 5000 },
      tuning: { reattachRetryMs: 20, reattachListenMs: 300 },
    })
    const lines = program(700)
    await controller.stream(sourceOf(lines), { signal: never })
    t.strictSame(movesOf(executed), lines)
    t.equal(controller.statistics.reattachments, 3)
  })

t.test(
  'grbl: a refused line holds the machine, drops the rest, and the controller obeys again',
  async t => {
    const { controller, executed } = await openBench(t, {
      dialect: 'grbl',
      tuning: { holdStopMs: 20 },
    })
    const lines = program(200)
    await t.rejects(controller.stream(sourceOf(lines.with(99, 'G5 X1')), { signal: never }), {
      code: 'DRIVER_COMMAND_REFUSED',
      line: 100,
    })
    await controller.command('G4 P0.01')
    t.ok(movesOf(executed).length >= 99)
    await controller.stream(sourceOf(program(20)), { signal: never })
    await t.rejects(controller.command('G5 X1'), { code: 'DRIVER_COMMAND_REFUSED' })
  },
)

t.test('Klipper: a refused line ends the print and names it', async t => {
  const { controller } = await openBench(t, { dialect: 'klipper' })
  await t.rejects(controller.stream(sourceOf(program(50).with(9, 'M118')), { signal: never }), {
    code: 'DRIVER_LINE_REFUSED',
    line: 10,
  })
})
