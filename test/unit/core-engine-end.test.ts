/** The print engine on a bench: every way a print ends, and how far it had come. */
import t from 'tap'
import { DriverError } from '#drivers'
import { MpfError } from '#mpf'
import { CoreError } from '../../firmware/core/errors.ts'
import { type BenchOptions, COMMANDS, OFF, PREPARED, twoLayers } from '../fakes/core-bench.ts'

const bench = (options: Partial<BenchOptions> = {}) => twoLayers(t.testdir(), options)

t.test('a block that no longer verifies stops the machine safely and fails the job', async t => {
  const error = new MpfError('MPF_SEG_AUTH', 'segment 3: tag mismatch', { segment: 3 })
  await using b = await bench({ fault: { at: 1, error }, scripts: { abnormalEnd: ['M84'] } })
  await b.engine.start('aa')
  b.controller.allow()
  await b.finished()
  t.strictSame(b.controller.executed, [...PREPARED, ...COMMANDS.slice(0, 5), ...OFF, 'M84'])
  t.match(b.journal.job('aa'), { state: 'failed', code: 'MPF_CHANGED_MEDIA', use: 1 })
  t.match(b.journal.job('aa').message, /MPF_SEG_AUTH.*at least line 5 acknowledged/)
  t.strictSame(b.types().slice(-2), ['printer.safe_stop', 'job.failed'])
})

t.test('a safe stop that fails is told, and made up for when the controller is back', async t => {
  await using b = await bench()
  await b.engine.start('aa')
  b.controller.allow(1)
  await b.controller.settled()
  const lost = new DriverError('DRIVER_PORT_LOST', 'port closed')
  b.controller.refuse('M104 S0', lost)
  b.controller.fail(lost)
  await b.finished()
  t.strictSame(b.types().slice(-2), ['printer.safe_stop_failed', 'job.failed'])
  b.controller.onEvent({ kind: 'lost', error: lost })
  await b.clock.advance(0)
  t.strictSame(b.types().slice(-3), ['printer.lost', 'printer.connected', 'printer.safe_stop'])
  t.match(b.journal.events(0, 100).at(-3), { code: 'DRIVER_PORT_LOST' })
  t.strictSame(b.controller.executed.slice(-3), OFF)
})

t.test('cancelling ends with the cancel script and says who', async t => {
  await using b = await bench({ scripts: { cancel: ['G28 X'] } })
  await b.engine.start('aa')
  b.controller.allow(3)
  await b.controller.settled()
  t.match(await b.engine.cancel(undefined), { state: 'cancelled', code: 'JOB_CANCELLED' })
  t.strictSame(b.controller.executed, [...PREPARED, ...COMMANDS.slice(0, 3), ...OFF, 'G28 X'])
  t.equal(b.engine.isBusy, false)
})

t.test('a ready job is cancelled without a word to the controller', async t => {
  await using b = await bench()
  t.match(await b.engine.cancel('aa'), { state: 'cancelled', use: null })
  t.strictSame(b.controller.executed, [])
  t.strictSame(b.ended, ['aa'])
})

t.test('the emergency stop sends nothing after the stop and fails the job', async t => {
  await using b = await bench({ scripts: { abnormalEnd: ['M84'] } })
  await b.engine.start('aa')
  b.controller.allow(2)
  await b.controller.settled()
  t.match(await b.engine.stop(), { state: 'failed', code: 'JOB_STOPPED' })
  t.equal(b.controller.isStopped, true)
  t.strictSame(b.controller.executed, [...PREPARED, ...COMMANDS.slice(0, 2)])
  t.ok(b.types().includes('printer.stopped'))
})

t.test('ending the core stops a print safely and says why it failed', async t => {
  await using b = await bench({ scripts: { abnormalEnd: ['M84'] } })
  await b.engine.start('aa')
  b.controller.allow(1)
  await b.controller.settled()
  await b.engine.close()
  t.match(b.journal.job('aa'), { state: 'failed', code: 'JOB_INTERRUPTED', ackedLine: 1 })
  t.strictSame(b.controller.executed.slice(4), [...OFF, 'M84'])
  await t.rejects(b.engine.start('aa'), { code: 'JOB_INTERRUPTED' })
})

t.test(
  'a fault nobody foresaw still turns the heaters off, is recorded, and ends the core',
  async t => {
    await using b = await bench({ fault: { at: 1, error: new RangeError('bug') } })
    await b.engine.start('aa')
    b.controller.allow()
    await t.rejects(b.finished(), { message: 'bug' })
    t.match(b.journal.job('aa'), { state: 'failed', code: 'JOB_INTERRUPTED' })
    t.strictSame(b.controller.executed.slice(-3), OFF)
  },
)

t.test('a print that can no longer be recorded stops, heaters off', async t => {
  let isBroken = false
  const step = () => {
    if (isBroken) throw new CoreError('JOURNAL_WRITE', 'disk full')
  }
  await using b = await bench({ journalObserver: { step } })
  await b.clock.advance(10_000)
  await b.engine.start('aa')
  isBroken = true
  b.controller.allow()
  await t.rejects(b.finished(), { code: 'JOURNAL_WRITE' })
  t.strictSame(b.controller.executed.slice(-3), OFF)
  isBroken = false
  t.match(b.journal.job('aa'), { state: 'printing', use: 1 }, 'the next start tells the truth')
})

t.test('the emergency stop works without a print, and says so without a controller', async t => {
  await using b = await bench()
  t.equal(await b.engine.stop(), undefined)
  t.equal(b.controller.isStopped, true)
  const closing = b.machine[Symbol.asyncDispose]()
  await t.rejects(b.engine.stop(), { code: 'PRINTER_OFFLINE' })
  await closing
})

t.test('a program that leaves the bed on does not leave the printer hot', async t => {
  await using b = await bench({ scripts: { end: ['M140 S0', 'M107'] } })
  await b.engine.start('aa')
  b.controller.allow()
  await b.finished()
  t.strictSame(b.controller.executed, [...PREPARED, ...COMMANDS, 'M140 S0', 'M107'])
  t.match(b.journal.job('aa'), { state: 'done' })
})

t.test('an end script that fails is told, and the heaters go off all the same', async t => {
  await using b = await bench({ scripts: { end: ['M140 S0'] } })
  await b.engine.start('aa')
  const lost = new DriverError('DRIVER_PORT_LOST', 'port closed')
  b.controller.refuse('M140 S0', lost)
  b.controller.allow()
  await b.finished()
  t.match(b.journal.job('aa'), { state: 'done', code: null }, 'every line was executed')
  t.strictSame(b.types().slice(-3), ['printer.end_failed', 'printer.safe_stop', 'job.done'])
  t.strictSame(b.controller.executed.slice(-3), OFF)
})

t.test('an emergency stop during the end script still fails the job', async t => {
  await using b = await bench({ scripts: { end: ['M140 S0'] } })
  await b.engine.start('aa')
  const { promise, reject } = Promise.withResolvers<readonly string[]>()
  const { command } = b.controller
  b.controller.command = (text, options) => {
    options?.signal?.addEventListener('abort', () => reject(options.signal?.reason))
    return text === 'M140 S0' ? promise : command(text, options)
  }
  b.controller.allow()
  await b.controller.settled()
  await b.engine.stop()
  t.match(b.journal.job('aa'), { state: 'failed', code: 'JOB_STOPPED' })
})

t.test(
  'flash wears by a kept line each five seconds, whatever the program and the controller say',
  async t => {
    const steps: string[] = []
    const layer = (at: number) => `${'G1 X1 E1 F1500\n'.repeat(100)}G1 Z${at} F600\n`
    await using b = await bench({
      blocks: [layer(1), layer(2), layer(3), layer(4)],
      journalObserver: { step: at => void steps.push(at) },
    })
    await b.engine.start('aa')
    steps.length = 0
    for (let line = 0; line < 400; line++) {
      b.controller.allow(1)
      await b.controller.settled()
      b.controller.onEvent({ kind: 'resend', from: line, reason: 'line damaged or lost' })
      b.controller.onEvent({ kind: 'temperatures', temperatures: b.controller.temperatures })
      await b.clock.advance(100)
    }
    // The disk is not waited for: the last one here comes behind all that are on their way.
    await b.journal.checkpoint('aa', 0)
    const kept = steps.filter(at => at === 'checkpointed').length - 1
    // 40 s in four layers.
    t.ok(kept >= 7 && kept <= 9, `${kept} lines kept`)
    t.equal(steps.length, kept + 1, 'and nothing else is written')
    b.controller.allow()
    await b.finished()
  },
)
