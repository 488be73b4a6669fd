/** A courier on a bad line: delay, jitter, stalls, cuts in a seeded order, and hours offline; every event once and in order, one file whole, nothing asked for that was there. */
import { randomBytes } from 'node:crypto'
import { closeSync, openSync, readdirSync, readSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { test } from 'tap'
import { type Link, requestSchema, topicOf } from '#cloud'
import { sendBlocks } from '../../fleet/jobs.ts'
import { fleet, printer, startCourier, startDeskCore, until } from '../fakes/cloud-bench.ts'
import { hasMosquitto } from '../fakes/cloud-broker.ts'
import { seeded } from '../fakes/cloud-random.ts'
import { leapingClock } from '../fakes/link-clock.ts'
import { startLinkProxy } from '../fakes/link-proxy.ts'
import { offeredJob } from '../fakes/sealed-job.ts'

const SEED = Number(process.env.LINK_SEED ?? 5)
const NOISY_LINES = 50_000
/** Of the courier's requests: blocks, and how many of them may be on their way at once. */
const BLOCK_BYTES = 128 * 1024
const WINDOW_BYTES = 24 * BLOCK_BYTES
const OFFLINE_HOURS = 6
const OFFLINE_AFTER_CUTS = 2
const EVENTS_AN_HOUR = 50
const LINE = { delayMs: 25, jitterMs: 10, stallChance: 0.02, stallMs: 200, bytesPerS: 1_000_000 }
/** On average, from one cut to the next: half a second of the line. */
const SESSION_BYTES = 500_000
const kind = hasMosquitto ? 'mosquitto' : 'aedes'

/** Text that does not compress, so that a short program makes a long file. */
function noisyProgram(): string {
  const lines = ['G28', 'G90', 'M82', 'G92 E0', 'M104 S200', 'G1 Z0.2 F1200']
  for (let i = 0; i < NOISY_LINES; i++) lines.push(`M117 ${randomBytes(60).toString('base64')}`)
  lines.push('M104 S0', '')
  return lines.join('\n')
}

/** Offsets of the file's blocks that lie in the courier's directory as they were signed. */
function blocksThere(directory: string, bytes: Buffer, frontBytes: number): ReadonlySet<number> {
  const there = new Set<number>()
  const name = readdirSync(directory).find(each => each.endsWith('.part'))
  if (name === undefined) return there
  const file = openSync(join(directory, name), 'r')
  const found = Buffer.alloc(bytes.length)
  readSync(file, found, 0, found.length, 0)
  closeSync(file)
  for (const [at, end] of blocksOf(bytes.length, frontBytes))
    if (found.subarray(at, end).equals(bytes.subarray(at, end))) there.add(at)
  return there
}

/** The front by itself, then the ciphertext. */
function* blocksOf(sizeBytes: number, frontBytes: number): Generator<readonly [number, number]> {
  for (const [from, to] of [
    [0, frontBytes],
    [frontBytes, sizeBytes],
  ] as const)
    for (let at = from; at < to; at += BLOCK_BYTES) yield [at, Math.min(at + BLOCK_BYTES, to)]
}

test(`${kind}: 50 ms there and back, stalls, cuts, ${OFFLINE_HOURS} hours offline`, {
  timeout: 300_000,
}, async t => {
  if (!hasMosquitto) t.comment('mosquitto is not installed: tried with aedes')
  const random = seeded(SEED)
  await using on = await fleet(kind)
  const { bytes, offer, envelope } = await offeredJob(on, noisyProgram())
  await using line = await startLinkProxy(on.broker.port, { ...LINE, random })
  const desk = await printer(on, 'P-1', { endpoints: [`mqtts://localhost:${line.port}`] })
  const incoming = join(desk.config.intake.dropDirectory ?? '', '.incoming')
  await using core = await startDeskCore(desk)

  // At the last two cuts: between them a session was opened, behind every request of the one before.
  let there: readonly [ReadonlySet<number>, ReadonlySet<number>] = [new Set(), new Set()]
  const asked = new Map<number, number>()
  const askedForNothing: number[] = []
  let requests = 0
  const opened = Promise.withResolvers<Link>()
  await using _ingest = await on.startIngest({
    onLink: opened.resolve,
    onRequest: async (device, payload, link) => {
      requests += 1
      const { ranges } = requestSchema.parse(JSON.parse(Buffer.from(payload).toString()))
      for (const [at, end] of blocksOf(bytes.length, offer.frontBytes)) {
        if (!ranges.some(([from, length]) => from <= at && end <= from + length)) continue
        asked.set(at, (asked.get(at) ?? 0) + 1)
        if (there[0].has(at)) askedForNothing.push(at)
      }
      await sendBlocks(on.store, device, payload, link)
    },
  })
  const clock = leapingClock()
  await using _courier = startCourier(desk, { clock, random: () => random() * 0.005 })
  let events = 0
  const record = () => {
    events += 1
    core.journal.record({ type: 'job.received', message: `event ${events}` })
  }
  await until(() => on.store.fact('P-1', 'birth') !== undefined)
  await (await opened.promise).publish({ topic: topicOf('P-1', 'job'), payload: envelope })

  const dropped = join(incoming, '..', `${offer.offer}.mpf`)
  const whole = () => readFile(dropped).catch(() => undefined)
  let cuts = 0
  const cut = () => {
    line.drop()
    cuts += 1
    there = [there[1], blocksThere(incoming, bytes, offer.frontBytes)]
  }
  await until(() => requests > 0)
  const isThere = async () => (await whole()) !== undefined
  while (!(await isThere())) {
    const cutAtBytes = line.bytes.down + SESSION_BYTES * (0.5 + random())
    await until(async () => {
      record()
      await wait(10)
      return line.bytes.down > cutAtBytes || (await isThere())
    })
    cut()
    if (cuts !== OFFLINE_AFTER_CUTS) continue
    line.isOffline = true
    for (let hour = 0; hour < OFFLINE_HOURS; hour++) {
      for (let i = 0; i < EVENTS_AN_HOUR; i++) record()
      clock.leap(3_600_000)
      await wait(50)
    }
    line.isOffline = false
  }

  const file = await until(whole)
  t.ok(file.equals(bytes), `${bytes.length} bytes over ${cuts} cuts`)
  t.ok(cuts > OFFLINE_AFTER_CUTS, 'it was offline in the middle of the transfer')
  t.same(askedForNothing, [], 'no block is asked for that was there')
  t.equal(asked.size, [...blocksOf(bytes.length, offer.frontBytes)].length)
  const askedBytes = [...asked.values()].reduce((sum, times) => sum + times, 0) * BLOCK_BYTES
  t.ok(
    askedBytes <= asked.size * BLOCK_BYTES + (cuts + 1) * WINDOW_BYTES,
    `asked for ${askedBytes} bytes in ${requests} requests; the line carried ${line.bytes.down}`,
  )

  const last = await until(() => {
    const end = core.journal.lastSequence()
    const { size = 0, proven = -1 } = on.store.log('P-1') ?? {}
    return on.store.contiguous('P-1', 'evt') === end && proven === end && size === end && end
  })
  const items = on.store.items('P-1', 'evt', 0, 1_000_000)
  t.same(
    items.map(({ seq }) => seq),
    Array.from({ length: last }, (_, i) => i + 1),
  )
  const told = items
    .map(({ value }) => value as { message?: string; unmapped: { type: string } })
    .filter(({ unmapped }) => unmapped.type === 'job.received')
    .map(({ message }) => message)
  t.same(
    told,
    Array.from({ length: events }, (_, i) => `event ${i + 1}`),
  )
  t.same(on.store.alerts('P-1'), [])
})
