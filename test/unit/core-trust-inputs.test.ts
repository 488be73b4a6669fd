import { generateKeyPairSync } from 'node:crypto'
import { chmod, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import type { TimeStamp } from '../../firmware/core/journal/event-log.ts'
import { Journal } from '../../firmware/core/journal/journal.ts'
import { loadTrustBundle, parsePrinterKey, readKeyFile } from '../../firmware/core/keys.ts'
import { TrustStore } from '../../firmware/core/trust-store.ts'
import { createTrustedTime, watchClock } from '../../firmware/core/trusted-time.ts'
import { fakeClock } from '../fakes/core-clock.ts'

const loadPrinterKey = async (path: string) => parsePrinterKey(await readKeyFile(path))
const pem = (namedCurve: string) =>
  generateKeyPairSync('ec', { namedCurve }).privateKey.export({ type: 'pkcs8', format: 'pem' })

t.test('loads a P-384 key that nobody else can read', async t => {
  const path = join(t.testdir(), 'key')
  await writeFile(path, pem('P-384'), { mode: 0o600 })
  t.match(await loadPrinterKey(path), { type: 'private' })
})

t.test('refuses a key that others can read, whoever they are', async t => {
  const path = join(t.testdir(), 'key')
  await writeFile(path, pem('P-384'))
  for (const mode of [0o640, 0o604, 0o660, 0o644]) {
    await chmod(path, mode)
    await t.rejects(loadPrinterKey(path), { code: 'KEYS_MODE' }, mode.toString(8))
  }
})

t.test('refuses what is not a P-384 private key in a file of its own', async t => {
  const directory = t.testdir()
  const wrong = { curve: pem('P-256'), text: 'no key', large: Buffer.alloc(20_000) }
  for (const [name, content] of Object.entries(wrong)) {
    const path = join(directory, name)
    await writeFile(path, content, { mode: 0o600 })
    await t.rejects(loadPrinterKey(path), { code: 'KEYS_UNREADABLE' }, name)
  }
  await symlink(join(directory, 'curve'), join(directory, 'link'))
  await t.rejects(loadPrinterKey(join(directory, 'link')), { code: 'KEYS_UNREADABLE' })
  await t.rejects(loadTrustBundle(join(directory, 'none')), { code: 'KEYS_UNREADABLE' })
})

t.test('believes the wall clock when nothing contradicts it', async t => {
  const clock = fakeClock(5_000)
  const time = createTrustedTime({ clock, buildAtMs: 1_000, floorMs: 4_000 })
  t.strictSame(time.now(), { atMs: 5_000, quality: 'rtc', floorMs: 5_000 })
})

t.test('a clock that is behind the floor counts from the floor, and says so', async t => {
  const clock = fakeClock(0)
  const time = createTrustedTime({ clock, buildAtMs: 10_000, floorMs: 20_000 })
  await clock.advance(500)
  t.strictSame(time.now(), { atMs: 20_500, quality: 'floor', floorMs: 20_500 })
})

t.test('never goes back behind a signed time', async t => {
  const clock = fakeClock(1_000)
  const time = createTrustedTime({ clock, buildAtMs: 0, floorMs: 0 })
  time.observe(50_000)
  await clock.advance(10)
  t.strictSame(time.now(), { atMs: 50_010, quality: 'floor', floorMs: 50_010 })
  time.observe(40_000)
  t.equal(time.now().atMs, 50_010)
})

const HOUR_MS = 3_600_000

t.test(
  'a clock further ahead than anything supports is used, not taken into the floor',
  async t => {
    const clock = fakeClock(1_000 * HOUR_MS)
    const time = createTrustedTime({ clock, buildAtMs: 0, floorMs: HOUR_MS })
    t.strictSame(time.now(), {
      atMs: 1_000 * HOUR_MS,
      quality: 'unconfirmed',
      floorMs: HOUR_MS,
    })
    await clock.advance(5)
    t.match(time.now(), { floorMs: HOUR_MS + 5 }, 'the floor goes on with the monotonic clock')
  },
)

t.test('a signed time or a time server confirms a clock that leapt ahead', async t => {
  const clock = fakeClock(1_000 * HOUR_MS)
  const signed = createTrustedTime({ clock, buildAtMs: 0, floorMs: HOUR_MS })
  signed.observe(990 * HOUR_MS)
  t.match(signed.now(), { quality: 'rtc', floorMs: 1_000 * HOUR_MS })
  const options = { clock, buildAtMs: 0, floorMs: HOUR_MS, isSynchronised: () => true }
  t.match(createTrustedTime(options).now(), { quality: 'rtc', floorMs: 1_000 * HOUR_MS })
})

t.test('a day at a time leads no further than a day', async t => {
  let wallMs = 24 * HOUR_MS
  const clock = { ...fakeClock(), wallMs: () => wallMs }
  const time = createTrustedTime({ clock, buildAtMs: 0, floorMs: HOUR_MS })
  t.match(time.now(), { quality: 'rtc' })
  wallMs += 24 * HOUR_MS
  t.match(time.now(), { quality: 'unconfirmed', floorMs: HOUR_MS })
})

t.test('a leap of the clock is recorded once, and so is its end; the floor stays', async t => {
  let stamp: TimeStamp = { atMs: 500 * HOUR_MS, quality: 'unconfirmed', floorMs: HOUR_MS }
  using journal = new Journal({ path: join(t.testdir(), 'journal'), stamp: () => stamp })
  const clock = fakeClock()
  const ending = new AbortController()
  const time = { now: () => stamp, observe: () => undefined }
  const kept: number[] = []
  const keepFloor = async (floorMs: number) => void kept.push(floorMs)
  const ports = { journal, clock, keepFloor }
  const watching = watchClock(time, ports, ending.signal).catch(() => undefined)
  for (let round = 0; round < 121; round++) await clock.advance(60_000)
  t.equal(journal.floor('trusted-time'), HOUR_MS)
  t.strictSame(kept, [HOUR_MS, HOUR_MS, HOUR_MS], 'each hour; the leap is not kept')
  stamp = { atMs: 2 * HOUR_MS, quality: 'rtc' }
  await clock.advance(60_000)
  ending.abort()
  await watching
  const types = journal.events(0, 9).map(({ type, clock }) => [type, clock])
  t.strictSame(types, [
    ['clock.jumped', 'unconfirmed'],
    ['clock.confirmed', 'rtc'],
  ])
})

const bundleOf = (epoch: number) =>
  JSON.stringify({
    ...{ v: 1, tenant: Buffer.alloc(16).toString('base64url'), epoch, keys: [] },
    revoked: { manifests: [], grants: [] },
  })

async function storeAt(directory: string, epoch: number): Promise<[TrustStore, Journal, string]> {
  const path = join(directory, 'bundle')
  await writeFile(path, bundleOf(epoch))
  const stamp = () => ({ atMs: 1, quality: 'rtc' }) as const
  const journal = new Journal({ path: join(directory, 'journal'), stamp })
  return [await TrustStore.open({ path, journal }), journal, path]
}

t.test('takes over a newer trust bundle as soon as the file changes', async t => {
  const [store, journal, path] = await storeAt(t.testdir(), 4)
  using _ = journal
  await writeFile(path, bundleOf(15))
  await store.refresh()
  t.equal(Buffer.from(store.bytes).toString(), bundleOf(15))
  t.equal(journal.floor('trust-epoch'), 15)
  t.match(journal.events(0, 9), [{ type: 'trust.changed', detail: { epoch: 15 } }])
})

t.test(
  'keeps the trust bundle it has when the file becomes older or malformed, and says so once',
  async t => {
    const [store, journal, path] = await storeAt(t.testdir(), 14)
    using _ = journal
    for (const text of [bundleOf(3), 'no bundle', `${bundleOf(14)} `]) {
      await writeFile(path, text)
      await store.refresh()
      await store.refresh()
    }
    t.equal(Buffer.from(store.bytes).toString(), bundleOf(14))
    t.match(
      journal.events(0, 9).map(({ type, code }) => [type, code]),
      [
        ['trust.refused', 'TRUST_ROLLBACK'],
        ['trust.refused', 'MPF_SIGNER'],
        ['trust.refused', 'TRUST_ROLLBACK'],
      ],
    )
  },
)

t.test('does not start with a trust bundle older than one it has believed', async t => {
  const directory = t.testdir()
  const [, journal, path] = await storeAt(directory, 4)
  using _ = journal
  await writeFile(path, bundleOf(3))
  await t.rejects(TrustStore.open({ path, journal }), { code: 'TRUST_ROLLBACK' })
})
