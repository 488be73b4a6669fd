/** A printer for the demo: a simulated Marlin on a real pseudo-terminal, the core on its port, in one directory. */

import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { ExecutedProof, readCommands } from './executed-proof.ts'
import { findPlaintext } from './plaintext.ts'
import { type RunningProgram, startProgram, startSimulator, type Tools } from './processes.ts'

const SAMPLE = fileURLToPath(new URL('../../config/samples/printer.json', import.meta.url))
/** A print is shown in about this time, whatever its real one. */
const SHOWN_S = 12
const POLL_MS = 200
const READY_TRIES = 150

export interface DemoPrinterOptions {
  readonly directory: string
  readonly serial: string
  readonly tenant: string
  readonly gcode: string
  /** Added to the configuration. */
  readonly settings: Readonly<Record<string, unknown>>
}

export interface DemoPrinter extends AsyncDisposable {
  readonly config: string
  /** How many times faster than real the simulated controller is. */
  readonly speed: number
  /** Program commands the controller has executed. */
  executed(): number
  /** `mpfctl` on this printer. */
  ctl(args: readonly string[], isShown?: boolean): Promise<string>
  /** Resolves once its one job is in this state. @throws Error when it is in another final one */
  untilJob(state: string): Promise<void>
  /** Ends it; states what was executed and what was left on the disk. */
  conclude(): Promise<void>
}

export async function startPrinter(
  tools: Tools,
  options: DemoPrinterOptions,
): Promise<DemoPrinter> {
  const { directory, gcode } = options
  const place = (name: string) => join(directory, name)
  await mkdir(place('state'))
  const { commands, timeS = 600 } = await readCommands(gcode)
  const proof = new ExecutedProof(commands)
  const speed = Math.max(1, Math.ceil(timeS / SHOWN_S))
  await using starting = new AsyncDisposableStack()
  const simulator = starting.use(
    await startSimulator(['--speed', String(speed), '--advanced-ok'], proof),
  )
  const config = await writeConfig(options, simulator.port)
  const core = starting.use(startProgram('mpfd', ['--config', config], place('mpfd.log')))
  const socket = place('control.sock')
  const ctl = (args: readonly string[], isShown = false) =>
    tools.run('mpfctl', ['--socket', socket, ...args], { isShown })
  await untilReady(tools, socket, core)
  const stack = starting.move()
  return {
    ...{ config, speed, ctl },
    executed: () => proof.result().programLines,
    untilJob: state => untilJob(tools, socket, state),
    async conclude() {
      await core.stop()
      const { isHeating, starvations } = await simulator.stop()
      concludeExecuted(tools, proof, commands.length)
      const { report } = tools
      report.claim('heaters are off after the print', !isHeating, isHeating ? 'ON' : 'off')
      report.say(`  the controller's planner ran dry ${starvations} times`)
      const leaks = await findPlaintext(directory, commands)
      const found = leaks.length === 0 ? 'none found' : leaks.join(', ')
      report.claim('no plaintext of the part is on the disk', leaks.length === 0, found)
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  }
}

function concludeExecuted({ report }: Tools, proof: ExecutedProof, commands: number): void {
  const { programLines, differences, hostWords } = proof.result()
  const first = differences.slice(0, 5).join(', ')
  report.claim(
    'what was sealed is what was executed, byte for byte',
    differences.length === 0 && programLines === commands,
    `${programLines} of ${commands} program commands, ${differences.length} differences${first && `: ${first}`}`,
  )
  const own = [...hostWords].map(([word, times]) => `${word} x${times}`).join(', ')
  report.say(`  and of mpfd's own: ${own}`)
}

async function writeConfig(options: DemoPrinterOptions, port: string): Promise<string> {
  const { directory, serial, tenant, settings } = options
  const { cloud, intake, ...sample } = JSON.parse(await readFile(SAMPLE, 'utf8')) as Record<
    string,
    unknown
  >
  const place = (name: string) => join(directory, name)
  const config = {
    ...sample,
    printer: { ...(sample.printer as object), tenant, serial },
    controllers: [{ name: 'motion', role: 'motion', dialect: 'marlin', port, baud: 250_000 }],
    stateDirectory: place('state'),
    control: { socket: place('control.sock') },
    ...settings,
  }
  const path = place('mpfd.json')
  await writeFile(path, JSON.stringify(config, undefined, 2))
  return path
}

async function untilReady(tools: Tools, socket: string, core: RunningProgram): Promise<void> {
  for (let attempt = 0; attempt < READY_TRIES; attempt++) {
    core.expectRunning()
    const { code } = await tools.attempt('mpfctl', ['--socket', socket, '--json', 'status'])
    if (code === 0) return
    await setTimeout(POLL_MS / 2, undefined, { signal: tools.signal })
  }
  throw new Error('mpfd does not answer on its socket')
}

async function untilJob(tools: Tools, socket: string, state: string): Promise<void> {
  for (;;) {
    const args = ['--socket', socket, '--json', 'jobs']
    const { output } = await tools.attempt('mpfctl', args)
    const { jobs } = JSON.parse(output) as {
      jobs: { state: string; code: string | null; message: string | null }[]
    }
    const [job] = jobs
    if (job?.state === state) return
    if (job && job.state !== 'received')
      throw new Error(`job is ${job.state}: ${job.code} ${job.message}`)
    await setTimeout(POLL_MS, undefined, { signal: tools.signal })
  }
}
