/** The rehearsal on a bench: what it lets through is printed, and whatever else becomes of it costs no use and moves nothing. */
import t, { type Test } from 'tap'
import { DriverError } from '#drivers'
import { MpfError } from '#mpf'
import { CoreError } from '../../firmware/core/errors.ts'
import { recover } from '../../firmware/core/recovery.ts'
import {
  type Bench,
  type BenchOptions,
  COMMANDS,
  PREPARED,
  twoLayers,
} from '../fakes/core-bench.ts'

const bench = (options: Partial<BenchOptions> = {}) =>
  twoLayers(t.testdir(), { isRehearsed: true, scripts: { start: ['M300 S1'] }, ...options })

/** Nothing was charged or executed; the last event says why. */
function untouched(t: Test, b: Bench, code: string): void {
  t.strictSame(
    b.controller.executed.filter(text => !PREPARED.includes(text)),
    [],
  )
  t.equal(b.journal.usesOf('grant'), 0)
  t.match(b.journal.events(0, 99).at(-1), { code })
  t.equal(b.engine.isBusy, false)
  for (const text of b.handedOut)
    t.ok(
      text.every(byte => byte === 0),
      'zeroed',
    )
}

t.test('the controller checks script and program, and then prints by itself', async t => {
  await using b = await bench()
  t.match(await b.engine.start('aa'), { state: 'ready', use: null })
  t.match(b.engine.current, { job: 'aa', progress: { phase: 'rehearsing', line: 0, lines: 9 } })
  await t.rejects(b.engine.start('aa'), { code: 'PRINTER_BUSY' })
  b.controller.allow()
  await b.finished()
  await b.finished()
  t.strictSame(b.controller.rehearsed, ['M300 S1', ...COMMANDS])
  t.strictSame(b.controller.executed, [...PREPARED, ...PREPARED, 'M300 S1', ...COMMANDS])
  t.strictSame(b.types().slice(-3), ['job.rehearsed', 'job.started', 'job.done'])
  t.match(b.journal.job('aa'), { state: 'done', use: 1 })
  t.strictSame(b.ended, ['aa'])
  t.equal(b.handedOut.length, 4, 'verified and opened twice, kept never')
})

t.test('its progress is what the controller took, in lines and layers', async t => {
  await using b = await bench()
  await b.engine.start('aa')
  b.controller.allow()
  const seen: number[] = []
  using _ = b.machine.onEvent(() => {
    const { progress } = b.engine.current ?? {}
    if (progress?.phase === 'rehearsing') seen.push(progress.line, progress.layer)
  })
  await b.finished()
  t.strictSame(seen.slice(0, 2), [1, 1])
  t.strictSame(seen.slice(-2), [9, 2])
})

t.test('a line the controller does not take refuses the job for good, by its number', async t => {
  await using b = await bench()
  const refusal = new DriverError('DRIVER_COMMAND_REFUSED', 'line 9: error:20', { line: 9 })
  b.controller.refuse('M104 S0', refusal)
  await b.engine.start('aa')
  b.controller.allow()
  await b.finished()
  untouched(t, b, 'PRINTER_REFUSED_PROGRAM')
  t.match(b.journal.job('aa'), {
    ...{ state: 'refused', code: 'PRINTER_REFUSED_PROGRAM', message: 'line 9: error:20' },
    use: null,
  })
  t.match(b.journal.events(0, 99).at(-1), { type: 'job.rehearsal_failed', detail: { line: 9 } })
  t.strictSame(b.ended, ['aa'])
})

t.test('a file that reads otherwise now is refused for good', async t => {
  const error = new MpfError('MPF_BLOCK', 'block 2: digest mismatch')
  await using b = await bench({ fault: { at: 1, error } })
  await b.engine.start('aa')
  b.controller.allow()
  await b.finished()
  untouched(t, b, 'MPF_CHANGED_MEDIA')
  t.match(b.journal.job('aa'), { state: 'refused', use: null })
})

t.test('a person cancels it', async t => {
  await using b = await bench()
  await b.engine.start('aa')
  t.match(await b.engine.cancel(undefined), { state: 'cancelled', use: null })
  untouched(t, b, 'JOB_CANCELLED')
  t.strictSame(b.ended, ['aa'])
})

t.test('it can be neither paused nor resumed', async t => {
  await using b = await bench()
  await b.engine.start('aa')
  await t.rejects(b.engine.requestPause(), { code: 'JOB_STATE' })
  await t.rejects(b.engine.pause(), { code: 'JOB_STATE' })
  await t.rejects(b.engine.resume(), { code: 'JOB_STATE' })
})

t.test('what judges nobody leaves the job ready, to be started again', async t => {
  const lost = new DriverError('DRIVER_PORT_LOST', 'gone')
  const script = new DriverError('DRIVER_COMMAND_REFUSED', '$C: error:9')
  for (const error of [lost, script, new MpfError('MPF_IO', 'unreadable')]) {
    await using b = await bench()
    await b.engine.start('aa')
    b.controller.fail(error)
    await b.finished()
    untouched(t, b, error.code)
    t.match(b.journal.job('aa'), { state: 'ready', code: null, use: null })
    t.equal(b.types().at(-1), 'job.rehearsal_failed')
    t.strictSame(b.ended, [])
    t.match(await b.engine.start('aa'), { state: 'ready' })
  }
})

t.test('an emergency stop ends it at once', async t => {
  await using b = await bench()
  await b.engine.start('aa')
  await b.engine.stop()
  t.equal(b.controller.isStopped, true)
  const told = b.journal.events(0, 99).filter(({ type }) => type === 'job.rehearsal_failed')
  t.match(told, [{ code: 'JOB_STOPPED' }])
  t.match(b.journal.job('aa'), { state: 'ready', use: null })
})

t.test('the end of the core ends it, and the job is there in the next life', async t => {
  await using b = await bench()
  await b.engine.start('aa')
  await b.engine.close()
  untouched(t, b, 'JOB_INTERRUPTED')
  t.match(b.journal.job('aa'), { state: 'ready', use: null })
})

t.test('a core that was killed in it finds the job ready, and nothing to make up for', async t => {
  await using b = await bench()
  await b.engine.start('aa')
  const before = b.types()
  await recover(b, new AbortController().signal)
  t.strictSame(b.types(), before)
  t.match(b.journal.job('aa'), { state: 'ready', use: null })
  t.strictSame((await b.spool.contents()).ids, ['aa'])
})

t.test(
  'the file is opened with the time of the print: one that expired meanwhile is not',
  async t => {
    let opened = 0
    const openFault = () => (++opened === 2 ? new MpfError('MPF_EXPIRED', 'expired') : undefined)
    await using b = await bench({ openFault })
    await b.engine.start('aa')
    b.controller.allow()
    await b.finished()
    untouched(t, b, 'MPF_EXPIRED')
    t.equal(b.types().at(-1), 'admission.refused')
    t.match(b.journal.job('aa'), { state: 'refused', code: 'MPF_EXPIRED' })
  },
)

t.test('a printer that was locked meanwhile does not print', async t => {
  let isLocked = false
  const expectStartAllowed = () => {
    if (isLocked) throw new CoreError('PRINTER_LOCKED', 'locked')
  }
  await using b = await bench({ expectStartAllowed })
  await b.engine.start('aa')
  isLocked = true
  b.controller.allow()
  await b.finished()
  untouched(t, b, 'PRINTER_LOCKED')
  t.match(b.journal.job('aa'), { state: 'ready' })
})

t.test('cancelled while the file is opened for the print, it does not begin', async t => {
  let opened = 0
  let cancelling: Promise<unknown> | undefined
  const openFault = () => {
    if (++opened === 2) cancelling = b.engine.cancel(undefined)
    return undefined
  }
  const b = await bench({ openFault })
  await b.engine.start('aa')
  b.controller.allow()
  await b.finished()
  await cancelling
  untouched(t, b, 'JOB_CANCELLED')
  t.match(b.journal.job('aa'), { state: 'cancelled', use: null })
  await b[Symbol.asyncDispose]()
})
