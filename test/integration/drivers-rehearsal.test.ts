/** The firmware's own dry run, over every dialect that has one: what it takes is executed afterwards, what it refuses is never. */
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { systemClock } from '#lib/clock.ts'
import type { DialectName } from '../../drivers/dialect.ts'
import {
  type Dialect,
  type MotionController,
  openController,
  parseFaults,
} from '../../drivers/index.ts'
import {
  type BenchOptions,
  linkPath,
  movesOf,
  never,
  openBench,
  program,
  QUICK,
  sourceOf,
} from '../fakes/drivers-bench.ts'

const BOARDS: readonly DialectName[] = ['grbl', 'grblhal']
/** As the core does: again until the board is there. */
async function openAt(port: string, dialect: Dialect): Promise<MotionController> {
  for (;;) {
    const tuning = { ...QUICK, handshakeRetryMs: 200 }
    const opening = openController(
      { dialect, port, baud: 250_000, tuning },
      { clock: systemClock, signal: never, onEvent: () => undefined },
    )
    const controller = await opening.catch(() => undefined)
    if (controller) return controller
    await sleep(50)
  }
}

/** A word of no grbl. */
const REFUSED = 'M106 S255'

async function benchOf(t: Test, options: BenchOptions) {
  const checked: string[] = []
  const waiting: { readonly count: number; resolve(): void }[] = []
  const bench = await openBench(t, {
    ...options,
    onChecked: text => {
      checked.push(text)
      for (const one of waiting) if (checked.length === one.count) one.resolve()
    },
  })
  const untilChecked = (count: number): Promise<void> =>
    new Promise(resolve => void waiting.push({ count, resolve }))
  return { ...bench, checked, untilChecked }
}

for (const dialect of BOARDS)
  t.test(dialect, async t => {
    t.test('takes script and program without moving, then executes them once', async t => {
      const { controller, executed, checked, sim } = await benchOf(t, { dialect })
      const lines = program(300)
      const rehearsed = await controller.rehearse(['G90'], sourceOf(lines), { signal: never })
      t.match(rehearsed, { lines: 300, lastLine: 300, position: { x: 0, y: 0, z: 0 } })
      t.equal(checked[0], 'G90')
      t.strictSame(movesOf(checked), lines)
      t.strictSame(movesOf(executed), [])
      t.match(sim.summary().position, { x: 0, y: 0, z: 0 })
      await controller.stream(sourceOf(lines), { signal: never })
      t.strictSame(movesOf(executed), lines)
      t.strictSame(controller.statistics.suspicions, {})
    })

    t.test('names the line the firmware does not take, and moves nothing', async t => {
      const { controller, executed, checked } = await benchOf(t, { dialect })
      const lines = program(200).with(119, REFUSED)
      await t.rejects(controller.rehearse([], sourceOf(lines), { signal: never }), {
        code: 'DRIVER_COMMAND_REFUSED',
        line: 120,
        message: /^line 120: error:20/,
      })
      t.strictSame(movesOf(executed), [])
      t.ok(checked.length < 160, 'the rest was not given to it')
      const good = program(20)
      await controller.stream(sourceOf(good), { signal: never })
      t.strictSame(movesOf(executed), good, 'it is out of its check mode')
    })

    t.test('a script it does not take is no line of the program', async t => {
      const { controller, checked } = await benchOf(t, { dialect })
      const rehearsing = controller.rehearse([REFUSED], sourceOf(program(5)), { signal: never })
      await t.rejects(rehearsing, { code: 'DRIVER_COMMAND_REFUSED', line: undefined })
      t.strictSame(movesOf(checked), [])
    })

    t.test('ends when it is told to, and is ready for the next', async t => {
      const { controller, executed, untilChecked } = await benchOf(t, { dialect })
      const abort = new AbortController()
      const reason = new Error('cancelled')
      const half = untilChecked(100)
      const rehearsing = controller.rehearse([], sourceOf(program(2_000)), {
        signal: abort.signal,
      })
      void half.then(() => abort.abort(reason))
      await t.rejects(rehearsing, reason)
      const lines = program(50)
      await controller.stream(sourceOf(lines), { signal: never })
      t.strictSame(movesOf(executed), lines)
    })

    t.test('an emergency stop in it is proved', async t => {
      const { controller, executed, untilChecked } = await benchOf(t, { dialect })
      const half = untilChecked(100)
      const rehearsing = controller.rehearse([], sourceOf(program(2_000)), { signal: never })
      const rejected = t.rejects(rehearsing, { code: 'DRIVER_HALTED' })
      await half
      t.equal(await controller.emergencyStop(), 'halted')
      await rejected
      t.strictSame(movesOf(executed), [])
    })

    for (const [fault, code] of [
      ['unplug', 'DRIVER_PORT_LOST'],
      ['reset', 'DRIVER_RESET'],
      ['kill', 'DRIVER_HALTED'],
    ] as const)
      t.test(`fails with ${code} on ${fault}`, async t => {
        const { controller, sim, untilChecked } = await benchOf(t, { dialect })
        const half = untilChecked(100)
        const rehearsing = controller.rehearse([], sourceOf(program(2_000)), { signal: never })
        const rejected = t.rejects(rehearsing, { code })
        await half
        sim.inflict(fault)
        await rejected
      })

    t.test('a board that a lost cable left in check mode is brought back', async t => {
      const path = linkPath(t)
      const { controller, executed, sim, untilChecked } = await benchOf(t, {
        dialect,
        linkPath: path,
      })
      const half = untilChecked(100)
      const rehearsing = controller.rehearse([], sourceOf(program(2_000)), { signal: never })
      const rejected = t.rejects(rehearsing, { code: 'DRIVER_PORT_LOST' })
      await half
      sim.inflict('bump')
      await rejected
      await controller[Symbol.asyncDispose]()
      for (const name of [dialect, 'auto'] as const) {
        const again = await openAt(path, name)
        const lines = program(30)
        executed.length = 0
        await again.stream(sourceOf(lines), { signal: never })
        t.strictSame(movesOf(executed), lines, name)
        const left = again.rehearse([], sourceOf(program(2_000)), { signal: never })
        const lost = t.rejects(left, { code: 'DRIVER_PORT_LOST' })
        sim.inflict('bump')
        await lost
        await again[Symbol.asyncDispose]()
      }
    })

    t.test('is exact, or says why not, over a line that damages what it answers', async t => {
      for (let seed = 1; seed <= 5; seed++) {
        const { controller, executed, checked } = await benchOf(t, {
          dialect,
          faults: parseFaults(`seed=${seed},flip-out=0.001`),
          tuning: { probeAfterMs: 50, statusPollMs: 30, statusLostMs: 90 },
        })
        const lines = program(200)
        const outcome = await controller.rehearse([], sourceOf(lines), { signal: never }).then(
          () => 'exact',
          (error: { code?: string }) => String(error.code),
        )
        t.match(outcome, /^(?:exact|DRIVER_(?:PROTOCOL|NOISE))$/)
        if (outcome === 'exact') t.strictSame(movesOf(checked), lines)
        t.strictSame(movesOf(executed), [])
        t.comment(`seed ${seed}: ${outcome}`)
      }
    })
  })

t.test('a firmware without a check mode says so', async t => {
  const { controller, executed } = await benchOf(t, { dialect: 'marlin' })
  const rehearsing = controller.rehearse([], sourceOf(program(5)), { signal: never })
  await t.rejects(rehearsing, { code: 'DRIVER_COMMAND_REFUSED' })
  t.strictSame(movesOf(executed), [])
})
