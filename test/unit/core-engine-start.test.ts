/** The print engine on a bench: how a print begins, and what stops it from beginning. */
import t from 'tap'
import { DriverError } from '#drivers'
import { MpfError } from '#mpf'
import { CoreError } from '../../firmware/core/errors.ts'
import { type BenchOptions, COMMANDS, PREPARED, twoLayers } from '../fakes/core-bench.ts'

const bench = (options: Partial<BenchOptions> = {}) => twoLayers(t.testdir(), options)

t.test(
  'prints every command once and in order, and is done when the controller has drained',
  async t => {
    await using b = await bench({ scripts: { start: ['M300 S1'] } })
    const started = await b.engine.start('aa')
    t.match(started, { state: 'printing', use: 1 })
    b.controller.allow()
    await b.finished()
    t.strictSame(b.controller.executed, [...PREPARED, 'M300 S1', ...COMMANDS])
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
  t.equal(b.controller.printed, 0)
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

t.test(
  'progress is kept at most every five seconds and never ahead of an acknowledgement',
  async t => {
    await using b = await bench()
    await b.clock.advance(10_000)
    await b.engine.start('aa')
    b.controller.allow(1)
    await b.controller.settled()
    t.equal(b.journal.job('aa').ackedLine, 1)
    b.controller.allow(2)
    await b.controller.settled()
    t.equal(b.journal.job('aa').ackedLine, 1, 'five seconds have not passed')
    await b.clock.advance(5_000)
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

t.test('a file that cannot be read at its start stays ready, uncharged', async t => {
  await using b = await bench({ openFault: () => new MpfError('MPF_IO', 'read: EIO') })
  await t.rejects(b.engine.start('aa'), { code: 'MPF_IO' })
  t.match(b.journal.job('aa'), { state: 'ready', use: null })
})
