/** A print cut off by a crash or a power cut: what the journal says of it, and how it goes on without a second use. */
import t from 'tap'
import { DriverError } from '#drivers'
import { MpfError } from '#mpf'
import { CoreError } from '../../firmware/core/errors.ts'
import { recover } from '../../firmware/core/recovery.ts'
import {
  addReadyJob,
  type Bench,
  type BenchOptions,
  engineBench,
  PREPARED,
} from '../fakes/core-bench.ts'

const never = new AbortController().signal
const BLOCKS = [
  'G28\nG90\nM82\nM104 S210\nM204 P800\nG1 Z0.2 F600\n',
  ';LAYER\nG1 X1 E1 F1500\nM106 S99\nG1 X2 E2\nG1 X3 E3\nM104 S0\n',
]
/** `G1 X2 E2`. */
const LAST_LINE = 10

/** The life after the one that was cut off at `LAST_LINE`. */
async function interrupted(options: Partial<BenchOptions> = {}): Promise<Bench> {
  const b = await engineBench(t.testdir(), {
    ...{ blocks: BLOCKS, onInterruption: 'ask', bootId: 'boot-1' },
    ...options,
  })
  b.journal.chargeAndStart('aa', 'grant', 1)
  await b.journal.checkpoint('aa', LAST_LINE)
  await recover(b, never)
  return b
}

t.test(
  'a print that was cut off waits, keeps its file and its use, and blocks no power switch',
  async t => {
    await using b = await interrupted()
    t.match(b.journal.job('aa'), { state: 'interrupted', use: 1, code: 'JOB_INTERRUPTED' })
    t.equal(b.journal.job('aa').endedAtMs, null)
    t.match(b.journal.events(0, 99).at(-1), {
      type: 'job.interrupted',
      detail: { ackedLine: LAST_LINE },
    })
    t.same((await b.spool.contents()).ids, ['aa'])
    b.controller.onEvent({ kind: 'lost', error: new Error('gone') })
    await b.clock.advance(0)
    t.strictSame(
      b.controller.executed,
      ['M104 S0', 'M140 S0', 'M107'],
      'heaters off until somebody decides',
    )
  },
)

t.test('a print cut off before its first acknowledgement fails', async t => {
  await using b = await engineBench(t.testdir(), { blocks: BLOCKS, onInterruption: 'ask' })
  b.journal.chargeAndStart('aa', 'grant', 1)
  await recover(b, never)
  t.match(b.journal.job('aa'), { state: 'failed', code: 'JOB_INTERRUPTED' })
})

t.test('the policy may be to fail every print that was cut off', async t => {
  await using b = await interrupted({ onInterruption: 'fail' })
  t.match(b.journal.job('aa'), { state: 'failed', code: 'JOB_INTERRUPTED' })
})

t.test('goes on hot, homed in X and Y only, at the exact line, with the same use', async t => {
  await using b = await interrupted({ scripts: { start: ['M300'], recover: ['G1 E5 F200'] } })
  t.match(await b.engine.resume(), { state: 'printing', use: 1 })
  b.controller.allow()
  await b.finished()
  t.strictSame(b.controller.executed, [
    ...PREPARED,
    'G21',
    'M104 T0 S210',
    'M109 T0 S210',
    'G91',
    'G1 Z5 F600',
    'G90',
    'G28 X Y',
    'M204 P800',
    'G1 E5 F200',
    'M104 T0 S210',
    'M109 T0 S210',
    'G90',
    'G1 X7 Y8 F6000',
    'G1 Z0.2 F600',
    'G92 E1.5',
    'G1 F1500',
    'M106 S99',
    'G90',
    'M82',
    'G1 X3 E3',
    'M104 S0',
  ])
  t.notOk(
    b.controller.executed.some(line => /G28(?! X Y)/.test(line)),
    'never Z into the part',
  )
  t.match(b.journal.job('aa'), { state: 'done', use: 1 })
  t.equal(b.journal.usesOf('grant'), 1)
  t.match(
    b.journal.events(0, 99).find(({ type }) => type === 'job.continued'),
    { detail: { use: 1, fromLine: 11, isSameBoot: true, isPositionKept: true } },
  )
  for (const text of b.handedOut)
    t.ok(
      text.every(byte => byte === 0),
      'zeroed',
    )
})

t.test(
  'a controller that lost power is told its height and repeats what its planner held',
  async t => {
    await using b = await interrupted()
    b.controller.hasPosition = false
    await b.engine.resume()
    b.controller.allow()
    await b.finished()
    const { executed } = b.controller
    t.ok(executed.indexOf('G92 Z0.2') > 0)
    t.ok(executed.indexOf('G92 Z0.2') < executed.indexOf('G1 Z5 F600'), 'before it is lifted')
    t.ok(executed.includes('G1 X2 E2'), 'acknowledged, but perhaps never moved')
    t.match(
      b.journal.events(0, 99).find(({ type }) => type === 'job.continued'),
      { detail: { isPositionKept: false } },
    )
  },
)

t.test('goes on after the line at whose end the controller says it stands', async t => {
  await using b = await interrupted({ standingLine: 11 })
  await b.engine.resume()
  b.controller.allow()
  await b.finished()
  t.notOk(b.controller.executed.includes('G1 X3 E3'), 'executed before the crash')
  t.match(
    b.journal.events(0, 99).find(({ type }) => type === 'job.continued'),
    { message: /stands where that line ends/, detail: { fromLine: 12, isExact: true } },
  )
})

t.test('without its word the bound of what is printed again is said', async t => {
  await using b = await interrupted()
  t.match(b.journal.job('aa').message, /at most 5 s/)
  await b.engine.resume()
  t.match(
    b.journal.events(0, 99).find(({ type }) => type === 'job.continued'),
    { message: /at most 5 s, is printed again/, detail: { isExact: false } },
  )
})

for (const [dialect, height] of [
  ['marlin', 'G92 Z0.2'],
  ['prusa', 'G92 Z0.2'],
  ['buddy', 'G92 Z0.2'],
  ['smoothie', 'G92 Z0.2'],
  ['reprap', 'G92 Z0.2'],
  ['klipper', 'SET_KINEMATIC_POSITION Z=0.2'],
  ['grbl', undefined],
  ['grblhal', undefined],
] as const)
  t.test(`${dialect} after a restart: ${height ?? 'not resumable, and said so'}`, async t => {
    await using b = await interrupted()
    Object.assign(b.controller, { identity: { ...b.controller.identity, dialect } })
    b.controller.hasPosition = false
    if (height === undefined) {
      await t.rejects(b.engine.resume(), { code: 'JOB_NOT_RESUMABLE', message: /where it stands/ })
      t.match(b.journal.job('aa'), { state: 'interrupted' })
      return
    }
    await b.engine.resume()
    b.controller.allow()
    await b.finished()
    t.ok(b.controller.executed.includes(height))
    t.match(b.journal.job('aa'), { state: 'done', use: 1 })
  })

t.test('is not lifted above the machine', async t => {
  await using b = await interrupted({ modal: { zNm: 208e6 } })
  await b.engine.resume()
  b.controller.allow()
  await b.finished()
  t.ok(b.controller.executed.includes('G1 Z2 F600'))
})

t.test('a print whose place nobody knows is not resumed, and stays to be cancelled', async t => {
  await using b = await interrupted({ modal: { bits: 0 } })
  await t.rejects(b.engine.resume(), { code: 'JOB_NOT_RESUMABLE' })
  t.match(b.journal.job('aa'), { state: 'interrupted' })
  t.strictSame(b.controller.executed, [])
  t.match(await b.engine.cancel(undefined), { state: 'cancelled', use: 1 })
  t.strictSame(b.ended, ['aa'])
})

t.test('a file that no longer passes ends the interrupted print', async t => {
  await using b = await interrupted({ openFault: () => new MpfError('MPF_REVOKED', 'revoked') })
  await t.rejects(b.engine.resume(), { code: 'MPF_REVOKED' })
  t.match(b.journal.job('aa'), { state: 'failed', code: 'MPF_REVOKED', use: 1 })
})

t.test('no other print starts over an unfinished part', async t => {
  await using b = await interrupted()
  addReadyJob(b.journal, b.spool, 'bb', 1)
  await t.rejects(b.engine.start('bb'), { code: 'PRINTER_BUSY' })
})

t.test('a resume that is cut off as well can be resumed again', async t => {
  await using b = await interrupted()
  await b.engine.resume()
  b.controller.fail(new DriverError('DRIVER_PORT_LOST', 'port closed'))
  await b.finished()
  t.match(b.journal.job('aa'), { state: 'interrupted', ackedLine: LAST_LINE, use: 1 })
  t.strictSame(b.ended, [], 'its file is still needed')
  t.match(await b.engine.resume(), { state: 'printing', use: 1 })
})

t.test('a controller lost in the middle of a print interrupts it, heaters off', async t => {
  await using b = await engineBench(t.testdir(), { blocks: BLOCKS, onInterruption: 'ask' })
  await b.engine.start('aa')
  b.controller.allow(7)
  await b.controller.settled()
  b.controller.fail(new DriverError('DRIVER_RESET', 'restarted'))
  await b.finished()
  t.match(b.journal.job('aa'), { state: 'interrupted', code: 'DRIVER_RESET', ackedLine: 8 })
  t.strictSame(b.types().slice(-2), ['printer.safe_stop', 'job.interrupted'])
})

t.test('what somebody or something judged is not an interruption', async t => {
  await using b = await engineBench(t.testdir(), { blocks: BLOCKS, onInterruption: 'ask' })
  await b.engine.start('aa')
  b.controller.allow(7)
  await b.controller.settled()
  b.controller.fail(new CoreError('PRINTER_SCRIPT', 'no'))
  await b.finished()
  t.match(b.journal.job('aa'), { state: 'failed', code: 'PRINTER_SCRIPT' })
})

t.test('a signed lock holds an interrupted print too', async t => {
  await using b = await interrupted({
    expectStartAllowed: () => {
      throw new CoreError('PRINTER_LOCKED', 'locked')
    },
  })
  await t.rejects(b.engine.resume(), { code: 'PRINTER_LOCKED' })
})
