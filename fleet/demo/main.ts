/** `npm run demo [-- FILE] [-- --image]`: one part from G-code to the wire, through the real programs, with a byte-for-byte proof at the end. */

import { spawn } from 'node:child_process'
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { ExecutedProof, type ProofResult, readCommands } from './executed-proof.ts'
import {
  binary,
  runTool,
  type SimulatorSummary,
  say,
  startCore,
  startSimulator,
  step,
  untilReady,
} from './processes.ts'
import { directoryStick, imageStick } from './stick.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const SAMPLE = join(ROOT, 'test/samples/clip.gcode')
/** The print is shown in about this time, whatever its real one. */
const SHOWN_S = 15

const { values, positionals } = parseArgs({
  options: { image: { type: 'boolean', default: false } },
  allowPositionals: true,
})
const [file] = positionals
await demo(file === undefined ? SAMPLE : resolve(file), values.image)

async function demo(gcode: string, isImage: boolean): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'mpfd-demo-'))
  await using stack = new AsyncDisposableStack()
  stack.defer(() => rm(directory, { recursive: true, force: true }))
  const place = (name: string) => join(directory, name)
  for (const name of ['state', 'keys']) await mkdir(place(name))
  const stick = stack.use(
    isImage
      ? await imageStick(place('stick'), place('stick.img'))
      : await directoryStick(place('stick')),
  )
  say(`the stick is ${stick.description}`)

  step('Keys: a publisher signs files, an issuer signs grants, a printer opens them')
  for (const name of ['publisher', 'issuer', 'printer'])
    await runTool('mpf', ['keygen', place(`keys/${name}`)])
  const trust = await runTool('mpf', [
    ...[
      'trust',
      '--publish',
      place('keys/publisher.pub.pem'),
      '--grant',
      place('keys/issuer.pub.pem'),
    ],
    ...['--out', place('trust.json'), '--json'],
  ])
  const { tenant } = JSON.parse(trust) as { tenant: string }

  step('A simulated Marlin on a real pseudo-terminal, and mpfd on its port')
  const expected = await readCommands(gcode)
  const proof = new ExecutedProof(expected.commands)
  const speed = Math.max(1, Math.ceil((expected.timeS ?? 600) / SHOWN_S))
  const simulator = stack.use(
    await startSimulator(['--speed', String(speed), '--advanced-ok'], proof),
  )
  const config = await writeConfig(directory, tenant, simulator.port)
  const socket = place('control.sock')
  const core = stack.use(startCore(config, place('mpfd.log')))
  await untilReady(socket, core)
  await runTool('mpfctl', ['--socket', socket, 'status'], { isShown: true })

  await sealPart(gcode, directory, tenant, config)
  await printPart(directory, socket, speed)
  await core.stop()
  const summary = await simulator.stop()
  const leaks = await findPlaintext(directory, expected.commands)
  process.exitCode = conclude(proof.result(), expected.commands.length, summary, leaks) ? 0 : 1
}

async function sealPart(
  gcode: string,
  directory: string,
  tenant: string,
  config: string,
): Promise<void> {
  const place = (name: string) => join(directory, name)
  step('Seal the part for this printer: encrypted, signed, one print allowed')
  await runTool('mpf', [
    ...['seal', gcode, '--out', place('part.mpf'), '--tenant', tenant],
    ...['--sign', place('keys/publisher.key.pem'), '--issue', place('keys/issuer.key.pem')],
    ...['--to', place('keys/printer.pub.pem'), '--uses', '1', '--profile', config, '--level', '9'],
  ])
}

async function printPart(directory: string, socket: string, speed: number): Promise<void> {
  step('Put it on the stick; mpfd copies, verifies and preflights every line of it')
  await copyFile(join(directory, 'part.mpf'), join(directory, 'stick/part.mpf'))
  await untilJob(socket, 'ready')
  await runTool('mpfctl', ['--socket', socket, 'jobs'], { isShown: true })

  step(`Print it (${speed} times real speed)`)
  await runTool('mpfctl', ['--socket', socket, 'print'])
  await watch(socket)

  step('What is recorded')
  await runTool('mpfctl', ['--socket', socket, 'jobs'], { isShown: true })
  await runTool('mpfctl', ['--socket', socket, 'events'], { isShown: true })
  await runTool('mpfctl', ['--socket', socket, 'events', '--verify'], { isShown: true })
}

function conclude(
  result: ProofResult,
  commands: number,
  summary: SimulatorSummary,
  leaks: readonly string[],
): boolean {
  step('Proof')
  const { programLines, differences, hostWords } = result
  const first = differences.slice(0, 5).join(', ')
  say(
    `controller executed ${programLines} of ${commands} program commands, ${differences.length} differences${first && `: ${first}`}`,
  )
  say(`and of mpfd's own: ${[...hostWords].map(([word, times]) => `${word} x${times}`).join(', ')}`)
  say(
    `heaters after the print: ${summary.isHeating ? 'ON' : 'off'}; planner ran dry ${summary.starvations} times`,
  )
  say(`plaintext of the part found on disk: ${leaks.length === 0 ? 'none' : leaks.join(', ')}`)
  const isProven =
    differences.length === 0 &&
    programLines === commands &&
    leaks.length === 0 &&
    !summary.isHeating
  say(isProven ? '\nproven: what was sealed is what was executed, byte for byte' : '\nNOT PROVEN')
  return isProven
}

async function writeConfig(directory: string, tenant: string, port: string): Promise<string> {
  const sample = JSON.parse(
    await readFile(join(ROOT, 'config/samples/printer.json'), 'utf8'),
  ) as Record<string, unknown>
  const place = (name: string) => join(directory, name)
  const config = {
    ...sample,
    printer: { ...(sample.printer as object), tenant, serial: 'DEMO-0001' },
    controllers: [{ name: 'motion', role: 'motion', dialect: 'marlin', port, baud: 250_000 }],
    stateDirectory: place('state'),
    usb: { mountDirectories: [place('stick')], autoStart: 'ask', pollIntervalMs: 250 },
    control: { socket: place('control.sock') },
    trust: { bundleFile: place('trust.json') },
    keys: { printerKeyFile: place('keys/printer.key.pem') },
  }
  const path = place('mpfd.json')
  await writeFile(path, JSON.stringify(config, undefined, 2))
  return path
}

async function untilJob(socket: string, state: string): Promise<void> {
  for (;;) {
    const answer = await runTool('mpfctl', ['--socket', socket, '--json', 'jobs'], {
      isQuiet: true,
    })
    const { jobs } = JSON.parse(answer) as {
      jobs: { state: string; code: string | null; message: string | null }[]
    }
    const [job] = jobs
    if (job?.state === state) return
    if (job && job.state !== 'received')
      throw new Error(`job is ${job.state}: ${job.code} ${job.message}`)
    await new Promise(done => setTimeout(done, 200))
  }
}

/** `mpfctl watch`, on this terminal. */
async function watch(socket: string): Promise<void> {
  const child = spawn(binary('mpfctl'), ['--socket', socket, 'watch'], { stdio: 'inherit' })
  const code = await new Promise<number | null>(done => child.once('exit', done))
  if (code !== 0) throw new Error(`the print did not finish: mpfctl watch exited with ${code}`)
}

/** Files under `directory` that hold one of a sample of the part's own commands. */
async function findPlaintext(
  directory: string,
  commands: readonly string[],
): Promise<readonly string[]> {
  const distinctive = commands.filter(command => command.length > 16)
  const canaries = Array.from(
    { length: 20 },
    (_, i) => distinctive[Math.floor((i * distinctive.length) / 20)],
  ).filter(canary => canary !== undefined)
  const files = await readdir(directory, { recursive: true, withFileTypes: true })
  const leaks: string[] = []
  for (const file of files) {
    if (!file.isFile()) continue
    const bytes = await readFile(join(file.parentPath, file.name))
    if (canaries.some(canary => bytes.includes(canary))) leaks.push(file.name)
  }
  return leaks
}
