/** A courier alone in a network namespace: all that leaves it is TLS, and what was sealed is nowhere in the clear, not in its memory either. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'tap'
import { type Link, topicOf } from '#cloud'
import { sendBlocks } from '../../fleet/jobs.ts'
import { fleet, printer, startDeskCore, until } from '../fakes/cloud-bench.ts'
import { hasMosquitto } from '../fakes/cloud-broker.ts'
import { program } from '../fakes/core-printer.ts'
import { startLinkProxy } from '../fakes/link-proxy.ts'
import { hasNetworkNamespaces, openNamespace } from '../fakes/network-namespace.ts'
import { readCapture, tlsRecords } from '../fakes/pcap.ts'
import { foundInMemory } from '../fakes/process-memory.ts'
import { offeredJob } from '../fakes/sealed-job.ts'

const root = join(import.meta.dirname, '../..')
const CANARIES = ['CANARYGCODE71f3', 'CANARYTITLE90ab', 'CANARYLABEL5cc2']
const [IN_PROGRAM, TITLE, LABEL] = CANARIES
/** Of the courier's own: what the search of its memory must find. */
const SENTINEL = 'mpfd-cloud'
/** As bytes, and as a string with one wide character would hold them. */
const needles = CANARIES.flatMap(text => [Buffer.from(text), Buffer.from(text, 'utf16le')])

async function filesUnder(directory: string): Promise<readonly string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true })
  return entries
    .filter(entry => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name))
}

const foundIn = (bytes: Buffer) => CANARIES.filter(text => bytes.includes(text))

test('nothing but TLS leaves a courier, and nothing sealed is in the clear', async t => {
  if (!hasNetworkNamespaces) {
    t.comment('no root, ip or tcpdump: nothing is captured here')
    return
  }
  await using on = await fleet(hasMosquitto ? 'mosquitto' : 'aedes', ['203.0.113.1'])
  await using place = await openNamespace(join(on.directory, 'capture.pcap'))
  const away = { host: place.outside, random: () => 0 }
  await using line = await startLinkProxy(on.broker.port, away)
  const endpoints = [`mqtts://${place.outside}:${line.port}`]
  const desk = await printer(on, 'P-1', { endpoints })
  await using core = await startDeskCore(desk)
  const opened = Promise.withResolvers<Link>()
  await using ingest = await on.startIngest({
    onLink: opened.resolve,
    onRequest: (device, payload, link) => sendBlocks(on.store, device, payload, link),
  })

  const logFile = join(desk.directory, 'courier.log')
  const log = createWriteStream(logFile)
  await once(log, 'open')
  const [ip = '', ...within] = place.within
  const courier = join(root, 'bin/mpfd-cloud')
  const args = [...within, courier, '--config', join(desk.directory, 'config.json')]
  // `ip netns exec` and the launcher both become what they start: one process, one id.
  const child = spawn(ip, args, { stdio: ['ignore', log, log] })
  t.teardown(async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL')
      await once(child, 'exit')
    }
  })

  const text = `; ${IN_PROGRAM}\nM117 ${IN_PROGRAM}\n${program(20_000)}`
  const info = { title: TITLE ?? '', label: LABEL ?? '' }
  const { bytes, offer, envelope } = await offeredJob(on, text, { recipient: desk.key, info })
  await until(() => on.store.fact('P-1', 'birth') !== undefined)
  await ingest.value.notice('P-1', { kind: 'watch', forS: 600 })
  await (await opened.promise).publish({ topic: topicOf('P-1', 'job'), payload: envelope })
  const dropped = join(desk.directory, 'drop', `${offer.offer}.mpf`)
  const arrived = await until(() => readFile(dropped).catch(() => undefined))
  t.ok(arrived.equals(bytes), 'the job is there, byte for byte')
  for (let i = 0; i < 50; i++) core.journal.record({ type: 'job.received', message: `event ${i}` })
  await until(() => on.store.count('P-1', 'tele') > 0 && on.store.count('P-1', 'evt') > 50)

  const pid = child.pid ?? 0
  const found = foundInMemory(pid, [...needles, Buffer.from(SENTINEL)])
  t.same(found.map(String), [SENTINEL], 'its memory can be read, and holds none of it')
  child.kill('SIGTERM')
  await once(child, 'exit')

  for (const file of await filesUnder(desk.directory))
    t.same(foundIn(await readFile(file)), [], file.slice(desk.directory.length))

  const capture = await place.captured()
  t.same(foundIn(capture), [], `${capture.length} bytes on the wire`)
  const { streams, others, frames } = readCapture(capture)
  t.same(others, [], 'TCP, ARP and ICMPv6 alone')
  const ports = [...streams.keys()].map(name => name.includes(`${place.outside}:${line.port}`))
  t.ok(ports.every(Boolean), 'with the broker alone')
  const sent = [...streams.values()]
  t.ok(
    sent.every(stream => tlsRecords(stream) > 0),
    `${frames.length} frames in ${sent.length} streams`,
  )
  const carried = sent.reduce((sum, { length }) => sum + length, 0)
  t.ok(carried > bytes.length, 'the job came this way')
})

test('the search finds what is there', t => {
  const memory = Buffer.from(`here: ${IN_PROGRAM}`)
  t.same(foundInMemory(process.pid, [memory]), [memory])
  t.throws(() => tlsRecords(Buffer.from('GET / HTTP/1.1\r\n\r\n')))
  t.end()
})
