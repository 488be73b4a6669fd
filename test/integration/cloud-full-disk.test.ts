/** A courier whose disk fills up: it stays, says so at both ends, and loses no event and no answer; what waited follows once there is room. */
import { spawnSync } from 'node:child_process'
import { appendFile, mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'tap'
import { type Link, topicOf } from '#cloud'
import { signCommand } from '../../fleet/commands.ts'
import { fleet, printer, startCourier, startDeskCore, until } from '../fakes/cloud-bench.ts'

/** A file system of one mebibyte; false where nobody may mount one. */
async function mountTiny(directory: string): Promise<boolean> {
  await mkdir(directory, { mode: 0o700 })
  return spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', directory]).status === 0
}

/** Takes all the room there is, to the last byte. */
async function fill(path: string): Promise<void> {
  for (const bytes of [64 * 1024, 4096, 1])
    for (let isFull = false; !isFull; )
      await appendFile(path, Buffer.alloc(bytes)).catch(() => {
        isFull = true
      })
}

test('a full disk ends nothing: events wait in the core, a command is carried out once, and all of it arrives', async t => {
  await using on = await fleet('aedes')
  const desk = await printer(on, 'P-1')
  const place = join(desk.directory, 'cloud')
  if (!(await mountTiny(place))) return t.comment('not tried: nothing can be mounted here')
  await using unmounting = new AsyncDisposableStack()
  unmounting.defer(() => void spawnSync('umount', ['-l', place]))
  await using core = await startDeskCore(desk)
  let link: Link | undefined
  await using _ingest = await on.startIngest({ onLink: opened => (link = opened) })
  await using courier = startCourier(desk)
  const types = () => core.journal.events(0, 10_000).map(({ type }) => type)
  await until(() => types().includes('cloud.connected') && on.store.fact('P-1', 'birth'))

  await fill(join(place, 'filler'))
  const message = 'an event that takes its room '.repeat(8)
  await until(() => {
    if (core.alarms.size === 0) core.journal.record({ type: 'job.received', message })
    return core.alarms.size > 0
  })
  t.same([...core.alarms], ['CLOUD_STORE'], 'mpfctl status shows it')
  await until(() => types().includes('cloud.store_failed'))
  await until(() => {
    const state = on.store.fact('P-1', 'state') as { degraded?: string[] } | undefined
    return state?.degraded?.includes('CLOUD_STORE')
  })
  const { envelope } = signCommand(
    {
      ...{ device: 'P-1', tenant: on.tenant.id, verb: 'lock', issuer: 'test', args: {} },
      atMs: Date.now(),
    },
    [await on.tenant.key('security')],
  )
  await link?.publish({ topic: topicOf('P-1', 'cmd'), payload: envelope })
  await until(() => core.done.includes('lock'))
  core.journal.record({ type: 'job.done', message: 'while the disk was full' })
  t.equal(on.store.contiguous('P-1', 'resp'), 0, 'not answered before the answer is written')

  await rm(join(place, 'filler'))
  await until(() => types().includes('cloud.store_recovered'))
  const { sequence } = core.journal.record({ type: 'job.received', message: 'the last' })
  await until(() => (on.store.log('P-1')?.proven ?? 0) >= sequence)
  await until(() => on.store.contiguous('P-1', 'resp') === 1)
  t.same(core.done, ['lock'])
  t.equal(core.alarms.size, 0)
  t.same(on.store.alerts('P-1'), [], 'no gap, nothing forged')
  const isRunning = await Promise.race([courier.running.then(() => false), Promise.resolve(true)])
  t.ok(isRunning)
})
