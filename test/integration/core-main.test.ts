import { type ChildProcess, spawn } from 'node:child_process'
import { on, once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { DatabaseSync } from 'node:sqlite'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { createLineReader, formatRequest, parseReply } from '#lib/json-rpc.ts'
import { type DeskPrinter, deskPrinter, program, seal } from '../fakes/core-printer.ts'

const MAIN = fileURLToPath(new URL('../../firmware/core/main.ts', import.meta.url))

function mpfd(args: readonly string[]): ChildProcess {
  return spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'ignore', 'pipe'] })
}

/** Starts it on a simulated board and resolves once it says that it is ready. */
async function running(printer: DeskPrinter, speed: number): Promise<ChildProcess> {
  const settings = {
    ...printer.config,
    log: { level: 'info' },
    control: { ...printer.config.control, mode: '0600' },
  }
  const configFile = join(printer.directory, 'running.json')
  await writeFile(configFile, JSON.stringify(settings))
  const child = mpfd(['--config', configFile, '--simulate', `--simulator-option=--speed=${speed}`])
  if (!child.stderr) throw new Error('no stderr')
  const lines = createInterface({ input: child.stderr })
  for await (const [line] of on(lines, 'line')) if (String(line).includes('"ready"')) break
  return child
}

async function ask(socket: string, method: string, params: object = {}): Promise<unknown> {
  const client = connect(socket)
  client.write(formatRequest(1, method, params))
  const reader = createLineReader(1 << 20)
  for await (const chunk of client) {
    const [line] = reader.push(chunk).lines
    if (!line) continue
    const reply = parseReply(line)
    return reply.kind === 'result' ? reply.result : reply
  }
  throw new Error('no answer')
}

async function untilState(socket: string, state: string): Promise<void> {
  for (;;) {
    const list = await ask(socket, 'jobs.list', { state })
    if (JSON.stringify(list) !== '{"jobs":[]}') return
  }
}

/** A print of which no line was acknowledged is not one to go on with. */
async function untilLineAcked(socket: string): Promise<void> {
  for (;;) {
    const list = await ask(socket, 'jobs.list', { state: 'printing' })
    if (/"line":[1-9]/.test(JSON.stringify(list))) return
  }
}

t.test('says how it is used, and what is wrong with its configuration', async t => {
  const [usage] = await once(mpfd([]), 'exit')
  t.equal(usage, 2)
  const [config] = await once(mpfd(['--config', '/nonexistent']), 'exit')
  t.equal(config, 78)
})

t.test('prints over its socket and, told to end, stops the machine and says so', async t => {
  await using printer = await deskPrinter()
  const child = await running(printer, 3)
  const { socket } = printer.config.control
  t.match(await ask(socket, 'status'), { serial: 'T-1', queue: { ready: 0 } })
  await writeFile(join(printer.stick, 'part.mpf'), await seal(printer, program(3000)))
  await untilState(socket, 'ready')
  t.match(await ask(socket, 'print.start'), { state: 'printing', use: 1 })
  t.match(await ask(socket, 'print.start'), { failure: { data: { code: 'JOB_NONE_READY' } } })
  await untilLineAcked(socket)
  const exited = once(child, 'exit')
  child.kill('SIGTERM')
  t.strictSame(await exited, [0, null])
  using journal = new DatabaseSync(join(printer.config.stateDirectory, 'journal.sqlite'))
  t.match(journal.prepare('SELECT state, code FROM jobs').get(), {
    state: 'interrupted',
    code: 'JOB_INTERRUPTED',
  })
  t.strictSame(
    journal
      .prepare('SELECT type FROM events ORDER BY sequence DESC LIMIT 3')
      .all()
      .map(({ type }) => type),
    ['core.stopped', 'job.interrupted', 'printer.safe_stop'],
  )
})

t.test('needs no network', async t => {
  const probe = spawn('unshare', ['--user', '--net', 'true'], { stdio: 'ignore' })
  const [status] = await once(probe, 'exit').catch(() => [1])
  if (status !== 0) {
    t.comment('no network namespace can be made here')
    return
  }
  await using printer = await deskPrinter()
  const args = [
    '--user',
    '--net',
    process.execPath,
    MAIN,
    '--config',
    printer.configFile,
    '--simulate',
  ]
  const child = spawn('unshare', args, { stdio: 'ignore' })
  const { socket } = printer.config.control
  let answer: unknown
  while (answer === undefined && child.exitCode === null)
    answer = await ask(socket, 'status').catch(() => undefined)
  t.match(answer, { serial: 'T-1' })
  const exited = once(child, 'exit')
  child.kill('SIGTERM')
  t.strictSame(await exited, [0, null])
})
