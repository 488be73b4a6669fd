import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { link, rename, stat, symlink, writeFile } from 'node:fs/promises'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test as Tap } from 'tap'
import { type PrinterView, RPC } from '#lib/control-protocol.ts'
import { createLineReader, formatRequest, parseReply, type ReplyMessage } from '#lib/json-rpc.ts'
import { createLogger } from '#lib/logger.ts'
import type { ControlHandlers } from '../../firmware/core/control/methods.ts'
import { ControlServer } from '../../firmware/core/control/server.ts'
import { CoreError } from '../../firmware/core/errors.ts'
import { type FakeClock, fakeClock } from '../fakes/core-clock.ts'

const STATUS = { serial: 'T-1', state: 'idle' } as PrinterView

function refuse(): never {
  throw new CoreError('PRINTER_IDLE', 'no print is running')
}

const HANDLERS: ControlHandlers = {
  status: () => STATUS,
  watch: () => STATUS,
  'jobs.list': ({ state }) => ({ jobs: [], state }) as never,
  'jobs.show': ({ job }) => ({ id: job }) as never,
  'jobs.report': () => refuse(),
  'jobs.preview': () => refuse(),
  'print.start': () => refuse(),
  'print.pause': async () => refuse(),
  'print.resume': () => {
    throw new RangeError('a fault with a secret in it')
  },
  'print.cancel': () => refuse(),
  'print.stop': () => null,
  'print.respond': () => refuse(),
  'events.list': () => ({ events: [] }),
  'events.verify': () => ({ entries: 0, intact: true, brokenAt: null }),
  'log.segment': () => ({ envelope: '', to: 1 }),
  'log.checkpoint': () => ({ size: 0, note: '', name: '', publicKey: '' }),
  'intake.hold': ({ isHeld }) => ({ isHeld }),
  'command.execute': () => refuse(),
  'cloud.alarms': ({ codes }) => ({ codes }),
  'cloud.report': () => ({ sequence: 1 }),
}

class Client implements Disposable {
  readonly socket: Socket
  readonly #reader = createLineReader(1 << 20)
  readonly #replies: ReplyMessage[] = []
  #arrived = Promise.withResolvers<void>()
  isClosed = false

  constructor(path: string) {
    this.socket = connect(path)
    this.socket.on('error', () => undefined)
    this.socket.on('close', () => {
      this.isClosed = true
      this.#arrived.resolve()
    })
    this.socket.on('data', (chunk: Buffer) => {
      this.#replies.push(...this.#reader.push(chunk).lines.map(parseReply))
      this.#arrived.resolve()
      this.#arrived = Promise.withResolvers()
    })
  }

  async next(): Promise<ReplyMessage | undefined> {
    while (this.#replies.length === 0 && !this.isClosed) await this.#arrived.promise
    return this.#replies.shift()
  }

  async ask(method: string, params: unknown = {}): Promise<ReplyMessage | undefined> {
    this.socket.write(formatRequest(1, method, params))
    return this.next()
  }

  [Symbol.dispose](): void {
    this.socket.destroy()
  }
}

interface Door extends AsyncDisposable {
  readonly path: string
  readonly server: ControlServer
  readonly clock: FakeClock
}

/** A Unix socket's path may have 107 bytes: the test directory's is too long. */
function shortDirectory(test: Tap): string {
  const directory = mkdtempSync(join(tmpdir(), 'core-'))
  test.teardown(() => rmSync(directory, { recursive: true }))
  return directory
}

async function door(
  test: Tap,
  path = join(shortDirectory(test), 's'),
  handlers = HANDLERS,
): Promise<Door> {
  const clock = fakeClock()
  const log = createLogger({ name: 'test', level: 'silent' })
  const server = await ControlServer.listen({ path, mode: 0o660, handlers, clock, log })
  return { path, server, clock, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() }
}

t.test('answers a request, with the mode it was given', async t => {
  await using d = await door(t)
  using client = new Client(d.path)
  t.match(await client.ask('status'), { kind: 'result', id: 1, result: { serial: 'T-1' } })
  t.equal((await stat(d.path)).mode & 0o777, 0o660)
})

t.test('refusals carry their stable code, faults carry nothing of themselves', async t => {
  await using d = await door(t)
  using client = new Client(d.path)
  const refusal = { kind: 'error', failure: { code: RPC.refused, data: { code: 'PRINTER_IDLE' } } }
  t.match(await client.ask('print.pause'), refusal)
  t.match(await client.ask('print.start'), refusal)
  t.strictSame(await client.ask('print.resume'), {
    kind: 'error',
    id: 1,
    failure: { code: RPC.internalError, message: 'internal fault' },
  })
})

t.test('unknown methods and parameters do not exist', async t => {
  await using d = await door(t)
  using client = new Client(d.path)
  for (const method of ['shell', 'toString', '__proto__', 'constructor'])
    t.match(await client.ask(method), { failure: { code: RPC.methodNotFound } }, method)
  const wrong = [
    ['status', { verbose: true }],
    ['jobs.list', { state: 'melted' }],
    ['jobs.show', {}],
    ['jobs.show', { job: '../../etc' }],
    ['print.start', { job: 7 }],
    ['events.list', { after: -1 }],
    ['events.list', { limit: 1_000_000 }],
  ] as const
  for (const [method, params] of wrong)
    t.match(
      await client.ask(method, params),
      { failure: { code: RPC.invalidParams } },
      `${method} ${JSON.stringify(params)}`,
    )
})

t.test('garbage is answered and the connection lives on', async t => {
  await using d = await door(t)
  using client = new Client(d.path)
  client.socket.write(Buffer.from([0xff, 0x00, 0x0a]))
  t.match(await client.next(), { kind: 'error', id: null, failure: { code: RPC.parseError } })
  client.socket.write('{"id":9}\n')
  t.match(await client.next(), { kind: 'error', id: 9, failure: { code: RPC.invalidRequest } })
  t.match(await client.ask('status'), { kind: 'result' })
})

t.test('a huge line ends the connection, not the core', async t => {
  await using d = await door(t)
  {
    using client = new Client(d.path)
    client.socket.write('x'.repeat(70_000))
    t.match(await client.next(), { kind: 'error', failure: { code: RPC.invalidRequest } })
    t.equal(await client.next(), undefined)
  }
  using other = new Client(d.path)
  t.match(await other.ask('status'), { kind: 'result' })
})

t.test('requests of one client are answered in order', async t => {
  await using d = await door(t)
  using client = new Client(d.path)
  const requests = [1, 2, 3].map(id => formatRequest(id, 'status', {}))
  client.socket.write(requests.join(''))
  const ids = [await client.next(), await client.next(), await client.next()]
  t.match(ids, [{ id: 1 }, { id: 2 }, { id: 3 }])
})

t.test('an emergency stop does not wait for what its client asked before', async t => {
  const cancelled = Promise.withResolvers<never>()
  const handlers = { ...HANDLERS, 'print.cancel': () => cancelled.promise }
  await using d = await door(t, undefined, handlers)
  using client = new Client(d.path)
  const asked = ['print.cancel', 'status', 'print.stop', 'status']
  for (const [id, method] of asked.entries()) client.socket.write(formatRequest(id, method, {}))
  t.match(await client.next(), { kind: 'result', id: 2 })
  cancelled.reject(new CoreError('JOB_STATE', 'over'))
  const ids = [await client.next(), await client.next(), await client.next()]
  t.match(ids, [{ id: 0 }, { id: 1 }, { id: 3 }])
})

t.test('nothing waits for a signed command that takes its time', async t => {
  const executed = Promise.withResolvers<never>()
  const handlers = { ...HANDLERS, 'command.execute': () => executed.promise }
  await using d = await door(t, undefined, handlers)
  using client = new Client(d.path)
  client.socket.write(formatRequest(1, 'command.execute', { envelope: 'e30=' }))
  for (const id of [2, 3]) client.socket.write(formatRequest(id, 'events.list', {}))
  t.match([await client.next(), await client.next()], [{ id: 2 }, { id: 3 }])
  executed.reject(new CoreError('JOURNAL_WRITE', 'over'))
  t.match(await client.next(), { id: 1, failure: { data: { code: 'JOURNAL_WRITE' } } })
})

t.test('a client that has said all it wanted still gets its answers', async t => {
  const cancelled = Promise.withResolvers<never>()
  const handlers = { ...HANDLERS, 'print.cancel': () => cancelled.promise }
  await using d = await door(t, undefined, handlers)
  using client = new Client(d.path)
  client.socket.write(formatRequest(1, 'status', {}))
  client.socket.end(formatRequest(2, 'print.cancel', {}))
  t.match(await client.next(), { id: 1 })
  cancelled.reject(new CoreError('JOB_STATE', 'over'))
  t.match(await client.next(), { id: 2, failure: { data: { code: 'JOB_STATE' } } })
})

t.test('more clients than it serves may stop the machine, then they are turned away', async t => {
  await using d = await door(t)
  const clients = Array.from({ length: 20 }, () => new Client(d.path))
  const refusal = { failure: { data: { code: 'CONTROL_CLIENTS' } } }
  for (const [i, client] of clients.entries()) {
    t.match(await client.ask('status'), i < 16 ? { kind: 'result' } : refusal)
    t.match(await client.ask('print.stop'), { kind: 'result' })
  }
  using late = new Client(d.path)
  t.match(await late.next(), refusal)
  t.equal(await late.next(), undefined)
  for (const client of clients) client[Symbol.dispose]()
})

t.test('a watcher hears of events at once and of progress four times a second', async t => {
  await using d = await door(t)
  const ending = new AbortController()
  const reporting = d.server.reportProgress(ending.signal)
  using watcher = new Client(d.path)
  using other = new Client(d.path)
  t.match(await watcher.ask('watch'), { kind: 'result', result: STATUS })
  await other.ask('status')
  d.server.tell({ sequence: 5 } as never)
  t.match(await watcher.next(), { kind: 'notification', method: 'event', params: { sequence: 5 } })
  for (let i = 0; i < 50; i++) d.server.changed()
  t.match(await watcher.next(), { kind: 'notification', method: 'progress' })
  for (let i = 0; i < 50; i++) d.server.changed()
  await d.clock.advance(249)
  d.server.tell({ sequence: 6 } as never)
  t.match(await watcher.next(), { method: 'event' }, 'no second progress yet')
  await d.clock.advance(1)
  t.match(await watcher.next(), { method: 'progress' })
  t.match(await other.ask('status'), { kind: 'result' }, 'others hear nothing')
  ending.abort(new Error('end'))
  await reporting.catch(() => undefined)
})

t.test('a watcher that does not read is dropped', async t => {
  await using d = await door(t)
  const socket = connect(d.path)
  socket.write(formatRequest(1, 'watch', {}))
  await once(socket, 'readable')
  const closed = once(socket, 'close')
  const event = { message: 'x'.repeat(100_000) } as never
  for (let i = 0; i < 100; i++) d.server.tell(event)
  socket.on('error', () => undefined).resume()
  await closed
  t.pass('dropped')
})

t.test('replaces the socket of a core that died, and no other file', async t => {
  const directory = shortDirectory(t)
  await writeFile(join(directory, 'file'), 'precious')
  const stale = join(directory, 'stale')
  const dying = createServer().listen(stale)
  await once(dying, 'listening')
  // Closing through the handle alone leaves the file, as a kill does.
  const keep = join(directory, 'keep')
  await link(stale, keep)
  dying.close()
  await rename(keep, stale)
  await using d = await door(t, stale)
  using client = new Client(d.path)
  t.match(await client.ask('status'), { kind: 'result' })
  await t.rejects(door(t, join(directory, 'file')), { code: 'CONTROL_SOCKET' })
  await symlink(stale, join(directory, 'link'))
  await t.rejects(door(t, join(directory, 'link')), { code: 'CONTROL_SOCKET' })
})

t.test('does not take the socket of a core that answers', async t => {
  await using d = await door(t)
  await t.rejects(door(t, d.path), { code: 'CONTROL_SOCKET' })
})
