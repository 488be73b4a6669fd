/** The core prints a sealed part: nothing of what was sealed is on its disk, before, during or after; its memory is its own and never dumped. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { test } from 'tap'
import { createLineReader, formatRequest, parseReply } from '#lib/json-rpc.ts'
import { deskPrinter, program, seal } from '../fakes/core-printer.ts'
import { foundInMemory } from '../fakes/process-memory.ts'

const root = join(import.meta.dirname, '../..')
const [IN_PROGRAM, TITLE, LABEL] = [
  'X41.7731 Y38.1973',
  'CANARYTITLE90ab',
  'CANARYLABEL5cc2',
] as const
const CANARIES = [IN_PROGRAM, TITLE, LABEL]
const needles = CANARIES.flatMap(text => [Buffer.from(text), Buffer.from(text, 'utf16le')])

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

async function untilState(socket: string, state: string): Promise<string> {
  for (;;) {
    const { jobs } = (await ask(socket, 'jobs.list')) as { readonly jobs: readonly object[] }
    const text = JSON.stringify(jobs)
    if (text.includes(`"state":"${state}"`)) return text
    if (/"state":"(?:refused|failed)"/.test(text)) throw new Error(text)
    await new Promise(resolve => setTimeout(resolve, 50))
  }
}

test('nothing sealed is on the disk of a core that admits and prints it', async t => {
  await using printer = await deskPrinter()
  const { socket } = printer.config.control
  const config = join(printer.directory, 'canary.json')
  const settings = {
    ...printer.config,
    log: { level: 'debug' },
    control: { ...printer.config.control, mode: '0600' },
  }
  await writeFile(config, JSON.stringify(settings))
  const log = createWriteStream(join(printer.directory, 'core.log'))
  await once(log, 'open')
  const args = ['--config', config, '--simulate', '--simulator-option=--speed=50']
  const child = spawn(process.execPath, [join(root, 'firmware/core/main.ts'), ...args], {
    stdio: ['ignore', log, log],
  })
  t.teardown(async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL')
      await once(child, 'exit')
    }
  })
  const onDisk = async () => {
    const entries = await readdir(printer.directory, { recursive: true, withFileTypes: true })
    const found: string[] = []
    for (const entry of entries.filter(each => each.isFile())) {
      const path = join(entry.parentPath, entry.name)
      const bytes = await readFile(path).catch(() => Buffer.alloc(0))
      if (needles.some(needle => bytes.includes(needle))) found.push(path)
    }
    return found
  }
  const text = `${program(300)}G1 ${IN_PROGRAM} F3000\n`
  const sealed = await seal(printer, text, { info: { title: TITLE, label: LABEL } })
  const logged = () => readFile(join(printer.directory, 'core.log'), 'utf8')
  while (!(await logged()).includes('"ready"')) {
    if (child.exitCode !== null) throw new Error(await logged())
    await new Promise(resolve => setTimeout(resolve, 50))
  }
  await writeFile(join(printer.stick, 'part.mpf'), sealed)
  t.match(await untilState(socket, 'ready'), TITLE, 'its title is told to who may ask')
  t.same(await onDisk(), [], 'admitted')
  t.match(await ask(socket, 'print.start'), { state: 'printing' })
  t.same(await onDisk(), [], 'printing')
  await untilState(socket, 'done')
  t.same(await onDisk(), [], 'printed')

  const inMemory = foundInMemory(child.pid ?? 0, [...needles, Buffer.from('mpfd')])
  t.ok(
    inMemory.some(needle => needle.equals(Buffer.from('mpfd'))),
    'its memory can be read here',
  )
  // What is printed has to be there in the clear, and the simulated controller is of this process: said, not judged.
  t.comment(`in memory after the print: ${inMemory.map(String).join(', ')}`)
  child.kill('SIGTERM')
  await once(child, 'exit')
  t.same(await onDisk(), [], 'ended')
})

test('the memory of an installed core reaches no disk', async t => {
  const unit = await readFile(join(root, 'config/systemd/mpfd.service'), 'utf8')
  for (const setting of ['LimitCORE=0', 'MemorySwapMax=0'])
    t.ok(unit.split('\n').includes(setting), setting)
})
