/** The programs the demo runs: each as its user would start it, each ended with the demo. */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { openSync } from 'node:fs'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import type { ExecutedProof } from './executed-proof.ts'

const ROOT = new URL('../../', import.meta.url)

export function binary(name: string): string {
  return fileURLToPath(new URL(`bin/${name}`, ROOT))
}

export function say(line: string): void {
  process.stdout.write(`${line}\n`)
}

export function step(title: string): void {
  say(`\n== ${title}`)
}

export interface ToolOptions {
  /** Show what it prints. */
  readonly isShown?: boolean
  /** Do not even show the command. */
  readonly isQuiet?: boolean
}

/** Runs a tool to its end and resolves with its standard output; shows the command as one would type it. */
export async function runTool(
  name: string,
  args: readonly string[],
  options: ToolOptions = {},
): Promise<string> {
  if (!options.isQuiet) say(`$ ${name} ${args.map(shorten).join(' ')}`)
  const child = spawn(binary(name), args, {
    stdio: ['ignore', 'pipe', options.isQuiet ? 'ignore' : 'inherit'],
  })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text
    if (options.isShown) process.stdout.write(text)
  })
  const [code] = (await once(child, 'close')) as [number | null]
  if (code !== 0) throw new Error(`${name} ${args[0]} exited with ${code}`)
  return output
}

function shorten(argument: string): string {
  return argument.replace(/^.*\/mpfd-demo-[^/]*\//, '')
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
  const child = spawn(process.execPath, [program, ...options, '--executed-fd', '3'], {
    stdio: ['ignore', 'pipe', 'inherit', 'pipe'],
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

export interface RunningCore extends AsyncDisposable {
  readonly child: ChildProcess
  /** SIGTERM, and wait. */
  stop(): Promise<void>
}

export function startCore(config: string, log: string): RunningCore {
  const child = spawn(binary('mpfd'), ['--config', config], {
    stdio: ['ignore', 'ignore', openSync(log, 'w')],
  })
  return { child, stop: () => kill(child), [Symbol.asyncDispose]: () => kill(child) }
}

/** Resolves once mpfd answers on its socket. */
export async function untilReady(socket: string, core: RunningCore): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt++) {
    if (core.child.exitCode !== null)
      throw new Error(`mpfd exited with ${core.child.exitCode}; see its log`)
    try {
      await runTool('mpfctl', ['--socket', socket, '--json', 'status'], { isQuiet: true })
      return
    } catch {
      await new Promise(done => setTimeout(done, 100))
    }
  }
  throw new Error('mpfd does not answer on its socket')
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGTERM')
  await ended(child)
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
}
