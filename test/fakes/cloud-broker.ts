/** A real Mosquitto with the shipped configuration where it is installed, and the embedded broker; both on a free loopback port. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { startEmbeddedBroker } from '../../fleet/embedded-broker.ts'

const root = join(import.meta.dirname, '../..')

export interface BrokerFiles {
  readonly ca: string
  readonly cert: string
  readonly key: string
}

export interface TestBroker extends AsyncDisposable {
  readonly port: number
  /** Of every node; `port` is the first. */
  readonly ports: readonly number[]
  /** SIGKILL; nothing is saved. */
  kill(): Promise<void>
  /** Listens on the same port again. */
  restart(): Promise<void>
}

export const hasMosquitto = spawnSync('mosquitto', ['-h']).error === undefined

export async function freePort(): Promise<number> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  return typeof address === 'object' && address ? address.port : 0
}

/** Mosquitto under `config/broker/`, with the paths of the test. */
export async function startMosquitto(directory: string, files: BrokerFiles): Promise<TestBroker> {
  const port = await freePort()
  const place = join(directory, 'broker')
  await mkdir(place, { recursive: true })
  await writeFile(join(place, 'ca.pem'), files.ca)
  await writeFile(join(place, 'broker.pem'), files.cert)
  await writeFile(join(place, 'broker.key.pem'), files.key)
  const shipped = await readFile(join(root, 'config/broker/mosquitto.conf'), 'utf8')
  const acl = join(root, 'config/broker/acl.conf')
  const config = shipped
    .replace('listener 8883', `listener ${port} 127.0.0.1`)
    .replaceAll('/etc/mosquitto/fleet/acl.conf', acl)
    .replaceAll('/etc/mosquitto/fleet/', `${place}/`)
    .replace('/var/lib/mosquitto/', `${place}/`)
  const user = process.getuid?.() === 0 ? 'user root\n' : ''
  await writeFile(join(place, 'mosquitto.conf'), user + config)
  let child: ChildProcess | undefined
  const start = async () => {
    child = spawn('mosquitto', ['-c', join(place, 'mosquitto.conf')], { stdio: 'ignore' })
    await untilListening(port)
  }
  const kill = async () => {
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
  await start()
  return { port, ports: [port], kill, restart: start, [Symbol.asyncDispose]: kill }
}

/** aedes over TLS. Killing it loses everything it held, as a SIGKILL would. */
export async function startAedes(files: BrokerFiles): Promise<TestBroker> {
  let broker = await startEmbeddedBroker({ port: 0, ...files })
  const { port } = broker
  return {
    port,
    ports: [port],
    kill: async () => broker[Symbol.asyncDispose](),
    async restart() {
      broker = await startEmbeddedBroker({ port, ...files })
    },
    [Symbol.asyncDispose]: () => broker[Symbol.asyncDispose](),
  }
}

async function untilListening(port: number): Promise<void> {
  for (;;) {
    const socket = connect(port, '127.0.0.1')
    const isOpen = await once(socket, 'connect').then(
      () => true,
      () => false,
    )
    socket.destroy()
    if (isOpen) return
    await wait(20)
  }
}
