import { generateKeyPairSync } from 'node:crypto'
import { chmod, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { loadPrinterKey, loadTrustBundle } from '../../firmware/core/keys.ts'
import { createTrustedTime } from '../../firmware/core/trusted-time.ts'
import { fakeClock } from '../fakes/core-clock.ts'

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
  t.strictSame(time.now(), { atMs: 5_000, quality: 'rtc' })
})

t.test('a clock that is behind the floor counts from the floor, and says so', async t => {
  const clock = fakeClock(0)
  const time = createTrustedTime({ clock, buildAtMs: 10_000, floorMs: 20_000 })
  await clock.advance(500)
  t.strictSame(time.now(), { atMs: 20_500, quality: 'floor' })
})

t.test('never goes back behind a signed time', async t => {
  const clock = fakeClock(1_000)
  const time = createTrustedTime({ clock, buildAtMs: 0, floorMs: 0 })
  time.observe(50_000)
  await clock.advance(10)
  t.strictSame(time.now(), { atMs: 50_010, quality: 'floor' })
  time.observe(40_000)
  t.equal(time.now().atMs, 50_010)
})
