/** A job's report and picture, from the stick to the terminal: computed at admission, told on the socket, never on the disk. */
import { execFile } from 'node:child_process'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { type Core, startCore } from '../../firmware/core/core.ts'
import { runCtl } from '../../firmware/ctl/run.ts'
import { createTerminal } from '../../firmware/ctl/terminal.ts'
import { createAdvisor } from '../../firmware/lib/advice.ts'
import { fakeClock } from '../fakes/core-clock.ts'
import {
  type DeskPrinter,
  deskPrinter,
  desktopPorts,
  seal,
  untilEvent,
} from '../fakes/core-printer.ts'

const MOVES = Array.from(
  { length: 3000 },
  (_, i) =>
    `G1 X${(10 + (i % 500) * 0.1).toFixed(3)} Y${10 + Math.floor(i / 500)} E${(i * 0.005).toFixed(5)}`,
)
const PROGRAM = [
  'G28',
  'G90',
  'M82',
  ';LAYER_CHANGE',
  'G1 Z1 F600',
  'G1 X10 Y10 F9000',
  ...MOVES,
  'M104 S0',
  '',
].join('\n')
const root = join(import.meta.dirname, '../..')

async function ctl(
  printer: DeskPrinter,
  ...argv: readonly string[]
): Promise<{ readonly code: number; readonly out: string; readonly err: string }> {
  let [out, err] = ['', '']
  const stdout = { isTTY: false, columns: 100, write: (text: string) => (out += text) }
  const code = await runCtl([...argv], {
    terminal: createTerminal({
      stdout,
      stderr: { write: text => (err += text) },
      env: { LANG: 'C.UTF-8' },
    }),
    env: { MPFD_SOCKET: printer.config.control.socket },
    clock: fakeClock(),
    advisor: createAdvisor(),
    signal: new AbortController().signal,
  })
  return { code, out, err }
}

async function admitted(
  printer: DeskPrinter,
): Promise<{ readonly core: Core; readonly id: string }> {
  const opener = () => Promise.reject(new Error('no controller here'))
  const core = await startCore(printer.config, desktopPorts(opener), new AbortController().signal)
  await writeFile(join(printer.stick, 'part.mpf'), await seal(printer, PROGRAM))
  const { job } = await untilEvent(core.journal, ({ type }) => /job.admitted|refused/.test(type))
  return { core, id: job ?? '' }
}

t.test('tells what a print takes and where the wire is short, after a restart too', async t => {
  await using printer = await deskPrinter()
  let id: string
  {
    const started = await admitted(printer)
    await using core = started.core
    id = started.id
    t.ok(core)
    const { code, out } = await ctl(printer, 'report', id.slice(0, 8))
    t.equal(code, 0)
    t.match(out, /^time +\d/m)
    t.match(out, /^filament +T0 0\.01 m$/m)
    t.match(out, /^box +X 10\.0 to 59\.9, Y 10\.0 to 15\.0, Z 1\.0 to 1\.0 mm$/m)
    t.match(out, /layer 1 needs \d+ lines\/s, the link gives \d+: will stutter/)
    t.match(out, /compaction would give \d+ lines\/s/)
    t.match(out, /compaction with MeatPack would give \d+ lines\/s/)
  }
  await using core = await startCore(
    printer.config,
    desktopPorts(() => Promise.reject(new Error('none'))),
    new AbortController().signal,
  )
  t.ok(core)
  const { code, out } = await ctl(printer, 'report', id, '--json')
  t.equal(code, 0)
  t.match(JSON.parse(out), {
    job: id,
    verdict: 'stutters',
    commands: 3006,
    layers: [{ layer: 1, verdict: 'stutters' }],
  })
})

t.test('draws a job, one layer of it, and leaves nothing of it on the disk', async t => {
  await using printer = await deskPrinter()
  const { core: started, id } = await admitted(printer)
  await using core = started
  t.ok(core)
  const whole = await ctl(printer, 'preview', id)
  t.equal(whole.code, 0)
  t.match(whole.out, /^<svg .*<path stroke=/s)
  const layer = await ctl(printer, 'preview', id, '--layer', '1', '--view', 'top')
  t.equal(layer.out.split('<path').length, 2)
  t.notOk(/G1 |M104/.test(whole.out + layer.out), 'no program')
  for (const name of await readdir(printer.config.stateDirectory, { recursive: true })) {
    const bytes = await readFile(join(printer.config.stateDirectory, name)).catch(() => undefined)
    t.notOk(bytes?.includes('<svg') || bytes?.includes('G1 X'), `nothing in ${name}`)
  }
  t.match(await ctl(printer, 'preview', id, '--view', 'below'), { code: 2 })
  t.match(await ctl(printer, 'report'), { code: 2 })
  t.match(await ctl(printer, 'report', 'ffff'), { code: 4, err: /JOB_UNKNOWN/ })
})

t.test('mpf reports and draws the same file with a key', async t => {
  await using printer = await deskPrinter()
  const file = join(printer.directory, 'part.mpf')
  await writeFile(file, await seal(printer, PROGRAM))
  const { trust, keys } = printer.config
  const mpf = (...args: readonly string[]) =>
    promisify(execFile)(join(root, 'bin/mpf'), [
      ...args,
      file,
      '--trust',
      trust.bundleFile,
      '--key',
      keys.printerKeyFile,
    ])
  const { stdout } = await mpf('report', '--profile', printer.configFile, '--json')
  t.match(JSON.parse(stdout), { ok: true, commands: 3006, forecast: { verdict: 'stutters' } })
  t.match((await mpf('report')).stdout, /^time +0 h \d+ min/m)
  t.match((await mpf('preview', '--view', 'top')).stdout, /^<svg /)
})
