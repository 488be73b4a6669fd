import t from 'tap'
import { DriverError } from '#drivers'
import { MpfError } from '#mpf'
import { CoreError } from '../../firmware/core/errors.ts'
import { type Bench, type BenchOptions, engineBench } from '../fakes/core-bench.ts'

const BLOCKS = [
  'G28\nG90\nM82\nM104 S210\nG1 Z0.2 F600\n',
  ';LAYER\nG1 X1 E1 F1500\nG1 X2 E2\nM104 S0\n',
]
const COMMANDS = BLOCKS.join('')
  .split('\n')
  .filter(line => line !== '' && !line.startsWith(';'))
const HEATERS_OFF = ['M104 S0', 'M140 S0']

function bench(options: Partial<BenchOptions> = {}): Promise<Bench> {
  return engineBench(t.testdir(), { blocks: BLOCKS, ...options })
}

t.test(
  'prints every command once and in order, and is done when the controller has drained',
  async t => {
    await using b = await bench({ scripts: { start: ['M300 S1'] } })
    const started = await b.engine.start('aa')
    t.match(started, { state: 'printing', use: 1 })
    b.controller.allow()
    await b.finished()
    t.strictSame(b.controller.executed, ['M300 S1', ...COMMANDS])
    t.match(b.journal.job('aa'), { state: 'done', ackedLine: 9, code: null })
    t.strictSame(b.types().slice(-2), ['job.started', 'job.done'])
    t.strictSame(b.ended, ['aa'])
    for (const text of b.handedOut)
      t.equal(
        text.every(byte => byte === 0),
        true,
        'zeroed',
      )
  },
)

t.test('charges the use before the first byte', async t => {
  await using b = await bench()
  await b.engine.start('aa')
  t.strictSame(b.controller.executed, [])
  t.equal(b.journal.usesOf('grant'), 1)
})

t.test('refuses a second print while one is running', async t => {
  await using b = await bench()
  await b.engine.start('aa')
  await t.rejects(b.engine.start('aa'), { code: 'PRINTER_BUSY' })
})

t.test('does not start, and does not charge, without a controller', async t => {
  await using b = await bench()
  await b.machine[Symbol.asyncDispose]()
  await t.rejects(b.engine.start('aa'), { code: 'PRINTER_OFFLINE' })
  t.match(b.journal.job('aa'), { state: 'ready', use: null })
})

t.test('refuses for good a job that expired since it was admitted', async t => {
  await using b = await bench({ openFault: () => new MpfError('MPF_EXPIRED', 'expired') })
  await t.rejects(b.engine.start('aa'), { code: 'MPF_EXPIRED' })
  t.match(b.journal.job('aa'), { state: 'refused', code: 'MPF_EXPIRED', use: null })
  t.equal(b.types().at(-1), 'admission.refused')
  t.strictSame(b.controller.executed, [])
  t.strictSame(b.ended, ['aa'])
})

t.test('refuses a file that is not the one that was admitted', async t => {
  await using b = await bench({ manifestDigest: 'another' })
  await t.rejects(b.engine.start('aa'), { code: 'MPF_CHANGED_MEDIA' })
  t.match(b.journal.job('aa'), { state: 'refused', code: 'MPF_CHANGED_MEDIA', use: null })
})

t.test('a block that no longer verifies stops the machine safely and fails the job', async t => {
  const error = new MpfError('MPF_SEG_AUTH', 'segment 3: tag mismatch', { segment: 3 })
  await using b = await bench({ fault: { at: 1, error }, scripts: { abnormalEnd: ['M84'] } })
  await b.engine.start('aa')
  b.controller.allow()
  await b.finished()
  t.strictSame(b.controller.executed, [...COMMANDS.slice(0, 5), ...HEATERS_OFF, 'M84'])
  t.match(b.journal.job('aa'), { state: 'failed', code: 'MPF_CHANGED_MEDIA', use: 1 })
  t.match(b.journal.job('aa').message, /MPF_SEG_AUTH.*at least line 5 acknowledged/)
  t.strictSame(b.types().slice(-2), ['printer.safe_stop', 'job.failed'])
})

t.test(
  'a fault of the controller fails the job with its code and is not charged again',
  async t => {
    await using b = await bench({ usesGranted: 3 })
    await b.engine.start('aa')
    b.controller.allow(2)
    await b.controller.settled()
    b.controller.fail(new DriverError('DRIVER_ACK_TIMEOUT', 'no answer', { line: 2 }))
    await b.finished()
    t.match(b.journal.job('aa'), { state: 'failed', code: 'DRIVER_ACK_TIMEOUT', ackedLine: 2 })
    t.equal(b.journal.usesOf('grant'), 1)
  },
)

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
  t.strictSame(b.controller.executed.slice(-2), HEATERS_OFF)
})

t.test('cancelling ends with the cancel script and says who', async t => {
  await using b = await bench({ scripts: { cancel: ['G28 X'] } })
  await b.engine.start('aa')
  b.controller.allow(3)
  await b.controller.settled()
  t.match(await b.engine.cancel(undefined), { state: 'cancelled', code: 'JOB_CANCELLED' })
  t.strictSame(b.controller.executed, [...COMMANDS.slice(0, 3), ...HEATERS_OFF, 'G28 X'])
  t.equal(b.engine.isBusy, false)
})

t.test('a ready job is cancelled without a word to the controller', async t => {
  await using b = await bench()
  t.match(await b.engine.cancel('aa'), { state: 'cancelled', use: null })
  t.strictSame(b.controller.executed, [])
  t.strictSame(b.ended, ['aa'])
})

t.test(
  'pausing drains, parks and records; resuming puts heat, place and modes back first',
  async t => {
    await using b = await bench({ scripts: { pause: ['G91', 'G1 Z5', 'G90'], resume: ['M300'] } })
    await b.engine.start('aa')
    b.controller.allow(6)
    await b.controller.settled()
    t.match(await b.engine.pause(), { state: 'paused', ackedLine: 7 })
    t.equal(b.engine.isPaused, true)
    t.strictSame(b.controller.executed.slice(6), ['M400', 'M114', 'G91', 'G1 Z5', 'G90'])
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

t.test('the emergency stop sends nothing after the stop and fails the job', async t => {
  await using b = await bench({ scripts: { abnormalEnd: ['M84'] } })
  await b.engine.start('aa')
  b.controller.allow(2)
  await b.controller.settled()
  t.match(await b.engine.stop(), { state: 'failed', code: 'JOB_STOPPED' })
  t.equal(b.controller.isStopped, true)
  t.strictSame(b.controller.executed, COMMANDS.slice(0, 2))
  t.ok(b.types().includes('printer.stopped'))
})

t.test(
  'progress is kept at most every four seconds and never ahead of an acknowledgement',
  async t => {
    await using b = await bench()
    await b.clock.advance(10_000)
    await b.engine.start('aa')
    b.controller.allow(1)
    await b.controller.settled()
    t.equal(b.journal.job('aa').ackedLine, 1)
    b.controller.allow(2)
    await b.controller.settled()
    t.equal(b.journal.job('aa').ackedLine, 1, 'four seconds have not passed')
    await b.clock.advance(4_000)
    b.controller.allow(1)
    await b.controller.settled()
    t.equal(b.journal.job('aa').ackedLine, 4)
    t.match(b.engine.current?.progress, {
      line: 4,
      lines: 9,
      layer: 1,
      layers: 2,
      phase: 'printing',
    })
  },
)

t.test('ending the core stops a print safely and says why it failed', async t => {
  await using b = await bench({ scripts: { abnormalEnd: ['M84'] } })
  await b.engine.start('aa')
  b.controller.allow(1)
  await b.controller.settled()
  await b.engine.close()
  t.match(b.journal.job('aa'), { state: 'failed', code: 'JOB_INTERRUPTED', ackedLine: 1 })
  t.strictSame(b.controller.executed.slice(1), [...HEATERS_OFF, 'M84'])
  await t.rejects(b.engine.start('aa'), { code: 'JOB_INTERRUPTED' })
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

t.test(
  'a fault nobody foresaw still turns the heaters off, is recorded, and ends the core',
  async t => {
    await using b = await bench({ fault: { at: 1, error: new RangeError('bug') } })
    await b.engine.start('aa')
    b.controller.allow()
    await t.rejects(b.finished(), { message: 'bug' })
    t.match(b.journal.job('aa'), { state: 'failed', code: 'JOB_INTERRUPTED' })
    t.strictSame(b.controller.executed.slice(-2), HEATERS_OFF)
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
  t.strictSame(b.controller.executed.slice(-2), HEATERS_OFF)
  isBroken = false
  t.match(b.journal.job('aa'), { state: 'printing', use: 1 }, 'the next start tells the truth')
})

t.test('a charge that cannot be made durable sends nothing', async t => {
  let isBroken = false
  const step = (at: string) => {
    if (isBroken && at === 'written') throw new CoreError('JOURNAL_WRITE', 'disk full')
  }
  await using b = await bench({ journalObserver: { step } })
  isBroken = true
  await t.rejects(b.engine.start('aa'), { code: 'JOURNAL_WRITE' })
  isBroken = false
  t.strictSame(b.controller.executed, [])
  t.match(b.journal.job('aa'), { state: 'ready', use: null })
  t.equal(b.engine.isBusy, false)
})

t.test('a job whose file has gone since fails at its start', async t => {
  const openFault = () => new CoreError('JOB_FILE_LOST', 'open: ENOENT')
  await using b = await bench({ openFault })
  await t.rejects(b.engine.start('aa'), { code: 'JOB_FILE_LOST' })
  t.match(b.journal.job('aa'), { state: 'failed', code: 'JOB_FILE_LOST', use: null })
})

t.test('a controller lost while the file is opened costs no use', async t => {
  await using b = await bench({
    openFault: () => {
      b.controller.onEvent({ kind: 'lost', error: new Error('gone') })
      return undefined
    },
  })
  await t.rejects(b.engine.start('aa'), { code: 'PRINTER_OFFLINE' })
  t.match(b.journal.job('aa'), { state: 'ready', use: null })
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
  t.strictSame(b.controller.executed, [...COMMANDS, 'M140 S0', 'M107'])
  t.match(b.journal.job('aa'), { state: 'done' })
})

t.test(
  'an end script that fails is told, and the heaters go off when the link is back',
  async t => {
    await using b = await bench({ scripts: { end: ['M140 S0'] } })
    await b.engine.start('aa')
    const lost = new DriverError('DRIVER_PORT_LOST', 'port closed')
    b.controller.refuse('M140 S0', lost)
    b.controller.allow()
    await b.finished()
    t.match(b.journal.job('aa'), { state: 'done', code: null }, 'every line was executed')
    t.strictSame(b.types().slice(-2), ['printer.end_failed', 'job.done'])
    b.controller.onEvent({ kind: 'lost', error: lost })
    await b.clock.advance(0)
    t.strictSame(b.controller.executed.slice(-2), HEATERS_OFF)
  },
)

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

t.test('a file that cannot be read at its start stays ready, uncharged', async t => {
  await using b = await bench({ openFault: () => new MpfError('MPF_IO', 'read: EIO') })
  await t.rejects(b.engine.start('aa'), { code: 'MPF_IO' })
  t.match(b.journal.job('aa'), { state: 'ready', use: null })
})

t.test('a new layer is kept after two seconds', async t => {
  await using b = await bench()
  await b.clock.advance(10_000)
  await b.engine.start('aa')
  b.controller.allow(1)
  await b.controller.settled()
  await b.clock.advance(2_000)
  b.controller.allow(5)
  await b.controller.settled()
  t.equal(b.journal.job('aa').ackedLine, 7)
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
