import { execFileSync } from 'node:child_process'
import { mkdir, readdir, rename, rm, symlink, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { type FileSource, openFileSource } from '#lib/file-source.ts'
import { CoreError } from '../../firmware/core/errors.ts'
import { displayName, kindOfName } from '../../firmware/core/intake/names.ts'
import { Stick } from '../../firmware/core/intake/stick.ts'
import { watchMount } from '../../firmware/core/intake/watch-mount.ts'
import { Spool } from '../../firmware/core/spool.ts'
import { mount, never, SETTLE_MS } from '../fakes/core-mount.ts'

t.test('takes a sealed file, whatever the case of its name', async t => {
  using m = await mount(t)
  await m.put('Part.MPF')
  await m.look()
  const [job] = m.journal.jobs()
  t.match(job, { name: 'Part.MPF', state: 'received', origin: 'usb', sizeBytes: 12 })
  t.strictSame(await readdir(m.spoolDirectory), [`${job?.id}.mpf`])
  t.equal(m.spool.usedBytes, 12)
  t.strictSame(m.events(), ['job.received'])
})

t.test('takes a file once, even in another life of the core', async t => {
  using m = await mount(t)
  await m.put('part.mpf')
  await m.look()
  await m.look()
  const again = new Stick(m.directory, 0, {
    ...m,
    newId: () => 'ffffffff',
    onReceived: () => undefined,
  })
  await again.scan(never)
  t.equal(m.journal.jobs().length, 1)
})

t.test('takes a file again once it changed, or the stick came back', async t => {
  using m = await mount(t)
  const path = await m.put('part.mpf', 'first')
  await m.look()
  await writeFile(path, 'second')
  await m.look()
  t.equal(m.journal.jobs().length, 2)
  await rename(m.directory, `${m.directory}-pulled`)
  await m.stick.scan(never)
  await rename(`${m.directory}-pulled`, m.directory)
  await m.look()
  t.equal(m.events().at(-1), 'intake.duplicate', 'the queue still holds these bytes')
})

t.test('waits until a file that is being written has settled', async t => {
  using m = await mount(t)
  const path = await m.put('part.mpf', 'half')
  await m.stick.scan(never)
  await m.clock.advance(SETTLE_MS - 1)
  await writeFile(path, 'half and more')
  await m.stick.scan(never)
  await m.clock.advance(1)
  await m.stick.scan(never)
  t.strictSame(m.events(), [])
  await m.look()
  t.match(m.journal.jobs(), [{ sizeBytes: 13 }])
})

t.test('makes one job of the same bytes under two names', async t => {
  using m = await mount(t)
  await m.put('a.mpf')
  await m.put('b.mpf')
  await m.look()
  t.equal(m.journal.jobs().length, 1)
  t.equal((await readdir(m.spoolDirectory)).length, 1)
  t.equal(m.spool.usedBytes, 12)
  t.match(m.journal.events(0, 9).at(-1), { type: 'intake.duplicate', job: m.journal.jobs()[0]?.id })
})

t.test('refuses plain print files, once each', async t => {
  using m = await mount(t)
  for (const name of ['a.gcode', 'B.GCO', 'c.g', 'd.3mf', 'e.bgcode']) await m.put(name)
  await m.put('readme.txt')
  await m.put('._a.gcode')
  await m.look()
  await m.look()
  const events = m.journal.events(0, 99)
  t.equal(events.length, 5)
  for (const event of events)
    t.match(event, { type: 'intake.plaintext_refused', code: 'INTAKE_PLAINTEXT' })
  t.strictSame(await readdir(m.spoolDirectory), [])
})

t.test('follows no link and opens no device', async t => {
  using m = await mount(t)
  const outside = join(m.directory, '..', 'outside.mpf')
  await writeFile(outside, 'elsewhere')
  await symlink(outside, join(m.directory, 'link.mpf'))
  execFileSync('mkfifo', [join(m.directory, 'fifo.mpf')])
  await mkdir(join(m.directory, 'folder.mpf'))
  await writeFile(join(m.directory, 'folder.mpf', 'inner.mpf'), 'x')
  await m.look()
  t.strictSame(m.journal.jobs(), [])
  t.strictSame(
    m.journal.events(0, 9).map(({ type, code }) => [type, code]),
    [
      ['intake.refused', 'INTAKE_NOT_REGULAR'],
      ['intake.refused', 'INTAKE_NOT_REGULAR'],
    ],
  )
})

t.test('a file swapped for a link between look and open is not followed', async t => {
  using m = await mount(t)
  const outside = join(m.directory, '..', 'outside.mpf')
  await writeFile(outside, 'elsewhere')
  const path = await m.put('part.mpf')
  const swapping = new Stick(m.directory, 0, {
    ...m,
    newId: () => '00000001',
    onReceived: () => undefined,
    openSource: async path => {
      await rm(path)
      await symlink(outside, path)
      return openFileSource(path, message => new CoreError('INTAKE_INTERRUPTED', message))
    },
  })
  await swapping.scan(never)
  t.ok(path)
  t.strictSame(m.journal.jobs(), [])
  t.match(m.journal.events(0, 9), [{ type: 'intake.interrupted', code: 'INTAKE_INTERRUPTED' }])
})

t.test('refuses an empty and a too large file', async t => {
  using m = await mount(t)
  await m.put('empty.mpf', '')
  await m.put('large.mpf', 'x'.repeat(501))
  await m.look()
  for (const event of m.journal.events(0, 9))
    t.match(event, { type: 'intake.refused', code: 'INTAKE_SIZE' })
  t.equal(m.events().length, 2)
})

t.test('a full spool refuses a file once, and takes it when there is room', async t => {
  using m = await mount(t)
  for (const name of ['a', 'b', 'c']) await m.put(`${name}.mpf`, name.repeat(400))
  await m.look()
  await m.look()
  t.strictSame(m.events(), ['job.received', 'job.received', 'intake.spool_refused'])
  t.equal(m.journal.events(2, 1)[0]?.code, 'SPOOL_FULL')
  await m.spool.remove(m.journal.jobs()[0]?.id ?? '')
  await m.look()
  t.equal(m.events().at(-1), 'job.received')
  t.equal(m.journal.jobs().length, 3)
})

t.test('leaves the free space of the disk that it must', async t => {
  using m = await mount(t, { limits: { reserveBytes: Number.MAX_SAFE_INTEGER } })
  await m.put('part.mpf')
  await m.look()
  t.match(m.journal.events(0, 9), [{ type: 'intake.spool_refused', code: 'SPOOL_RESERVE' }])
})

function brokenSource(path: string, breakIt: (source: FileSource) => Partial<FileSource>) {
  return openFileSource(path, message => new CoreError('INTAKE_INTERRUPTED', message)).then(
    source => ({ ...source, ...breakIt(source) }),
  )
}

t.test('a stick pulled in the middle of the copy leaves no trace in the spool', async t => {
  using m = await mount(t, {
    openSource: path =>
      brokenSource(path, () => ({
        read: () => Promise.reject(new CoreError('INTAKE_INTERRUPTED', 'read: EIO')),
      })),
  })
  await m.put('part.mpf')
  await m.look()
  await m.look()
  t.match(m.journal.events(0, 9), [{ type: 'intake.interrupted', code: 'INTAKE_INTERRUPTED' }])
  t.strictSame(await readdir(m.spoolDirectory), [])
  t.equal(m.spool.usedBytes, 0)
})

t.test('a file that changes during the copy is not taken', async t => {
  using m = await mount(t, {
    openSource: path =>
      brokenSource(path, source => ({
        read: async (offset, length) => {
          const bytes = await source.read(offset, length)
          await utimes(path, 1, 1)
          return bytes
        },
      })),
  })
  await m.put('part.mpf')
  await m.look()
  t.match(m.journal.events(0, 9)[0], { type: 'intake.interrupted', code: 'INTAKE_CHANGED' })
  t.strictSame(await readdir(m.spoolDirectory), [])
})

t.test('unfinished copies of an earlier life are removed at start', async t => {
  const directory = t.testdir({ '00000001.mpf.tmp': 'half', '00000002.mpf': 'whole' })
  const spool = await Spool.open(directory, { maxBytes: 9, maxFileBytes: 9, reserveBytes: 0 })
  t.strictSame(await readdir(directory), ['00000002.mpf'])
  t.equal(spool.usedBytes, 5)
})

t.test('a watched mount is looked at again and again until the end', async t => {
  using m = await mount(t)
  await m.put('part.mpf')
  const ending = new AbortController()
  const options = { directory: m.directory, pollIntervalMs: SETTLE_MS, clock: m.clock }
  const watching = watchMount(m.stick, options, ending.signal)
  while (m.journal.jobs().length === 0) await m.clock.advance(SETTLE_MS)
  ending.abort(new Error('enough'))
  await t.rejects(watching, { message: 'enough' })
})

t.test('names say what a file promises to be, and are safe to show', async t => {
  t.equal(kindOfName('x.MPF'), 'sealed')
  t.equal(kindOfName('.x.mpf'), 'other')
  t.equal(kindOfName('x.GCode'), 'plaintext')
  t.equal(kindOfName('mpf'), 'other')
  t.equal(displayName('a\u001b[31m\u202eb\n.mpf'), 'a?[31m?b?.mpf')
  t.equal([...displayName(`${'é'.repeat(200)}.mpf`)].length, 80)
  t.equal(displayName('Häuschen 2.mpf'), 'Häuschen 2.mpf')
})

t.test('a file on FAT is the same after a boot, though its inode is not', async t => {
  using m = await mount(t)
  const path = await m.put('part.mpf')
  const writtenAt = new Date('2026-11-01T12:00:00Z')
  await utimes(path, writtenAt, writtenAt)
  await m.look()
  await m.put('renumbered')
  await utimes(join(m.directory, 'renumbered'), writtenAt, writtenAt)
  await rename(join(m.directory, 'renumbered'), path)
  const again = new Stick(m.directory, 0, {
    ...m,
    newId: () => 'ffffffff',
    onReceived: () => undefined,
  })
  await again.scan(never)
  t.strictSame(m.events(), ['job.received'])
})

t.test(
  'a sealed file is found among more pictures and plain files than anybody copies',
  async t => {
    using m = await mount(t)
    const names = Array.from({ length: 1_100 }, (_, i) => [`${i}.jpg`, `${i}.gcode`]).flat()
    await Promise.all(names.slice(0, 1_100).map(name => m.put(name)))
    await m.put('part.mpf')
    await Promise.all(names.slice(1_100).map(name => m.put(name)))
    await m.stick.scan(never)
    await m.clock.advance(SETTLE_MS)
    const ending = new AbortController()
    const scanning = m.stick.scan(ending.signal)
    t.match(m.journal.jobs(), [])
    while (m.journal.jobs().length === 0) await new Promise(resolve => setImmediate(resolve))
    ending.abort()
    await scanning.catch(() => undefined)
    t.match(m.journal.jobs(), [{ name: 'part.mpf' }])
  },
)

t.test('two copies at once do not both fit into the last gap', async t => {
  using m = await mount(t, { limits: { maxBytes: 100 } })
  const sources = await Promise.all(
    ['a', 'b'].map(async name =>
      openFileSource(await m.put(`${name}.mpf`, name.repeat(60)), message => new Error(message)),
    ),
  )
  const taken = await Promise.allSettled(
    sources.map((source, i) => m.spool.take(source, `0000000${i}`, never)),
  )
  for (const source of sources) await source[Symbol.asyncDispose]()
  t.strictSame(taken.map(({ status }) => status).sort(), ['fulfilled', 'rejected'])
  t.equal(m.spool.usedBytes, 60)
})
