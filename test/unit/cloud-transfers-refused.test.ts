/** Offered jobs that do not go as offered: cancelled, wrong, not trusted, too many, and a disk that is full. */
import { mkdir, readdir, readFile, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { test } from 'tap'
import type { EventView } from '#lib/control-protocol.ts'
import { BLOCK_BYTES } from '../../firmware/cloud/incoming-file.ts'
import { roster } from '../fakes/cloud-roster.ts'
import { signingKey } from '../fakes/core-printer.ts'
import { large, life, place, small, sum, until } from '../fakes/transfer-desk.ts'

test('cancelled in the middle: nothing is left, the next goes on, and the same offer is not fetched again', async t => {
  const desk = await place(t)
  const [first, next] = [await desk.offer(large), await desk.offer(small)]
  const here = life(
    t,
    desk,
    new Map([
      [first.offer, large],
      [next.offer, small],
    ]),
  )
  here.blocks = 9
  await here.transfers.offered(first)
  await until(() => here.blocks === 0)
  await here.transfers.offered(next)
  here.blocks = Number.POSITIVE_INFINITY
  await here.transfers.cancelled(first.offer)
  await until(() => here.finished.length === 1)
  const asked = sum(here.asked, first)
  await here.transfers.offered(first)
  await here.transfers.block(first.offer, 0, Buffer.alloc(1))
  t.same(here.finished, [next.offer])
  t.equal(sum(here.asked, first), asked)
  const left = await readdir(join(desk.directory, 'drop'), { recursive: true })
  t.notOk(left.some(name => name.includes(first.offer) && !name.endsWith('.json')))
})

test('a wrong block is refused at once, and it alone is asked for again', async t => {
  const desk = await place(t)
  const offer = await desk.offer(large)
  let sent = 0
  const here = life(t, desk, new Map([[offer.offer, large]]), bytes => {
    sent += 1
    if (sent !== 12) return bytes
    const wrong = Buffer.from(bytes)
    wrong[bytes.length - 1] = (wrong.at(-1) ?? 0) ^ 1
    return wrong
  })
  await here.transfers.offered(offer)
  await until(() => here.finished.length === 1)
  t.same(here.refused, ['CLOUD_BLOCK'])
  t.equal(sum(here.asked, offer) - offer.sizeBytes, BLOCK_BYTES)
})

test('grants that come apart from the file lie beside it, and more offers than can wait are refused', async t => {
  const desk = await place(t)
  const offer = await desk.offer(small, 5, [Buffer.from('one'), Buffer.from('two')])
  const here = life(t, desk, new Map([[offer.offer, small]]))
  await here.transfers.offered(offer)
  await until(() => here.finished.length === 1)
  const beside = ['0', '1'].map(n =>
    readFile(join(desk.directory, `drop/${offer.offer}-${n}.mpfg`)),
  )
  t.same((await Promise.all(beside)).map(String), ['one', 'two'])
  here.blocks = 0
  for (let i = 0; i < 31; i++) await here.transfers.offered(await desk.offer(small))
  await t.rejects(here.transfers.offered(await desk.offer(small)), { code: 'CLOUD_OFFER' })
})

test('files that were handed over and not taken yet count as waiting: a full spool does not fill the disk', async t => {
  const desk = await place(t)
  const offers = [await desk.offer(small), await desk.offer(small)]
  const here = life(t, desk, new Map(offers.map(({ offer }) => [offer, small])))
  for (const offer of offers) await here.transfers.offered(offer)
  await until(() => here.finished.length === 2)
  here.blocks = 0
  for (let i = 0; i < 30; i++) await here.transfers.offered(await desk.offer(small))
  const one = await desk.offer(small)
  await t.rejects(here.transfers.offered(one), { code: 'CLOUD_OFFER' })
  const taken = { type: 'intake.duplicate', detail: { name: `${offers[0]?.offer}.mpf` } }
  await here.transfers.dropped.saw([taken as unknown as EventView])
  await here.transfers.offered(one)
})

test('blocks that come while a file is put aside, cancelled or handed over are no fault', async t => {
  const desk = await place(t)
  const [slow, urgent] = [await desk.offer(large, 2), await desk.offer(small, 8)]
  const files = new Map([
    [slow.offer, large],
    [urgent.offer, small],
  ])
  const here = life(t, desk, files)
  here.blocks = 20
  await here.transfers.offered(slow)
  await until(() => here.blocks === 0)
  let isEnding = false
  const storm = (async () => {
    for (let at = 0; !isEnding; at = (at + BLOCK_BYTES) % slow.sizeBytes) {
      for (let n = 0; n < 4; n++)
        void here.transfers.block(slow.offer, at, large.subarray(at, at + BLOCK_BYTES))
      await new Promise(resolve => setImmediate(resolve))
    }
  })()
  await here.transfers.offered(urgent)
  here.blocks = Number.POSITIVE_INFINITY
  here.transfers.askAgain()
  await until(() => here.finished.length === 1)
  await until(() => here.transfers.progress?.offer === slow.offer)
  await here.transfers.cancelled(slow.offer)
  isEnding = true
  await storm
  t.same(here.finished.slice(0, 1), [urgent.offer])
})

test('what an earlier life fetched of an offer whose publisher is not trusted any more ends it, and the next goes on', async t => {
  const desk = await place(t)
  const offer = await desk.offer(large)
  const files = new Map([[offer.offer, large]])
  const first = life(t, desk, files)
  first.blocks = 20
  await first.transfers.offered(offer)
  await until(() => first.blocks === 0)
  await first.end()
  const second = life(t, desk, files, undefined, roster(signingKey()).trust)
  await until(() => second.refused.length === 1)
  t.same(second.refused, ['CLOUD_OFFER'])
  await second.end()
  const third = life(t, desk, files)
  await third.transfers.offered(offer)
  await third.end()
  t.same([third.asked.size, third.finished], [0, []])
})

test('a full disk is told, and the blocks are asked for again later, not at once', async t => {
  const desk = await place(t)
  const offer = await desk.offer(large)
  await mkdir(join(desk.directory, 'drop/.incoming'), { recursive: true })
  await symlink('/dev/full', join(desk.directory, 'drop/.incoming', `${offer.offer}.part`))
  const here = life(t, desk, new Map([[offer.offer, large]]))
  await here.transfers.offered(offer)
  await until(() => here.refused.length > 0 && desk.clock.sleepers > 0)
  const asked = sum(here.asked, offer)
  await wait(50)
  t.equal(sum(here.asked, offer), asked)
  await desk.clock.advance(2000)
  await until(() => sum(here.asked, offer) > asked)
  t.ok(here.refused.every(code => code === 'CLOUD_STORE'))
})
