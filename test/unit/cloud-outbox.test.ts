/** The outbox: contiguous numbers, bounds by class, losses told, and nothing forgotten across a restart. */
import { copyFile, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { type Test, test } from 'tap'
import { cosignedSize, keepCosignature } from '../../firmware/cloud/cosignature.ts'
import { Outbox } from '../../firmware/cloud/outbox.ts'
import { decodeBatch, encodeBatch } from '../../firmware/cloud/wire.ts'

const LIMITS = { eventBytes: 2000, telemetryBytes: 100_000 }
const text = (n: number) => Buffer.from(JSON.stringify(`item ${n}`))

async function place(t: Test): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'cloud-outbox-'))
  t.teardown(() => rm(directory, { recursive: true }))
  return join(directory, 'outbox.sqlite')
}

test('numbers go on across a restart and after everything was acknowledged', async t => {
  const path = await place(t)
  {
    using outbox = new Outbox(path, LIMITS)
    t.equal(outbox.append('resp', [text(1), text(2)]), 2)
    t.ok(outbox.ack('resp', 2))
  }
  using outbox = new Outbox(path, LIMITS)
  t.equal(outbox.append('resp', [text(3)]), 3)
  t.same(
    outbox.read('resp', outbox.ackedOf('resp'), 10, 1000).items.map(({ seq }) => seq),
    [3],
  )
})

const numbersOf = (outbox: Outbox, after: number) =>
  outbox.read('tele', after, 1000, 1e6).items.map(({ seq }) => seq)

/** What another process finds in the file. */
const onDisk = (path: string) => {
  const database = new DatabaseSync(path, { readOnly: true })
  const [row] = database.prepare(`SELECT count(*) AS n FROM items WHERE stream = 'tele'`).all()
  database.close()
  return row?.n
}

test('telemetry that is acknowledged soon never touches the disk; an orderly end keeps the rest', async t => {
  const path = await place(t)
  {
    using outbox = new Outbox(path, LIMITS)
    for (let i = 1; i <= 100; i++) {
      t.equal(outbox.append('tele', [Buffer.alloc(2000, i)]), i)
      t.ok(outbox.ack('tele', i - 1))
    }
    t.equal(onDisk(path), 0)
    t.same(numbersOf(outbox, 99), [100])
  }
  t.equal(onDisk(path), 1)
  using outbox = new Outbox(path, LIMITS)
  t.equal(outbox.ackedOf('tele'), 99)
  t.equal(outbox.append('tele', [text(101)]), 101)
  t.same(numbersOf(outbox, 99), [100, 101])
})

test('telemetry that waits is written in time, in its order', async t => {
  const path = await place(t)
  using outbox = new Outbox(path, LIMITS)
  for (let i = 1; i <= 30; i++) outbox.append('tele', [Buffer.alloc(1000, i)])
  t.equal(onDisk(path), 17, 'all but what memory holds')
  t.same(
    numbersOf(outbox, 0),
    Array.from({ length: 30 }, (_, i) => i + 1),
  )
  outbox.ack('tele', 20)
  t.same(numbersOf(outbox, 20), [21, 22, 23, 24, 25, 26, 27, 28, 29, 30])
  t.equal(onDisk(path), 0)
})

test('after a crash no number of telemetry is given a second time, and what is missing is told', async t => {
  const path = await place(t)
  const crashed = new Outbox(path, LIMITS)
  for (let i = 1; i <= 10; i++) crashed.append('tele', [text(i)])
  crashed.ack('tele', 4)
  // What a process that was killed leaves behind.
  const left = `${path}-left`
  for (const suffix of ['', '-wal']) await copyFile(`${path}${suffix}`, `${left}${suffix}`)
  crashed[Symbol.dispose]()
  using outbox = new Outbox(left, LIMITS)
  const next = outbox.append('tele', [text(11)])
  t.ok(next > 10, `goes on with ${next}`)
  const { items, lost } = outbox.read('tele', outbox.ackedOf('tele'), 10, 1000)
  t.same(
    items.map(({ seq }) => seq),
    [next],
  )
  t.same(lost, [1, next - 1])
})

test('an acknowledgement of what was never sent changes nothing', async t => {
  using outbox = new Outbox(await place(t), LIMITS)
  outbox.append('resp', [text(1)])
  t.notOk(outbox.ack('resp', 2))
  t.equal(outbox.read('resp', 0, 10, 1000).items.length, 1)
})

test('events keep the numbers of the core, and a gap is refused', async t => {
  using outbox = new Outbox(await place(t), LIMITS)
  outbox.appendEvents([{ seq: 1, body: text(1) }])
  t.throws(() => outbox.appendEvents([{ seq: 3, body: text(3) }]), { code: 'CLOUD_CORE' })
  t.equal(outbox.lastOf('evt'), 1)
})

test('a full event store says so and drops nothing; an acknowledgement makes room', async t => {
  using outbox = new Outbox(await place(t), LIMITS)
  let seq = 0
  while (!outbox.isEventStoreFull) outbox.appendEvents([{ seq: ++seq, body: text(seq) }])
  t.equal(outbox.read('evt', 0, 1000, 1e6).items.length, seq)
  outbox.ack('evt', seq)
  t.notOk(outbox.isEventStoreFull)
})

test('telemetry is thinned to one in six from the old end, then dropped, and the gap is told', async t => {
  using outbox = new Outbox(await place(t), LIMITS)
  const body = Buffer.alloc(200, 1)
  for (let i = 0; i < 900; i++) outbox.append('tele', [body])
  t.ok(outbox.bytesOf('tele') <= LIMITS.telemetryBytes)
  t.equal(outbox.lastOf('tele'), 900)
  const seen: number[] = []
  const lost: number[] = []
  for (let after = 0; after < 900; ) {
    const slice = outbox.read('tele', after, 100, 1e6)
    if (slice.lost) for (let n = slice.lost[0]; n <= slice.lost[1]; n++) lost.push(n)
    for (const { seq } of slice.items) seen.push(seq)
    after = slice.items.at(-1)?.seq ?? 900
  }
  t.same(
    [...seen, ...lost].sort((a, b) => a - b),
    Array.from({ length: 900 }, (_, i) => i + 1),
  )
  t.ok(seen.length > 150, `${seen.length} kept`)
})

test('a batch that is not what its header says, or a bomb, is refused', async t => {
  const header = {
    v: 1,
    dev: 'T',
    ten: 't',
    boot: 'b',
    ses: 1,
    str: 'evt',
    seq0: 1,
    n: 2,
    ts: 0,
    clk: 'rtc',
    enc: 'json+deflate',
  } as const
  const good = encodeBatch(header, [text(1), text(2)])
  t.same(decodeBatch(good).items, ['item 1', 'item 2'])
  t.throws(() => decodeBatch(encodeBatch({ ...header, n: 3 }, [text(1), text(2)])), {
    code: 'CLOUD_MALFORMED',
  })
  const bomb = encodeBatch({ ...header, n: 1 }, [Buffer.from(JSON.stringify('x'.repeat(9 << 20)))])
  t.throws(() => decodeBatch(bomb), { code: 'CLOUD_MALFORMED' })
})

test('answers and segments are bounded too: the oldest go, and the gap is told', async t => {
  using outbox = new Outbox(await place(t), LIMITS)
  const many = Array.from({ length: 5000 }, (_, i) => text(i))
  outbox.append('seg', many)
  t.match(outbox.read('seg', 0, 1, 1000), { items: [{ seq: 1001 }], lost: [1, 1000] })
  outbox.append('resp', [...many, ...many])
  t.match(outbox.read('resp', 0, 1, 1000), { items: [{ seq: 1 }], lost: undefined })
  outbox.append('resp', [text(0)])
  t.match(outbox.read('resp', 0, 1, 1000), { items: [{ seq: 2 }], lost: [1, 1] })
})

test('an acknowledgement that comes again brings back no older cosignature', async t => {
  using outbox = new Outbox(await place(t), LIMITS)
  t.equal(cosignedSize(outbox), 0)
  t.ok(keepCosignature(outbox, { size: 9, line: 'new' }))
  t.notOk(keepCosignature(outbox, { size: 9, line: 'again' }))
  t.notOk(keepCosignature(outbox, { size: 5, line: 'old' }))
  t.notOk(keepCosignature(outbox, undefined))
  t.equal(cosignedSize(outbox), 9)
})
