/** The print engine on a bench: pausing, parking, and going on. */
import t from 'tap'
import { DriverError } from '#drivers'
import { CoreError } from '../../firmware/core/errors.ts'
import { type BenchOptions, COMMANDS, OFF, PREPARED, twoLayers } from '../fakes/core-bench.ts'

const bench = (options: Partial<BenchOptions> = {}) => twoLayers(t.testdir(), options)

t.test(
  'pausing drains, parks and records; resuming puts heat, place and modes back first',
  async t => {
    await using b = await bench({ scripts: { pause: ['G91', 'G1 Z5', 'G90'], resume: ['M300'] } })
    await b.engine.start('aa')
    b.controller.allow(6)
    await b.controller.settled()
    t.match(await b.engine.pause(), { state: 'paused', ackedLine: 7 })
    t.equal(b.engine.isPaused, true)
    t.strictSame(b.controller.executed.slice(9), ['M400', 'G91', 'G1 Z5', 'G90'])
    b.controller.executed.length = 0
    b.controller.allow()
    t.match(await b.engine.resume(), { state: 'printing' })
    await b.finished()
    const restored = b.controller.executed.slice(0, -2)
    t.strictSame(restored, [
      'M300',
      'M104 T0 S210',
      'M109 T0 S210',
      'G90',
      'G1 X10 Y20 F6000',
      'G1 Z0.4 F600',
      'G92 E1.25',
      'G1 F1500',
      'G90',
      'M82',
    ])
    t.strictSame(b.controller.executed.slice(-2), ['G1 X2 E2', 'M104 S0'])
    t.match(b.journal.job('aa'), { state: 'done' })
    t.strictSame(b.types().slice(-4), ['job.started', 'job.paused', 'job.resumed', 'job.done'])
  },
)

t.test('a paused print can be cancelled, not paused again', async t => {
  await using b = await bench()
  await b.engine.start('aa')
  b.controller.allow(2)
  await b.controller.settled()
  await b.engine.pause()
  await t.rejects(b.engine.pause(), { code: 'JOB_STATE' })
  t.match(await b.engine.cancel(undefined), { state: 'cancelled' })
})

t.test('a pause the controller does not carry out leaves the print printing', async t => {
  await using b = await bench()
  await b.engine.start('aa')
  b.controller.allow(2)
  await b.controller.settled()
  b.controller.refuse('M400', new DriverError('DRIVER_ACK_TIMEOUT', 'no answer'))
  await t.rejects(b.engine.pause(), { code: 'DRIVER_ACK_TIMEOUT' })
  t.equal(b.journal.job('aa').state, 'printing')
})

t.test('the verbs of a running print say so when none is', async t => {
  await using b = await bench()
  await t.rejects(b.engine.pause(), { code: 'PRINTER_IDLE' })
  await t.rejects(b.engine.resume(), { code: 'PRINTER_IDLE' })
  await t.rejects(b.engine.cancel(undefined), { code: 'PRINTER_IDLE' })
})

t.test('does not park a machine that cannot say where it is', async t => {
  await using b = await bench({ scripts: { pause: ['G1 X0'] } })
  await b.engine.start('aa')
  b.controller.allow(2)
  await b.controller.settled()
  b.controller.hasPosition = false
  await t.rejects(b.engine.pause(), { code: 'PRINTER_SCRIPT' })
  t.notOk(b.controller.executed.includes('G1 X0'))
  t.equal(b.journal.job('aa').state, 'printing')
})

t.test('a second pause restores the place of the second', async t => {
  await using b = await bench()
  await b.engine.start('aa')
  b.controller.allow(1)
  await b.controller.settled()
  for (const round of [1, 2]) {
    await b.engine.pause()
    b.controller.executed.length = 0
    await b.engine.resume()
    t.ok(b.controller.executed.includes('G92 E1.25'), `round ${round}`)
  }
})

t.test('a pause is answered while the machine still drains', async t => {
  await using b = await bench()
  await b.engine.start('aa')
  b.controller.allow(2)
  await b.controller.settled()
  const drained = Promise.withResolvers<readonly string[]>()
  const { command } = b.controller
  b.controller.command = (text, options) =>
    text === 'M400' ? drained.promise : command(text, options)
  t.match(await b.engine.requestPause(), { state: 'printing' })
  t.match(b.engine.current?.progress, { phase: 'pausing' })
  await t.rejects(b.engine.requestPause(), { code: 'JOB_STATE' })
  drained.resolve(['ok'])
  await b.clock.advance(0)
  t.equal(b.journal.job('aa').state, 'paused')
  t.match(await b.engine.requestResume(), { state: 'paused' })
  await b.clock.advance(0)
  t.equal(b.journal.job('aa').state, 'printing')
})

t.test('a pause that was answered and then fails is told', async t => {
  await using b = await bench()
  await b.engine.start('aa')
  b.controller.allow(2)
  await b.controller.settled()
  b.controller.refuse('M400', new DriverError('DRIVER_ACK_TIMEOUT', 'no answer'))
  await b.engine.requestPause()
  await b.clock.advance(0)
  t.match(b.journal.events(0, 99).at(-1), { type: 'job.pause_failed', code: 'DRIVER_ACK_TIMEOUT' })
  t.match(b.engine.current?.progress, { phase: 'printing' })
})

t.test('a program in inches is brought back in millimetres and goes on in inches', async t => {
  await using b = await bench({ blocks: ['G20\nG1 X1 F30\nG1 X2\n'] })
  await b.engine.start('aa')
  b.controller.allow(2)
  await b.controller.settled()
  await b.engine.pause()
  b.controller.executed.length = 0
  await b.engine.resume()
  const { executed } = b.controller
  t.strictSame(executed.slice(0, 3), ['G21', 'G90', 'G1 X10 Y20 F6000'])
  t.strictSame(executed.slice(-4), ['G20', 'G1 F30', 'G90', 'M82'])
})

t.test(
  'a pause during the start script waits for its end, and nothing is printed then',
  async t => {
    await using b = await bench({ scripts: { start: ['M109 S200', 'G28'], pause: ['G1 X0'] } })
    const heated = Promise.withResolvers<readonly string[]>()
    const { command } = b.controller
    b.controller.command = (text, options) =>
      text === 'M109 S200' ? heated.promise : command(text, options)
    b.controller.allow()
    await b.engine.start('aa')
    await b.engine.requestPause()
    await b.clock.advance(0)
    t.strictSame(b.controller.executed, PREPARED)
    heated.resolve(['ok'])
    await b.clock.advance(0)
    t.match(b.journal.job('aa'), { state: 'paused' })
    t.strictSame(b.controller.executed.slice(PREPARED.length), ['G28', 'M400', 'G1 X0'])
    await b.engine.resume()
    await b.finished()
    t.strictSame(b.controller.executed.slice(-COMMANDS.length), COMMANDS)
    t.match(b.journal.job('aa'), { state: 'done' })
  },
)

t.test('a print whose start script fails ends, whoever waits to pause it', async t => {
  await using b = await bench({ scripts: { start: ['M109 S200'] } })
  const heated = Promise.withResolvers<readonly string[]>()
  const { command } = b.controller
  b.controller.command = (text, options) =>
    text === 'M109 S200' ? heated.promise : command(text, options)
  await b.engine.start('aa')
  const pausing = t.rejects(b.engine.pause(), { code: 'DRIVER_HALTED' })
  heated.reject(new DriverError('DRIVER_HALTED', 'Heating failed'))
  await pausing
  await b.finished()
  t.match(b.journal.job('aa'), { state: 'failed', code: 'DRIVER_HALTED' })
})

t.test('a pause while the last lines are executed is lived out before the end', async t => {
  await using b = await bench({ scripts: { pause: ['G1 X0'], end: ['M300'] } })
  const drained = Promise.withResolvers<void>()
  const { stream } = b.controller
  b.controller.stream = async (source, options) => {
    const report = await stream(source, options)
    await drained.promise
    return report
  }
  await b.engine.start('aa')
  b.controller.allow()
  await b.controller.settled()
  await b.engine.pause()
  drained.resolve()
  await b.clock.advance(0)
  t.match(b.journal.job('aa'), { state: 'paused' })
  t.notOk(b.controller.executed.includes('M300'))
  await b.engine.resume()
  await b.finished()
  t.match(b.journal.job('aa'), { state: 'done' })
  t.equal(b.controller.executed.at(-1), 'M300')
})

t.test('a print that fails while it is parked is not parked any further', async t => {
  await using b = await bench({ scripts: { pause: ['G91', 'G1 Z5'] } })
  await b.engine.start('aa')
  b.controller.allow(2)
  await b.controller.settled()
  const lifted = Promise.withResolvers<readonly string[]>()
  const { command } = b.controller
  b.controller.command = (text, options) =>
    text === 'G91' ? lifted.promise : command(text, options)
  await b.engine.requestPause()
  await b.clock.advance(0)
  b.controller.fail(new DriverError('DRIVER_NOISE', 'noise'))
  await b.clock.advance(0)
  lifted.resolve(['ok'])
  await b.finished()
  t.match(b.journal.job('aa'), { state: 'failed', code: 'DRIVER_NOISE' })
  t.strictSame(b.controller.executed.slice(-OFF.length), OFF)
})

t.test('a pause that cannot be recorded ends the print', async t => {
  let isBroken = false
  const step = () => {
    if (isBroken) throw new CoreError('JOURNAL_WRITE', 'disk full')
  }
  await using b = await bench({ journalObserver: { step } })
  await b.engine.start('aa')
  b.controller.allow(2)
  await b.controller.settled()
  isBroken = true
  await t.rejects(b.engine.pause(), { code: 'JOURNAL_WRITE' })
  await t.rejects(b.finished(), { code: 'JOURNAL_WRITE' })
  t.strictSame(b.controller.executed.slice(-OFF.length), OFF)
  isBroken = false
})
