/** The board every sender is measured on, and the senders ours is measured beside. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import type { SimulationSummary } from '../drivers/index.ts'
import { frameCommand } from '../drivers/marlin/codec.ts'
import { openSerialLink } from '../drivers/serial-link.ts'
import type { Run } from './streaming.ts'

const MS_PER_S = 1000
const RIVAL_LIMIT_MS = 60_000
const SIMULATOR = fileURLToPath(new URL('../drivers/sim/main.ts', import.meta.url))

/** A simulated board in a process of its own. */
export interface Board {
  readonly pid: number
  readonly port: string
  /** Ends it, once, and tells whether its moves were exactly `lines`, and how often its planner ran dry. */
  end(
    lines: readonly string[],
  ): Promise<{ readonly isExact: boolean; readonly starvations: number }>
}

/** Starts a board that is never the slower one: motion takes no time. */
export async function startBoard(args: readonly string[]): Promise<Board> {
  const child = spawn(
    process.execPath,
    [SIMULATOR, '--speed', '1000000', '--executed-fd', '3', ...args],
    {
      stdio: ['ignore', 'pipe', 'inherit', 'pipe'],
    },
  )
  const executed = child.stdio[3]
  const moves = createHash('sha256')
  let partial = ''
  if (executed instanceof Readable)
    executed.on('data', (chunk: Buffer) => {
      const lines = (partial + chunk.toString('latin1')).split('\n')
      partial = lines.pop() ?? ''
      for (const line of lines) if (line.startsWith('G1')) moves.update(`${line}\n`)
    })
  if (!child.stdout) throw new Error('the board has no output')
  const replies = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const first = await replies.next()
  const { port } = JSON.parse(String(first.value)) as { readonly port: string }
  const conclude = async () => {
    const summary = replies.next()
    await stop(child)
    return JSON.parse(String((await summary).value)) as BoardSummary
  }
  let concluded: Promise<BoardSummary> | undefined
  return {
    pid: child.pid ?? 0,
    port,
    end: async lines => {
      concluded ??= conclude()
      const { starvations } = await concluded
      const wanted = createHash('sha256').update(lines.map(line => `${line}\n`).join(''))
      return { isExact: moves.copy().digest('hex') === wanted.digest('hex'), starvations }
    },
  }
}

/** What a board says as it ends. */
export type BoardSummary = SimulationSummary

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return
  child.kill('SIGTERM')
  await once(child, 'close')
}

/** One line in flight, written when the last is acknowledged: what every general host does, without anything else they do. */
export async function stopAndWait(
  board: Board,
  baud: number,
  lines: readonly string[],
): Promise<Run> {
  let next = 0
  const done = Promise.withResolvers<void>()
  const link = await openSerialLink(board.port, baud || 250_000, {
    onBytes: () => undefined,
    onLine: line => {
      if (!line.startsWith('ok')) return
      const text = lines[next++]
      if (text === undefined) done.resolve()
      else link.write(frameCommand(next, text))
    },
    onBatch: () => undefined,
    onDrain: () => undefined,
    onLost: cause => done.reject(cause),
  })
  const cpu = process.cpuUsage()
  const beganMs = performance.now()
  link.write(frameCommand(0, 'M110 N0'))
  await done.promise
  const seconds = (performance.now() - beganMs) / MS_PER_S
  const { user, system } = process.cpuUsage(cpu)
  await link.close()
  const { isExact } = await board.end(lines)
  return { seconds, cpuUsPerLine: (user + system) / lines.length, isExact, outcome: 'done' }
}

/** printrun's own core, driven as its command line does. The interpreter and package are Debian's. */
const PRINTCORE = `
import sys, time
from printrun.printcore import printcore
from printrun import gcoder
lines = sys.stdin.read().split('\\n')
core = printcore(sys.argv[1], int(sys.argv[2]))
while not core.online: time.sleep(0.01)
began = time.time()
core.startprint(gcoder.LightGCode(lines))
while core.printing: time.sleep(0.005)
print(time.time() - began)
core.disconnect()
`
const PYTHON = '/usr/bin/python3'

function hasPrintcore(): boolean {
  return spawnSync(PYTHON, ['-c', 'import printrun.printcore'], { stdio: 'ignore' }).status === 0
}

/** printrun's sender, or `undefined` where it is not installed. */
export async function printcore(
  board: Board,
  baud: number,
  lines: readonly string[],
): Promise<Run | undefined> {
  if (!hasPrintcore()) {
    await board.end(lines)
    return undefined
  }
  const child = spawn(PYTHON, ['-c', PRINTCORE, board.port, String(baud)], {
    stdio: ['pipe', 'pipe', 'ignore'],
  })
  const limit = setTimeout(() => child.kill('SIGKILL'), RIVAL_LIMIT_MS)
  child.stdin.end(lines.join('\n'))
  let said = ''
  child.stdout.on('data', (chunk: Buffer) => {
    said += chunk.toString()
  })
  await once(child, 'close')
  clearTimeout(limit)
  const { isExact } = await board.end(lines)
  const seconds = Number.parseFloat(said)
  const isDone = Number.isFinite(seconds)
  return {
    seconds: isDone ? seconds : RIVAL_LIMIT_MS / MS_PER_S,
    cpuUsPerLine: undefined,
    isExact,
    outcome: isDone ? 'done' : `not finished in ${RIVAL_LIMIT_MS / MS_PER_S} s`,
  }
}
