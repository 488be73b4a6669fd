/** Row C4: a sealed file over MQTT, block by block, beside one message of mosquitto_pub and a download by curl. */

import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import { readdir, rm, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:https'
import { type AddressInfo, connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { openLink, topicOf } from '#cloud'
import { BLOCK_BYTES } from '../firmware/cloud/incoming-file.ts'
import { MAX_WINDOW } from '../firmware/cloud/mqtt-link.ts'
import { makeOffer } from '../fleet/jobs.ts'
import { FleetStore } from '../fleet/store.ts'
import {
  type Fleet,
  fleet,
  type Printer,
  printer,
  startDeskCore,
} from '../test/fakes/cloud-bench.ts'
import { startCourierProcess, startIngestProcess } from '../test/fakes/link-processes.ts'
import { startLinkProxy } from '../test/fakes/link-proxy.ts'
import { sealFor } from './connected-printer.ts'
import { type BenchContext, median, type Row } from './row.ts'

const run = promisify(execFile)
const MB = 1e6
const RTT_MS = 50
/** Of text that hardly compresses: about as many bytes sealed. */
const LINES = 6_000_000
const LOOK_MS = 5

export async function* fileRows(context: BenchContext): AsyncGenerator<Row> {
  await using on = await fleet('mosquitto')
  await using line = await startLinkProxy(on.broker.port, { random: Math.random })
  line.conditions = { delayMs: RTT_MS / 2 }
  await using near = await startPrinter(await printer(on, 'P-1'), context.programs)
  const endpoints = [`mqtts://localhost:${line.port}`]
  await using far = await startPrinter(await printer(on, 'P-2', { endpoints }), context.programs)
  await using _ingest = startIngestProcess(on)
  context.say('C4: sealing a file')
  const gcode = join(context.directory, 'noise.gcode')
  await writeFile(gcode, noisyProgram())
  const sealed = {
    near: await sealFor(on, near.desk, gcode),
    far: await sealFor(on, far.desk, gcode),
  }
  const megabytes = (await stat(sealed.near)).size / MB
  const rates = {
    ours: [] as number[],
    far: [] as number[],
    curl: [] as number[],
    pub: [] as number[],
  }
  // The first also waits for courier and worker to be connected.
  await transfer(on, near.desk, sealed.near)
  await transfer(on, far.desk, sealed.far)
  for (let i = 0; i < context.runs; i++) {
    rates.ours.push(megabytes / (await transfer(on, near.desk, sealed.near)))
    rates.far.push(megabytes / (await transfer(on, far.desk, sealed.far)))
    rates.curl.push(megabytes / (await download(on, sealed.near)))
    rates.pub.push(megabytes / (await publish(on, sealed.near)))
    const shown = Object.entries(rates).map(([name, all]) => `${name} ${all.at(-1)?.toFixed(1)}`)
    context.say(`C4 run ${i + 1}, MB/s: ${shown.join(', ')}`)
  }
  const [ours, slow] = [median(rates.ours), median(rates.far)]
  const [curl, pub] = [median(rates.curl), median(rates.pub)]
  yield {
    id: 'C4',
    what: `a sealed file of ${megabytes.toFixed(0)} MB over MQTT, each block verified and durable, loopback TLS`,
    peer: 'curl over HTTPS',
    ratio: ours / curl,
    figure: `${ours.toFixed(1)} MB/s; curl ${curl.toFixed(1)}, mosquitto_pub -f in one message ${pub.toFixed(1)}`,
    owed: '>= 0.5x curl',
    isMet: ours >= 0.5 * curl,
  }
  const windowMb = (MAX_WINDOW * BLOCK_BYTES) / MB / (RTT_MS / 1000)
  const limit = Math.min(windowMb, ours)
  yield {
    id: 'C4',
    what: `the same at ${RTT_MS} ms round trip`,
    peer: `the broker's window (${MAX_WINDOW} messages in flight: ${windowMb.toFixed(0)} MB/s) or the loopback figure, the lower`,
    ratio: slow / limit,
    figure: `${slow.toFixed(1)} MB/s of ${limit.toFixed(1)}`,
    owed: '>= 90 % of the limit',
    isMet: slow >= 0.9 * limit,
  }
}

/** Core and courier of one printer. */
async function startPrinter(
  desk: Printer,
  programs: string,
): Promise<{ readonly desk: Printer } & AsyncDisposable> {
  await using stack = new AsyncDisposableStack()
  stack.use(await startDeskCore(desk))
  stack.use(startCourierProcess(desk, programs))
  const lifetime = stack.move()
  return { desk, [Symbol.asyncDispose]: () => lifetime.disposeAsync() }
}

function noisyProgram(): string {
  const number = () => (Math.random() * 200).toFixed(3)
  const lines = Array.from({ length: LINES }, () => `G1 X${number()} Y${number()}`)
  return `G28\nG1 X1 Y1 F6000\n${lines.join('\n')}\n`
}

/** Offers the file; seconds from the offer on its way to the file in the core's drop directory. */
async function transfer(on: Fleet, desk: Printer, file: string): Promise<number> {
  const directory = desk.config.intake.dropDirectory ?? ''
  const sent = async () => (await readdir(directory)).filter(name => name.endsWith('.mpf'))
  using store = new FleetStore(join(on.tenant.directory, 'fleet.sqlite'))
  const { envelope } = await makeOffer(store, {
    ...{ path: file, device: desk.serial, tenant: on.tenant.id, atMs: Date.now() },
    publisher: await on.tenant.key('publisher'),
  })
  await using link = await openLink({
    ...{ host: 'localhost', port: on.broker.port, ca: on.tenant.authority.certPem },
    ...{ identity: on.tenant.identity, clientId: 'bench', protocol: 5, sessionExpiryS: 0 },
    ...{ subscriptions: [], onMessage: async () => undefined },
    signal: new AbortController().signal,
  })
  const beganMs = performance.now()
  await link.publish({ topic: topicOf(desk.serial, 'job'), payload: envelope })
  let names = await sent()
  for (; names.length === 0; names = await sent()) await sleep(LOOK_MS)
  const seconds = (performance.now() - beganMs) / 1000
  for (const name of names) await rm(join(directory, name))
  return seconds
}

async function download(on: Fleet, file: string): Promise<number> {
  const { ca, cert, key } = on.files
  const server = createServer({ cert, key }, (_request, response) => {
    createReadStream(file).pipe(response)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const caFile = join(on.directory, 'curl-ca.pem')
  await writeFile(caFile, ca)
  const beganMs = performance.now()
  const out = join(on.directory, 'curl.mpf')
  await run('curl', ['-sS', '--cacert', caFile, '-o', out, `https://localhost:${port}/`])
  const seconds = (performance.now() - beganMs) / 1000
  server.close()
  server.closeAllConnections()
  return seconds
}

/** The whole file as one message, through a broker that allows it, to a subscriber. */
async function publish(on: Fleet, file: string): Promise<number> {
  const place = (name: string) => join(on.directory, name)
  const port = on.broker.port + 1
  const { ca, cert, key } = on.files
  await writeFile(place('peer-ca.pem'), ca)
  await writeFile(place('peer.pem'), cert)
  await writeFile(place('peer.key.pem'), key, { mode: 0o600 })
  const files = `cafile ${place('peer-ca.pem')}\ncertfile ${place('peer.pem')}\nkeyfile ${place('peer.key.pem')}\n`
  await writeFile(
    place('peer.conf'),
    `user root\nallow_anonymous true\nlistener ${port} 127.0.0.1\n${files}`,
  )
  const broker = spawn('mosquitto', ['-c', place('peer.conf')], { stdio: 'ignore' })
  const where = ['-h', 'localhost', '-p', `${port}`, '--cafile', place('peer-ca.pem'), '-t', 'file']
  while (!(await answers(port))) await sleep(50)
  const received = run('mosquitto_sub', [...where, '-q', '1', '-C', '1', '-F', '%l'])
  await sleep(500)
  const beganMs = performance.now()
  await run('mosquitto_pub', [...where, '-q', '1', '-f', file])
  await received
  const seconds = (performance.now() - beganMs) / 1000
  broker.kill()
  await once(broker, 'exit')
  return seconds
}

async function answers(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  const isUp = await Promise.race([
    once(socket, 'connect').then(() => true),
    once(socket, 'error').then(() => false),
  ]).catch(() => false)
  socket.destroy()
  return isUp
}
