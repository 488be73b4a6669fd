/** Nodes of a broker that is a program of its own: started on free loopback ports, killed one by one. */
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import type { BrokerFiles, TestBroker } from './cloud-broker.ts'

/** A broker of several nodes; `ports` are theirs, in order. */
export interface BrokerCluster extends TestBroker {
  /** SIGKILL of one node. */
  killNode(index: number): Promise<void>
}

export interface BrokerNode {
  readonly port: number
  start(): ChildProcess
}

/** Starts all nodes at once and waits until each takes connections. `stopped` runs after the last one has ended. */
export async function startNodes(
  nodes: readonly BrokerNode[],
  stopped: () => Promise<void> = async () => undefined,
): Promise<BrokerCluster> {
  const children = new Map<BrokerNode, ChildProcess>()
  const start = async () => {
    for (const node of nodes) children.set(node, node.start())
    await Promise.all(nodes.map(node => untilOpen(node.port, children.get(node))))
  }
  const end = async (child: ChildProcess | undefined) => {
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const exit = once(child, 'exit')
    // The whole group: some brokers start helpers of their own.
    process.kill(-(child.pid ?? 0), 'SIGKILL')
    await exit
  }
  const kill = async () => {
    await Promise.all(nodes.map(node => end(children.get(node))))
  }
  await start()
  const ports = nodes.map(({ port }) => port)
  return {
    ...{ port: ports[0] ?? 0, ports, kill, restart: start },
    killNode: index => end(children.get(nodes[index] as BrokerNode)),
    async [Symbol.asyncDispose]() {
      await kill()
      await stopped()
    },
  }
}

/** A process in a group of its own, silent unless CLOUD_LOG is set. */
export function spawnNode(
  program: string,
  args: readonly string[],
  options: SpawnOptions = {},
): ChildProcess {
  const stdio = process.env.CLOUD_LOG === undefined ? 'ignore' : ['ignore', 2, 2]
  return spawn(program, args, { detached: true, stdio: stdio as 'ignore', ...options })
}

/** What TLS needs, as files of one directory. */
export async function writeTlsFiles(
  place: string,
  files: BrokerFiles,
): Promise<{ readonly ca: string; readonly cert: string; readonly key: string }> {
  await mkdir(place, { recursive: true })
  const paths = {
    ca: join(place, 'ca.pem'),
    cert: join(place, 'broker.pem'),
    key: join(place, 'broker.key.pem'),
  }
  await writeFile(paths.ca, files.ca)
  await writeFile(paths.cert, files.cert)
  await writeFile(paths.key, files.key, { mode: 0o600 })
  return paths
}

/** Rejects when the process ends instead of listening. */
async function untilOpen(port: number, child: ChildProcess | undefined): Promise<void> {
  for (;;) {
    if (child && (child.exitCode !== null || child.signalCode !== null))
      throw new Error(`${child.spawnfile} ended with ${child.exitCode ?? child.signalCode}`)
    const socket = connect(port, '127.0.0.1')
    const isOpen = await once(socket, 'connect').then(
      () => true,
      () => false,
    )
    socket.destroy()
    if (isOpen) return
    await wait(50)
  }
}
