/** The programs the demo runs: each as its user would start it, each ended with the demo. */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface, type Interface } from 'node:readline'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import type { ExecutedProof } from './executed-proof.ts'
import type { Report } from './report.ts'

const ROOT = new URL('../../', import.meta.url)

/** A release to show instead of the sources; the fleet end is not in one. */
const RELEASE = process.env.MPFD_RELEASE

function binary(name: string): string {
  const released = RELEASE && join(RELEASE, 'bin', name)
  return released && existsSync(released) ? released : fileURLToPath(new URL(`bin/${name}`, ROOT))
}

export interface ToolResult {
  readonly code: number | null
  readonly output: string
  readonly errors: string
}

/** Runs command-line tools and shows them as one would type them; none outlives the signal. */
export class Tools {
  readonly report: Report
  readonly signal: AbortSignal

  constructor(report: Report, signal: AbortSignal) {
    this.report = report
    this.signal = signal
  }

  /** Runs a tool to its end; shows the command, and what it prints when asked to. @throws Error when it fails */
  async run(
    name: string,
    args: readonly string[],
    { isShown = false }: { readonly isShown?: boolean } = {},
  ): Promise<string> {
    this.report.command(`${name} ${args.map(shorten).join(' ')}`)
    const { code, output, errors } = await this.attempt(name, args)
    if (isShown) this.report.say(output.trimEnd())
    if (code !== 0) throw new Error(`${name} ${args[0]} exited with ${code}: ${errors.trim()}`)
    return output
  }

  /** Runs a tool that may fail, unseen. */
  async attempt(name: string, args: readonly string[]): Promise<ToolResult> {
    const { signal } = this
    const child = spawn(binary(name), args, { stdio: ['ignore', 'pipe', 'pipe'], signal })
    let [output, errors] = ['', '']
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
    child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text))
    const code = await exitOf(child, signal)
    return { code, output, errors }
  }

  /** Runs a tool that shows itself on this terminal. @throws Error when it fails */
  async show(name: string, args: readonly string[]): Promise<void> {
    const { report, signal } = this
    const child = spawn(binary(name), args, { stdio: ['ignore', report.fd, 2], signal })
    const code = await exitOf(child, signal)
    if (code !== 0) throw new Error(`${name} ${args.at(-1)} exited with ${code}`)
  }
}

function shorten(argument: string): string {
  return argument.replace(/^.*\/mpfd-demo-[^/]*\//, '').replace(/^[\w-]{43}$/, '…')
}

export interface SimulatorSummary {
  readonly executed: number
  readonly starvations: number
  readonly isHeating: boolean
}

export interface RunningSimulator extends AsyncDisposable {
  readonly port: string
  /** Ends it and resolves with what it counted. */
  stop(): Promise<SimulatorSummary>
}

/** Starts the simulated controller; every command it executes goes to `proof`. */
export async function startSimulator(
  options: readonly string[],
  proof: ExecutedProof,
): Promise<RunningSimulator> {
  const program = fileURLToPath(new URL('drivers/sim/main.ts', ROOT))
  const args = [program, '--attached', '--executed-fd', '3', ...options]
  const child = spawn(process.execPath, args, {
    stdio: ['pipe', 'pipe', 'inherit', 'pipe'],
  })
  const executed = createInterface({ input: child.stdio[3] as Readable })
  executed.on('line', line => proof.executed(line))
  const drained = once(executed, 'close')
  const lines = createInterface({ input: child.stdout as Readable })[Symbol.asyncIterator]()
  const { port } = JSON.parse((await lines.next()).value ?? '{}') as { port: string }
  const stop = async () => {
    child.kill('SIGTERM')
    const { value } = await lines.next()
    await Promise.all([ended(child), drained])
    return JSON.parse(value ?? '{}') as SimulatorSummary
  }
  return { port, stop, [Symbol.asyncDispose]: () => kill(child) }
}

export interface RunningProgram extends AsyncDisposable {
  /** Its first line on standard output. @throws Error when it ends without one */
  firstLine(): Promise<string>
  /** @throws Error when it has ended */
  expectRunning(): void
  /** SIGTERM, and wait. */
  stop(): Promise<void>
}

/** Starts a program that runs until it is stopped; its log goes to the file `log`. */
export function startProgram(name: string, args: readonly string[], log: string): RunningProgram {
  const child = spawn(binary(name), args, { stdio: ['ignore', 'pipe', openSync(log, 'w')] })
  const lines: Interface = createInterface({ input: child.stdout as Readable })
  const first = once(lines, 'line').then(([line]) => String(line))
  first.catch(() => undefined)
  return {
    firstLine: () =>
      Promise.race([
        first,
        once(child, 'exit').then(([code]) => {
          throw new Error(`${name} exited with ${code}; see its log`)
        }),
      ]),
    expectRunning() {
      if (child.exitCode !== null) throw new Error(`${name} exited with ${child.exitCode}`)
    },
    stop: () => kill(child),
    [Symbol.asyncDispose]: () => kill(child),
  }
}

/** Its exit status, once it is gone and all it wrote was read. @throws the reason of the signal, then too */
async function exitOf(child: ChildProcess, signal: AbortSignal): Promise<number | null> {
  child.on('error', () => undefined)
  const code = await new Promise<number | null>(resolve => child.once('close', resolve))
  signal.throwIfAborted()
  return code
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGTERM')
  await ended(child)
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
}
