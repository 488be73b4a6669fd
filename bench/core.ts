/** Rows M5, D1, D2 and A1: the core as a process. */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFile, mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { zstdDecompressSync } from 'node:zlib'
import { Journal } from '../firmware/core/journal/journal.ts'
import { startSimulator } from '../firmware/core/simulator.ts'
import { sharedPath } from '../test/shared.ts'
import { type BenchContext, type BenchPart, cpuSeconds, median, type Row } from './row.ts'
import { type BenchKeys, makeKeys, sealForBench } from './sealed.ts'

const ROOT = new URL('..', import.meta.url).pathname
const SMALL_PART = Buffer.from('G28\n')
const MB = 1e6
const GB = 1e9
const PRINT_S = 60
const IDLE_S = 30
const EVENTS = 365_000
const TICKS_PER_S = 100

export const coreBench: BenchPart = { name: 'core', rows: coreRows }

async function* coreRows(context: BenchContext): AsyncGenerator<Row, void, void> {
  yield await coldStart(context)
  yield await idleCpu(context)
  yield await audit(context)
  yield await memory(context)
}

interface Desk extends AsyncDisposable {
  readonly pid: number
  readonly stick: string
  readonly socket: string
  readonly readyMs: number
  readonly keys: BenchKeys
}

/** mpfd as the launcher starts it, on a simulated board that runs already; resolves when its socket answers. */
async function startDesk(context: BenchContext, name: string, speed = 1): Promise<Desk> {
  await using stack = new AsyncDisposableStack()
  const simulator = stack.use(await startSimulator([`--speed=${speed}`, '--advanced-ok']))
  const directory = join(context.directory, name)
  const place = (file: string) => join(directory, file)
  await mkdir(place('stick'), { recursive: true })
  const keys = makeKeys()
  const sealed = await sealForBench(SMALL_PART, 1, place('unused.mpf'), { keys })
  await writeFile(
    place('printer-key.pem'),
    sealed.printer.export({ type: 'pkcs8', format: 'pem' }),
    { mode: 0o600 },
  )
  await writeFile(place('trust.json'), sealed.bundle)
  const sample = JSON.parse(await readFile(join(ROOT, 'config/samples/printer.json'), 'utf8'))
  const config = {
    ...sample,
    printer: { ...sample.printer, tenant: sealed.tenant },
    controllers: [
      { name: 'motion', role: 'motion', dialect: 'marlin', port: simulator.port, baud: 250_000 },
    ],
    stateDirectory: place('state'),
    usb: { mountDirectories: [place('stick')], autoStart: 'start', pollIntervalMs: 1000 },
    control: { socket: place('control.sock') },
    trust: { bundleFile: place('trust.json') },
    keys: { printerKeyFile: place('printer-key.pem') },
    log: { level: 'warn' },
  }
  await writeFile(place('mpfd.json'), JSON.stringify(config))
  const startMs = performance.now()
  const child = spawn(join(context.programs, 'mpfd'), ['--config', place('mpfd.json')], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  stack.defer(async () => {
    child.kill('SIGTERM')
    if (child.exitCode === null) await once(child, 'exit')
  })
  await untilConnected(place('control.sock'), child)
  const readyMs = performance.now() - startMs
  const lifetime = stack.move()
  return {
    pid: child.pid ?? 0,
    stick: place('stick'),
    socket: place('control.sock'),
    readyMs,
    keys,
    [Symbol.asyncDispose]: () => lifetime.disposeAsync(),
  }
}

async function untilConnected(socket: string, child: ChildProcess): Promise<void> {
  while (child.exitCode === null) {
    const link = connect(socket)
    const isUp = await Promise.race([
      once(link, 'connect').then(() => true),
      once(link, 'error').then(() => false),
    ]).catch(() => false)
    link.destroy()
    if (isUp) return
    await sleep(5)
  }
  throw new Error(`mpfd exited with ${child.exitCode}`)
}

async function coldStart(context: BenchContext): Promise<Row> {
  const times: number[] = []
  for (let run = 0; run < context.runs; run++) {
    await using desk = await startDesk(context, `start-${run}`)
    times.push(desk.readyMs / 1000)
  }
  const seconds = median(times)
  const bare = await bareNodeS()
  return {
    id: 'D1',
    what: 'core cold start until its socket answers',
    peer: 'bare node',
    ratio: seconds / bare,
    figure: `${seconds.toFixed(2)} s, bare node ${bare.toFixed(2)} s`,
    owed: '<= 0.5 s',
    isMet: seconds <= 0.5,
  }
}

async function bareNodeS(): Promise<number> {
  const startMs = performance.now()
  await once(spawn(process.execPath, ['-e', '0']), 'exit')
  return (performance.now() - startMs) / 1000
}

async function idleCpu(context: BenchContext): Promise<Row> {
  await using desk = await startDesk(context, 'idle')
  await sleep(2000)
  const before = await cpuOf(desk.pid)
  await sleep(IDLE_S * 1000)
  const share = (100 * ((await cpuOf(desk.pid)) - before)) / IDLE_S
  return {
    id: 'D2',
    what: `idle CPU of the core over ${IDLE_S} s (courier: row C3)`,
    peer: 'none',
    ratio: undefined,
    figure: `${share.toFixed(2)} % of a core`,
    owed: '<= 0.5 %',
    isMet: share <= 0.5,
  }
}

/** proc(5): utime and stime in clock ticks, as seconds. */
async function cpuOf(pid: number): Promise<number> {
  const fields = (await readFile(`/proc/${pid}/stat`, 'latin1')).replace(/^.*\) /, '').split(' ')
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_S
}

/** A1: what one durable event costs, and a year of them to verify. */
async function audit(context: BenchContext): Promise<Row> {
  const path = join(context.directory, 'journal.sqlite')
  const sample = 2000
  let perEventS = 0
  let bytesAnEvent = 0
  {
    using journal = new Journal({ path, stamp: () => ({ atMs: Date.now(), quality: 'rtc' }) })
    perEventS = (await cpuSeconds(async () => fillEvents(journal, sample))) / sample
    fillEvents(journal, EVENTS - sample)
    const startMs = performance.now()
    const verdict = await journal.verifyEvents(new AbortController().signal)
    if (verdict.entries < EVENTS || !verdict.isIntact) throw new Error('the chain does not verify')
    const verifyS = (performance.now() - startMs) / 1000
    bytesAnEvent = (await stat(path)).size / EVENTS
    const [us, isMet] = [
      perEventS * 1e6,
      perEventS <= 200e-6 && bytesAnEvent <= 1126 && verifyS <= 4,
    ]
    return {
      id: 'A1',
      what: `durable, chained event; verify ${EVENTS} of them`,
      peer: 'none',
      ratio: undefined,
      figure: `${us.toFixed(0)} us CPU and ${bytesAnEvent.toFixed(0)} bytes an event, verified in ${verifyS.toFixed(1)} s`,
      owed: '<= 200 us, <= 1.1 KB, <= 4 s',
      isMet,
    }
  }
}

function fillEvents(journal: Journal, count: number): void {
  for (let i = 0; i < count; i++)
    journal.record({
      type: 'printer.connected',
      message: 'motion answers',
      detail: { controller: 'motion', firmware: 'Marlin 2.1.2', machine: 'bench' },
    })
}

/** M5: peak resident memory of the core while a part of 1 GB is admitted, and while it prints. */
async function memory(context: BenchContext): Promise<Row> {
  const row = {
    id: 'M5',
    what: 'core peak RSS, 1 GB part admitted whole and printed for a minute',
    peer: 'bare node',
    owed: '<= 96 MB, slope 0',
  } as const
  const vase = sharedPath('gcode/vase.gcode.zst')
  if (vase === undefined)
    return {
      ...row,
      ratio: undefined,
      figure: 'not measured: the shared part is absent',
      isMet: undefined,
    }
  await using desk = await startDesk(context, 'memory', 1_000_000)
  const text = zstdDecompressSync(await readFile(vase))
  const path = join(context.directory, 'huge.mpf')
  context.say('sealing 1 GB')
  await sealForBench(text, 1, path, {
    repeat: Math.ceil(GB / text.length),
    keys: desk.keys,
  })
  await copyFile(path, join(desk.stick, 'huge.part'))
  await rename(join(desk.stick, 'huge.part'), join(desk.stick, 'huge.mpf'))
  const admittedMb = await untilPrinting(desk, context)
  const samples: number[] = []
  for (let second = 0; second < PRINT_S; second++) {
    await sleep(1000)
    samples.push(await statusMb(desk.pid, 'VmRSS'))
  }
  const peak = await statusMb(desk.pid, 'VmHWM')
  const third = Math.floor(PRINT_S / 3)
  const slope = median(samples.slice(-third)) - median(samples.slice(third, 2 * third))
  const bare = await bareNodeMb()
  return {
    ...row,
    ratio: peak / bare,
    figure: `peak ${peak.toFixed(0)} MB (admission ${admittedMb.toFixed(0)} MB, bare node ${bare.toFixed(0)} MB), while printing ${median(samples).toFixed(0)} MB, slope ${slope.toFixed(1)} MB over the last third`,
    isMet: peak <= 96 && slope < 1,
  }
}

async function untilPrinting(desk: Desk, context: BenchContext): Promise<number> {
  const link = connect(desk.socket)
  await once(link, 'connect')
  context.say('admitting it')
  let peak = 0
  for (;;) {
    await sleep(500)
    peak = await statusMb(desk.pid, 'VmHWM')
    link.write(`${JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'jobs.list', params: {} })}\n`)
    const [answer] = (await once(link, 'data')) as [Buffer]
    const [job] = JSON.parse(answer.toString()).result.jobs
    if (job?.state === 'printing') break
    if (job && !['received', 'ready', 'printing'].includes(job.state))
      throw new Error(`job ${job.state}: ${job.code}`)
  }
  link.destroy()
  return peak
}

/** What Node itself takes, without a program. */
async function bareNodeMb(): Promise<number> {
  const child = spawn(process.execPath, ['-e', 'process.stdin.resume()'], {
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  await sleep(1000)
  const peak = await statusMb(child.pid ?? 0, 'VmHWM')
  child.stdin.end()
  await once(child, 'exit')
  return peak
}

async function statusMb(pid: number, field: string): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'latin1')
  const [, kilobytes = '0'] = new RegExp(`${field}:\\s+(\\d+) kB`).exec(status) ?? []
  return (Number(kilobytes) * 1024) / MB
}
