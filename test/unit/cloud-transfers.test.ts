/** Offered jobs: which comes first, and that what is there is not asked for again, whatever ends a life of the courier. */
import { cp, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'tap'
import { BLOCK_BYTES, WINDOW_BLOCKS } from '../../firmware/cloud/incoming-file.ts'
import { DAY_MS, large, life, place, small, sum, until } from '../fakes/transfer-desk.ts'

test('several offers wait: the highest priority first, then the oldest', async t => {
  const desk = await place(t)
  const offers = [
    ...[await desk.offer(small, 5), await desk.offer(small, 5), await desk.offer(small, 9)],
    await desk.offer(small, 1),
  ]
  const here = life(t, desk, new Map(offers.map(({ offer }) => [offer, small])))
  here.blocks = 0
  for (const offer of offers) await here.transfers.offered(offer)
  here.blocks = Number.POSITIVE_INFINITY
  here.transfers.askAgain()
  await until(() => here.finished.length === 4)
  const [a, b, c, d] = offers.map(({ offer }) => offer)
  t.same(here.finished, [c, a, b, d])
})

test('an urgent offer goes in between, and of the other only what was on its way is asked for again', async t => {
  const desk = await place(t)
  const [slow, urgent] = [await desk.offer(large, 2), await desk.offer(small, 8)]
  const here = life(
    t,
    desk,
    new Map([
      [slow.offer, large],
      [urgent.offer, small],
    ]),
  )
  here.blocks = 20
  await here.transfers.offered(slow)
  await until(() => here.blocks === 0)
  here.blocks = Number.POSITIVE_INFINITY
  await here.transfers.offered(urgent)
  await until(() => here.finished.length === 2)
  t.same(here.finished, [urgent.offer, slow.offer])
  t.ok(slow.sizeBytes > 40 * BLOCK_BYTES, `${slow.sizeBytes} bytes`)
  const again = sum(here.asked, slow) - slow.sizeBytes
  t.ok(again <= WINDOW_BLOCKS * BLOCK_BYTES, `${again} bytes again`)
  t.same(await readFile(join(desk.directory, 'drop', `${slow.offer}.mpf`)), large)
})

test('ended in order, days pass: nothing that is there is asked for again', async t => {
  const desk = await place(t)
  const offer = await desk.offer(large)
  const files = new Map([[offer.offer, large]])
  const first = life(t, desk, files)
  first.blocks = 21
  await first.transfers.offered(offer)
  await until(() => first.blocks === 0)
  await first.end()
  await desk.clock.advance(5 * DAY_MS)
  const second = life(t, desk, files)
  await until(() => second.finished.length === 1)
  const there = offer.sizeBytes - sum(second.asked, offer)
  t.equal(Math.ceil(there / BLOCK_BYTES), 21, `${there} bytes were there`)
})

test('killed: at most two mebibytes and what was on its way are asked for again', async t => {
  const desk = await place(t)
  const offer = await desk.offer(large)
  const files = new Map([[offer.offer, large]])
  const killed = life(t, desk, files)
  killed.blocks = 36
  await killed.transfers.offered(offer)
  await until(() => killed.blocks === 0)
  await killed.transfers.block(offer.offer, 0, Buffer.alloc(1))
  // What a kill leaves is what is on the disk now.
  const copy = { ...desk, directory: join(desk.directory, 'next') }
  const [from, to] = [join(desk.directory, 'drop'), join(copy.directory, 'drop')]
  await cp(from, to, { recursive: true })
  await killed.end()
  const next = life(t, copy, files)
  await until(() => next.finished.length === 1)
  const there = offer.sizeBytes - sum(next.asked, offer)
  t.ok(there >= 20 * BLOCK_BYTES, `${there} bytes were there`)
  t.same(await readFile(join(copy.directory, 'drop', `${offer.offer}.mpf`)), large)
})

test('an offer that ended while the printer was away is given up, and leaves nothing', async t => {
  const desk = await place(t)
  const offer = await desk.offer(large)
  const files = new Map([[offer.offer, large]])
  const first = life(t, desk, files)
  first.blocks = 5
  await first.transfers.offered(offer)
  await until(() => first.blocks === 0)
  await first.end()
  await desk.clock.advance(8 * DAY_MS)
  const second = life(t, desk, files)
  await until(() => second.refused.length === 1)
  t.same(second.refused, ['cloud.transfer_cancelled'])
  const left = await readdir(join(desk.directory, 'drop/.incoming'))
  t.notOk(left.some(name => name.startsWith(offer.offer) && !name.endsWith('.json')))
})
