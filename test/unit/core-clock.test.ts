/** A clock that is behind: raised once at boot to the latest time known, never set back, never by a clock that ran ahead. */
import { execFile } from 'node:child_process'
import { chmod, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { test } from 'tap'
import { keepFloor, raiseClock } from '../../firmware/core/raise-clock.ts'
import { createTrustedTime } from '../../firmware/core/trusted-time.ts'
import { fakeClock } from '../fakes/core-clock.ts'
import { deskPrinter } from '../fakes/core-printer.ts'

const BUILD_MS = Date.UTC(2026, 10, 22)
const FLOOR_MS = Date.UTC(2027, 2, 3)
const ROOT = join(import.meta.dirname, '../..')

function machine(wallMs: number) {
  const set: number[] = []
  const time = {
    wallMs: () => set.at(-1) ?? wallMs,
    set: async (atMs: number) => void set.push(atMs),
  }
  return { set, time }
}

test('1970 becomes the kept floor, or the day of the build where nothing was kept', async t => {
  const kept = t.testdir()
  await keepFloor(kept, FLOOR_MS)
  const one = machine(0)
  t.equal(await raiseClock(kept, one.time, BUILD_MS), FLOOR_MS)
  t.equal(await raiseClock(kept, one.time, BUILD_MS), null, 'once')
  t.same(one.set, [FLOOR_MS])
  const two = machine(0)
  t.equal(await raiseClock(t.testdir({ empty: {} }), two.time, BUILD_MS), BUILD_MS)
})

test('a clock that is ahead of everything known is left alone', async t => {
  const kept = t.testdir()
  await keepFloor(kept, FLOOR_MS)
  const { set, time } = machine(FLOOR_MS + 1)
  t.equal(await raiseClock(kept, time, BUILD_MS), null)
  t.same(set, [])
  await keepFloor(kept, FLOOR_MS + 60_000)
  t.equal((await stat(join(kept, 'clock'))).mtimeMs, FLOOR_MS + 60_000)
})

test('a raised clock counts as the floor until a time server stands behind it', async t => {
  const clock = { ...fakeClock(), wallMs: () => FLOOR_MS + 500 }
  let isSynchronised = false
  const time = createTrustedTime({
    ...{ clock, buildAtMs: BUILD_MS, floorMs: FLOOR_MS },
    isSynchronised: () => isSynchronised,
    isRaised: () => true,
  })
  t.match(time.now(), { atMs: FLOOR_MS + 500, quality: 'floor', floorMs: FLOOR_MS })
  isSynchronised = true
  t.match(time.now(), { quality: 'rtc' })
})

test('mpfd-clock under a clock of 1970 sets it to the kept floor', async t => {
  const run = promisify(execFile)
  const hasFaketime = await run('faketime', ['--version']).then(
    () => true,
    () => false,
  )
  if (!hasFaketime) return t.comment('not tried: faketime is not installed')
  await using printer = await deskPrinter()
  const { stateDirectory } = printer.config
  await run('mkdir', ['-p', stateDirectory])
  await keepFloor(stateDirectory, FLOOR_MS)
  const asked = join(printer.directory, 'asked')
  const date = join(printer.directory, 'date')
  await writeFile(date, `#!/bin/sh\necho "$@" >> ${asked}\n`)
  await chmod(date, 0o755)
  const env = { ...process.env, PATH: `${printer.directory}:${process.env.PATH}` }
  const args = ['1970-01-02 00:00:00', join(ROOT, 'bin/mpfd-clock'), '--config', printer.configFile]
  // Outside its unit the mark has no directory: the clock is set before that.
  await run('faketime', args, { env }).catch(() => undefined)
  t.equal(await readFile(asked, 'utf8'), `--set @${FLOOR_MS / 1000}\n`)
})
