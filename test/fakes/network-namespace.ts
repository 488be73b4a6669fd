/** A network namespace with one cable out of it, and everything that passes it captured. Linux, root, `ip` and `tcpdump`. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'

/** TEST-NET-3 (RFC 5737): nobody's. */
const OUTSIDE = '203.0.113.1'
const INSIDE = '203.0.113.2'

export const hasNetworkNamespaces =
  process.getuid?.() === 0 &&
  spawnSync('ip', ['netns', 'list']).status === 0 &&
  spawnSync('tcpdump', ['--version']).status === 0

export interface NetworkNamespace extends AsyncDisposable {
  /** This end of the cable, as the namespace sees it. */
  readonly outside: string
  /** Puts a program and its arguments into the namespace. */
  readonly within: readonly string[]
  /** Ends the capture and reads it. */
  captured(): Promise<Buffer>
}

export async function openNamespace(captureFile: string): Promise<NetworkNamespace> {
  const name = `mpfd-${process.pid}`
  const cable = `mpfd${process.pid}`.slice(0, 13)
  const within = ['ip', 'netns', 'exec', name]
  const undo = () => {
    spawnSync('ip', ['link', 'del', cable])
    spawnSync('ip', ['netns', 'del', name])
  }
  let capture: ChildProcess | undefined
  const end = async () => {
    if (!capture || capture.exitCode !== null || capture.signalCode !== null) return
    capture.kill('SIGINT')
    await once(capture, 'exit')
  }
  try {
    run('ip', 'netns', 'add', name)
    run('ip', 'link', 'add', cable, 'type', 'veth', 'peer', 'name', 'up0', 'netns', name)
    capture = await startCapture(cable, captureFile)
    run('ip', 'addr', 'add', `${OUTSIDE}/30`, 'dev', cable)
    run('ip', 'link', 'set', cable, 'up')
    const inside = ['ip', '-n', name] as const
    run(...inside, 'addr', 'add', `${INSIDE}/30`, 'dev', 'up0')
    run(...inside, 'link', 'set', 'up0', 'up')
    run(...inside, 'link', 'set', 'lo', 'up')
    run(...inside, 'route', 'add', 'default', 'via', OUTSIDE)
  } catch (error) {
    await end()
    undo()
    throw error
  }
  return {
    ...{ outside: OUTSIDE, within },
    async captured() {
      await end()
      return readFileSync(captureFile)
    },
    async [Symbol.asyncDispose]() {
      await end()
      undo()
    },
  }
}

/** Resolves when it listens; nothing is cut off, everything written at once. */
async function startCapture(device: string, file: string): Promise<ChildProcess> {
  run('ip', 'link', 'set', device, 'up')
  const args = ['-i', device, '-s', '0', '-B', '65536', '-U', '-Z', 'root', '-w', file]
  const capture = spawn('tcpdump', args, { stdio: 'ignore' })
  // The file's head is written once the capture is open.
  while (!existsSync(file) || readFileSync(file).length < 24) {
    if (capture.exitCode !== null) throw new Error(`tcpdump ended with ${capture.exitCode}`)
    await wait(20)
  }
  return capture
}

function run(program: string, ...args: readonly string[]): void {
  const { status, stderr } = spawnSync(program, args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`${program} ${args.join(' ')}: ${stderr.trim()}`)
}
