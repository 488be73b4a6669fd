import { chmodSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import t from 'tap'
import type { JournalStep } from '../../firmware/core/journal/database.ts'
import { Journal } from '../../firmware/core/journal/journal.ts'

const GRANT = 'grant-1'
const SEALED_TITLE = 'turbine blade 7'
const FACTS = {
  fileId: 'f',
  manifestDigest: 'm',
  title: SEALED_TITLE,
  grantId: GRANT,
  usesGranted: 2,
  lines: 100,
  layers: 3,
}

function journalAt(path: string, atMs = 1_000): Journal {
  return new Journal({ path, stamp: () => ({ atMs, quality: 'rtc' }) })
}

function readyJob(journal: Journal, id: string): void {
  journal.receive(
    { id, name: `${id}.mpf`, origin: 'usb', sizeBytes: 10, sha256: id },
    { type: 'job.received', job: id, message: 'copied' },
  )
  journal.admit(id, FACTS, [{ kind: 'manifest-sequence', key: 'f', value: 4 }])
}

function rewrite(path: string, sql: string): void {
  using database = new DatabaseSync(path)
  database.exec(sql)
}

const never = new AbortController().signal

t.test('a job and its events survive a reopening of the journal', async t => {
  const path = join(t.testdir(), 'journal')
  {
    using journal = journalAt(path)
    readyJob(journal, 'aa')
    journal.chargeAndStart('aa', GRANT, 2)
    await journal.checkpoint('aa', 40)
  }
  using journal = journalAt(path)
  t.match(journal.job('aa'), {
    state: 'printing',
    use: 1,
    ackedLine: 40,
    title: null,
    lines: 100,
  })
  journal.entitle('aa', 'part')
  t.equal(journal.job('aa').title, 'part')
  for (const file of [path, `${path}-wal`])
    t.notMatch(readFileSync(file, 'latin1'), SEALED_TITLE, 'a sealed title is on no disk')
  t.equal(journal.floor('manifest-sequence', 'f'), 4)
  t.equal(journal.floor('trusted-time'), 1_000)
  t.strictSame(
    journal.events(0, 10).map(({ type }) => type),
    ['job.received', 'job.admitted', 'job.started'],
  )
  t.match(await journal.verifyEvents(never), { entries: 3, isIntact: true, brokenAt: null })
  t.equal(statSync(path).mode & 0o077, 0, 'nobody else may read it')
})

t.test('a use is charged at most as often as granted, and the refused job stays ready', async t => {
  using journal = journalAt(join(t.testdir(), 'journal'))
  for (const id of ['a1', 'a2', 'a3']) readyJob(journal, id)
  t.equal(journal.chargeAndStart('a1', GRANT, 2).use, 1)
  t.equal(journal.chargeAndStart('a2', GRANT, 2).use, 2)
  const before = journal.lastSequence()
  t.throws(() => journal.chargeAndStart('a3', GRANT, 2), { code: 'MPF_USES' })
  t.match(journal.job('a3'), { state: 'ready', use: null })
  t.equal(journal.usesOf(GRANT), 2)
  t.equal(journal.lastSequence(), before, 'no event of what did not happen')
})

t.test('an unlimited grant is counted too', async t => {
  using journal = journalAt(join(t.testdir(), 'journal'))
  for (const id of ['a1', 'a2']) readyJob(journal, id)
  journal.chargeAndStart('a1', GRANT, 0)
  t.equal(journal.chargeAndStart('a2', GRANT, 0).use, 2)
})

t.test('one job is never charged twice', async t => {
  using journal = journalAt(join(t.testdir(), 'journal'))
  readyJob(journal, 'aa')
  journal.chargeAndStart('aa', GRANT, 2)
  t.throws(() => journal.chargeAndStart('aa', GRANT, 2), { code: 'JOB_STATE' })
  t.equal(journal.usesOf(GRANT), 1)
})

t.test('a change the table forbids leaves no trace', async t => {
  using journal = journalAt(join(t.testdir(), 'journal'))
  readyJob(journal, 'aa')
  const before = journal.lastSequence()
  t.throws(() => journal.advance('aa', 'finished', { type: 'job.done', message: 'no' }), {
    code: 'JOB_STATE',
  })
  t.equal(journal.job('aa').state, 'ready')
  t.equal(journal.lastSequence(), before)
})

t.test('a fault at any step before the commit leaves state and log as they were', async t => {
  for (const failing of ['begun', 'written'] as const satisfies readonly JournalStep[]) {
    const path = join(t.testdir(), `journal-${failing}`)
    let isArmed = false
    using journal = new Journal({
      path,
      stamp: () => ({ atMs: 1, quality: 'floor' }),
      observer: {
        step: step => {
          if (isArmed && step === failing) throw new RangeError('planted')
        },
      },
    })
    readyJob(journal, 'aa')
    isArmed = true
    t.throws(() => journal.chargeAndStart('aa', GRANT, 2), { message: 'planted' })
    isArmed = false
    t.match(journal.job('aa'), { state: 'ready', use: null })
    t.equal(journal.chargeAndStart('aa', GRANT, 2).use, 1)
    t.match(await journal.verifyEvents(never), { isIntact: true })
  }
})

t.test('progress never goes back', async t => {
  using journal = journalAt(join(t.testdir(), 'journal'))
  readyJob(journal, 'aa')
  await journal.checkpoint('aa', 30)
  await journal.checkpoint('aa', 20)
  t.equal(journal.job('aa').ackedLine, 30)
})

t.test('floors only rise', async t => {
  using journal = journalAt(join(t.testdir(), 'journal'))
  journal.raiseFloor({ kind: 'grant-epoch', key: '', value: 5 })
  journal.raiseFloor({ kind: 'grant-epoch', key: '', value: 3 })
  t.equal(journal.floor('grant-epoch'), 5)
})

t.test('a job is found by an unambiguous prefix of its id', async t => {
  using journal = journalAt(join(t.testdir(), 'journal'))
  for (const id of ['abc1', 'abd2']) readyJob(journal, id)
  t.equal(journal.findJob('abc').id, 'abc1')
  t.throws(() => journal.findJob('ab'), { code: 'JOB_AMBIGUOUS' })
  t.throws(() => journal.findJob('x'), { code: 'JOB_UNKNOWN' })
  t.throws(() => journal.findJob('%'), { code: 'JOB_UNKNOWN' })
})

t.test('listeners hear of an event once it is durable, and not after they left', async t => {
  using journal = journalAt(join(t.testdir(), 'journal'))
  const heard: string[] = []
  {
    using _ = journal.onEvent(({ type }) => heard.push(type))
    journal.record({ type: 'core.started', message: 'up' })
  }
  journal.record({ type: 'core.stopped', message: 'down' })
  t.strictSame(heard, ['core.started'])
})

t.test('the chain tells', async t => {
  const tampers = {
    'a changed message': [`UPDATE events SET message = 'other' WHERE sequence = 3`, 3],
    'a changed time': ['UPDATE events SET at_ms = at_ms + 1 WHERE sequence = 1', 1],
    'a changed detail': [`UPDATE events SET detail = '{"a":1}' WHERE sequence = 2`, 2],
    'a changed hash': [`UPDATE events SET hash = zeroblob(32) WHERE sequence = 2`, 2],
    'a removed entry': ['DELETE FROM events WHERE sequence = 2', 2],
    'a cut-off tail': ['DELETE FROM events WHERE sequence > 3', 4],
    'an emptied log': ['DELETE FROM events', 1],
    'two entries exchanged': [
      `UPDATE events SET sequence = 99 WHERE sequence = 2;
       UPDATE events SET sequence = 2 WHERE sequence = 3;
       UPDATE events SET sequence = 3 WHERE sequence = 99`,
      2,
    ],
  } as const
  for (const [what, [sql, brokenAt]] of Object.entries(tampers))
    await t.test(`${what}, at entry ${brokenAt}`, async t => {
      const path = join(t.testdir(), 'journal')
      {
        using journal = journalAt(path)
        for (let i = 0; i < 5; i++)
          journal.record({ type: 'core.started', message: `start ${i}`, detail: { i } })
      }
      rewrite(path, sql)
      using journal = journalAt(path)
      t.match(await journal.verifyEvents(never), { isIntact: false, brokenAt })
      const { sequence } = journal.record({ type: 'core.started', message: 'on' })
      t.equal(sequence > 5, true, 'no sequence number is given twice')
    })
})

t.test('the chain is verified over more entries than one slice', async t => {
  using journal = journalAt(join(t.testdir(), 'journal'))
  for (let i = 0; i < 600; i++) journal.record({ type: 'core.started', message: String(i) })
  t.match(await journal.verifyEvents(never), { entries: 600, isIntact: true })
  t.equal(journal.events(590, 100).length, 10)
})

t.test('whatever the text of an event, the chain verifies', async t => {
  using journal = journalAt(join(t.testdir(), 'journal'))
  for (const message of ['lone \ud800 surrogate', 'nul \u0000 inside', '"quoted" \u2028 \\', ''])
    journal.record({ type: 'core.started', message, detail: { b: message, a: null } })
  t.match(await journal.verifyEvents(never), { entries: 4, isIntact: true })
})

t.test('another program’s database is not taken for a journal', async t => {
  const path = join(t.testdir(), 'journal')
  rewrite(path, 'CREATE TABLE things (a)')
  t.throws(() => journalAt(path), { code: 'JOURNAL_FOREIGN' })
})

t.test('a journal of a newer version is not touched', async t => {
  const path = join(t.testdir(), 'journal')
  journalAt(path)[Symbol.dispose]()
  rewrite(path, 'PRAGMA user_version = 99')
  t.throws(() => journalAt(path), { code: 'JOURNAL_FOREIGN' })
})

t.test('a damaged file is a coded error', async t => {
  const path = join(t.testdir(), 'journal')
  writeFileSync(path, Buffer.alloc(8192, 'not a database'))
  chmodSync(path, 0o600)
  t.throws(() => journalAt(path), { code: 'JOURNAL_CORRUPT' })
})

t.test('a second core cannot open the journal of a running one', async t => {
  const path = join(t.testdir(), 'journal')
  using journal = journalAt(path)
  journal.record({ type: 'core.started', message: 'up' })
  t.throws(() => journalAt(path), { code: 'JOURNAL_IN_USE' })
})
