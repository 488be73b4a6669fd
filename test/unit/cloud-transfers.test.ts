/** Offered jobs: which comes first, and that what is there is not asked for again, whatever ends a life of the courier. */
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { cp, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { type Test, test } from 'tap'
import { BLOCK_BYTES, WINDOW_BLOCKS } from '../../firmware/cloud/incoming-file.ts'
import { Transfers } from '../../firmware/cloud/transfers.ts'
import type { OfferStatement } from '../../firmware/cloud/wire.ts'
import { makeOffer } from '../../fleet/jobs.ts'
import { FleetStore } from '../../fleet/store.ts'
import { roster } from '../fakes/cloud-roster.ts'
import { type FakeClock, fakeClock } from '../fakes/core-clock.ts'
import { type DeskPrinter, program, seal, signingKey, TENANT } from '../fakes/core-printer.ts'

const publisher = signingKey()
const { trust } = roster(publisher)
const { privateKey: recipient } = generateKeyPairSync('ec', { namedCurve: 'P-384' })
const sealed = (text: string) =>
  seal({} as DeskPrinter, text, { signer: publisher, tenant: TENANT, recipient })
const small = await sealed(program(300))
/** Some forty blocks: comments that nothing compresses. */
const noise = randomBytes(60 * 90_000)
  .toString('base64')
  .replaceAll(/.{80}/g, ';$&\n')
const large = await sealed(program(300) + noise)
const DAY_MS = 86_400_000

interface Place {
  readonly directory: string
  readonly clock: FakeClock
  offer(
    file: Uint8Array | undefined,
    priority?: number,
    grants?: readonly Uint8Array[],
  ): Promise<OfferStatement>
}

async function place(t: Test): Promise<Place> {
  const directory = t.testdir({ drop: {} })
  const clock = fakeClock(Date.now())
  const store = new FleetStore(join(directory, 'fleet.sqlite'))
  t.teardown(() => store[Symbol.dispose]())
  let made = 0
  return {
    ...{ directory, clock },
    async offer(file, priority = 5, grants = []) {
      made += 1
      const path = join(directory, `${made}.mpf`)
      await writeFile(path, file ?? '')
      // A second apart, so that the order is told by the offers.
      const atMs = clock.wallMs() + made * 1000
      const request = { path, device: 'P-1', tenant: TENANT, publisher, atMs, priority, grants }
      return (await makeOffer(store, request)).offer
    },
  }
}

interface Life {
  readonly transfers: Transfers
  /** Offers in the order they were handed over. */
  readonly finished: string[]
  readonly refused: string[]
  /** Bytes asked for, by offer. */
  readonly asked: Map<string, number>
  /** How many more blocks come; a block past them never does. */
  blocks: number
  end(): Promise<void>
}

/** One life of the courier. `lie` may answer another block than the right one. */
function life(
  t: Test,
  { directory, clock }: Place,
  files: ReadonlyMap<string, Uint8Array | undefined>,
  lie: (bytes: Uint8Array) => Uint8Array = bytes => bytes,
  trusted = trust,
): Life {
  const asked = new Map<string, number>()
  const [finished, refused]: [string[], string[]] = [[], []]
  const here: Life = {
    transfers: new Transfers({
      ...{
        directory: join(directory, 'drop'),
        maxFileBytes: 1 << 30,
        trust: trusted,
        tenant: TENANT,
      },
      ...{ clock, nowMs: clock.wallMs, lastEvent: () => 0 },
      report: (type, _message, { offer }, code = type) => {
        if (type === 'cloud.transfer_finished') finished.push(String(offer))
        if (type === 'cloud.transfer_refused' || type === 'cloud.transfer_cancelled')
          refused.push(code)
      },
      ask: async (ranges, { offer }) => {
        for (const [from, length] of ranges) {
          asked.set(offer, (asked.get(offer) ?? 0) + length)
          for (let at = from; at < from + length; at += BLOCK_BYTES) {
            if (here.blocks <= 0) continue
            here.blocks -= 1
            const bytes = files.get(offer)?.subarray(at, Math.min(at + BLOCK_BYTES, from + length))
            void here.transfers.block(offer, at, lie(bytes ?? Buffer.alloc(0)))
          }
        }
        return true
      },
    }),
    ...{ finished, refused, asked, blocks: Number.POSITIVE_INFINITY },
    async end() {
      ending.abort()
      await running
    },
  }
  const ending = new AbortController()
  const running = here.transfers.run(ending.signal)
  t.teardown(() => here.end())
  return here
}

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await wait(5)
}

const sum = (asked: ReadonlyMap<string, number>, { offer }: OfferStatement) => asked.get(offer) ?? 0

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
  for (let i = 0; i < 32; i++) await here.transfers.offered(await desk.offer(small))
  await t.rejects(here.transfers.offered(await desk.offer(small)), { code: 'CLOUD_OFFER' })
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
