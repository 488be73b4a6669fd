/** Courier and ingest as their launchers start them on a printer and in a cloud, and what each costs by /proc. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { z } from 'zod'
import type { Fleet, Printer } from './cloud-bench.ts'

const PROGRAMS = join(import.meta.dirname, '../../bin')

export interface LinkProcess extends AsyncDisposable {
  readonly pid: number
  /** SIGKILL, and gone when it resolves. */
  kill(): Promise<void>
}

function started(
  launcher: string,
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): LinkProcess {
  const stdio = process.env.CLOUD_LOG === undefined ? 'ignore' : 'inherit'
  const child = spawn(launcher, args, { stdio, env: { ...process.env, ...environment } })
  const kill = () => killed(child)
  return { pid: child.pid ?? 0, kill, [Symbol.asyncDispose]: kill }
}

async function killed(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGKILL')
  await once(child, 'exit')
}

/** From the sources, or with the launchers in `programs`. */
export function startCourierProcess(
  { directory }: Printer,
  programs = PROGRAMS,
  environment: Readonly<Record<string, string>> = {},
): LinkProcess {
  const args = ['--config', join(directory, 'config.json')]
  return started(join(programs, 'mpfd-cloud'), args, environment)
}

/** `fleet serve`; its store is `fleet.sqlite` in the tenant's directory. */
export function startIngestProcess(on: Fleet, worker = 'fleet'): LinkProcess {
  const broker = `mqtts://localhost:${on.broker.port}`
  const place = ['--tenant', on.tenant.directory]
  return started(join(PROGRAMS, 'fleet'), [
    ...place,
    'serve',
    '--broker',
    broker,
    '--worker',
    worker,
  ])
}

/** Kernel ticks: CLK_TCK is 100 on every Linux Node runs on. */
const TICKS_PER_S = 100

export interface ProcessCost {
  readonly rssKb: number
  /** User and system, seconds since the process began. */
  readonly cpuS: number
}

export function costOf(pid: number): ProcessCost {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  // proc(5): fields 14 and 15; the name in field 2 may hold blanks.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return {
    rssKb: Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]),
    cpuS: (Number(fields[11]) + Number(fields[12])) / TICKS_PER_S,
  }
}

/** The outbox of a courier in another process, read beside it. */
export class OutboxView implements Disposable {
  readonly #database: DatabaseSync

  constructor({ config }: Printer) {
    const path = join(config.cloud?.stateDirectory ?? '', 'outbox.sqlite')
    this.#database = new DatabaseSync(path, { readOnly: true, timeout: 5000 })
  }

  /** Newest number of the stream, and the highest that the fleet end acknowledged. */
  of(stream: 'evt' | 'tele' | 'alm'): { readonly last: number; readonly acked: number } {
    const row = this.#database.prepare('SELECT last, acked FROM streams WHERE name = ?').get(stream)
    return z.object({ last: z.int(), acked: z.int() }).parse(row)
  }

  [Symbol.dispose](): void {
    this.#database.close()
  }
}

/** The process started with this argument, whoever started it. */
export function pidOf(argument: string): number {
  const found = readdirSync('/proc').find(name => {
    if (!/^\d+$/.test(name)) return false
    try {
      return readFileSync(`/proc/${name}/cmdline`, 'utf8').split('\0').includes(argument)
    } catch {
      // It ended meanwhile.
      return false
    }
  })
  return Number(found)
}
