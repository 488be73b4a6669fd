import { mkdirSync, readdirSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { CoreError } from '../../firmware/core/errors.ts'
import { recover } from '../../firmware/core/recovery.ts'
import { addReadyJob, engineBench } from '../fakes/core-bench.ts'

const never = new AbortController().signal
const bench = () => engineBench(t.testdir(), { blocks: ['G28\n'] })

t.test('a job left printing fails with what is known of it, and the heaters go off', async t => {
  await using b = await bench()
  b.journal.chargeAndStart('aa', 'grant', 1)
  await b.journal.checkpoint('aa', 7)
  await recover(b, never)
  const job = b.journal.job('aa')
  t.match(job, { state: 'failed', code: 'JOB_INTERRUPTED', use: 1, ackedLine: 7 })
  t.match(job.message, /at least line 7 acknowledged/)
  t.match(
    b.journal.events(0, 99).find(({ type }) => type === 'job.failed'),
    {
      job: 'aa',
      code: 'JOB_INTERRUPTED',
      detail: { ackedLine: 7 },
    },
  )
  const lost = new Error('gone')
  b.controller.onEvent({ kind: 'lost', error: lost })
  await b.clock.advance(0)
  t.strictSame(b.controller.executed, ['M104 S0', 'M140 S0', 'M107'])
})

t.test('a job left paused fails the same way', async t => {
  await using b = await bench()
  b.journal.chargeAndStart('aa', 'grant', 1)
  b.journal.advance('aa', 'paused', { type: 'job.paused', job: 'aa', message: 'paused' })
  await recover(b, never)
  t.match(b.journal.job('aa'), { state: 'failed', code: 'JOB_INTERRUPTED' })
})

t.test('the file of an ended job is removed, its journal entry is not', async t => {
  await using b = await bench()
  b.journal.chargeAndStart('aa', 'grant', 1)
  await recover(b, never)
  t.same((await b.spool.contents()).ids, [])
  t.match(b.journal.events(0, 99).at(-1), { type: 'spool.removed', job: 'aa' })
})

t.test('a ready job stays ready and is not started by itself', async t => {
  await using b = await bench()
  t.strictSame(await recover(b, never), [])
  t.equal(b.journal.job('aa').state, 'ready')
})

t.test('received jobs are admitted again, in order of arrival', async t => {
  await using b = await bench()
  for (const id of ['00000002', '00000001']) {
    writeFileSync(b.spool.pathOf(id), id)
    b.journal.receive(
      { id, name: 'x.mpf', origin: 'usb', sizeBytes: 8, sha256: id },
      { type: 'job.received', job: id, message: 'copied' },
    )
  }
  t.strictSame(await recover(b, never), ['00000002', '00000001'])
})

t.test('a waiting job whose file is gone fails', async t => {
  await using b = await bench()
  unlinkSync(b.spool.pathOf('aa'))
  await recover(b, never)
  t.match(b.journal.job('aa'), { state: 'failed', code: 'JOB_FILE_LOST' })
})

t.test('a whole file without a job becomes one', async t => {
  await using b = await bench()
  writeFileSync(b.spool.pathOf('00000009'), 'sealed too')
  t.strictSame(await recover(b, never), ['00000009'])
  t.match(b.journal.job('00000009'), { state: 'received', sizeBytes: 10, name: '00000009.mpf' })
  t.equal(b.types().at(-1), 'spool.adopted')
})

t.test('a file without a job that is another’s twin is removed', async t => {
  await using b = await bench()
  writeFileSync(b.spool.pathOf('00000008'), 'twin')
  writeFileSync(b.spool.pathOf('00000009'), 'twin')
  t.equal((await recover(b, never)).length, 1)
  t.equal(b.types().at(-1), 'spool.removed')
})

t.test('anything else in the spool is removed with a record', async t => {
  await using b = await bench()
  const directory = join(b.spool.pathOf('x'), '..')
  writeFileSync(join(directory, 'plain.gcode'), 'G28')
  mkdirSync(join(directory, 'folder.mpf'))
  addReadyJob(b.journal, b.spool, '00000007', 1)
  await recover(b, never)
  t.strictSame(readdirSync(directory).sort(), ['00000007.mpf', 'aa.mpf'].sort())
  t.equal(b.types().filter(type => type === 'spool.removed').length, 2)
})

t.test('a file that the disk gives back no more does not keep the core from starting', async t => {
  await using b = await bench()
  writeFileSync(b.spool.pathOf('00000009'), 'sealed too')
  b.spool.measureFile = () => Promise.reject(new CoreError('JOB_FILE_LOST', 'read: EIO'))
  t.strictSame(await recover(b, never), [])
  t.match(b.journal.events(0, 99).at(-1), { type: 'spool.removed', message: /cannot be read/ })
})
