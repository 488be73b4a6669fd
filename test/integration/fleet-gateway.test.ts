/** The upload API over real TLS with curl, as slicers use it: sealed on the way, sent when asked to, refused by code. */
import { execFile, spawnSync } from 'node:child_process'
import { mkdir, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { request } from 'node:https'
import { connect as connectPlain } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { connect, type TLSSocket } from 'node:tls'
import { type Test, test } from 'tap'
import { offerSchema, type Publication } from '#cloud'
import { type Clock, systemClock } from '#lib/clock.ts'
import { issueServer } from '../../fleet/ca.ts'
import { FleetError } from '../../fleet/errors.ts'
import { type GatewayEvent, startGateway } from '../../fleet/gateway.ts'
import { issueKey } from '../../fleet/holder-keys.ts'
import type { HttpsServer } from '../../fleet/https-server.ts'
import { removeOld } from '../../fleet/kept-files.ts'
import { LoginGuard } from '../../fleet/login-guard.ts'
import { registerPrinter } from '../../fleet/printers.ts'
import { FleetStore } from '../../fleet/store.ts'
import { createTenant } from '../../fleet/tenant.ts'
import { until } from '../fakes/cloud-bench.ts'
import {
  curlUpload,
  curlVersion,
  qtGet,
  qtPost,
  qtUpload,
  type SlicerHost,
  send,
} from '../fakes/slicer-requests.ts'

const root = join(import.meta.dirname, '../..')
const SAMPLE = join(root, 'test/samples/clip.gcode')
const hasCurl = spawnSync('curl', ['--version']).error === undefined

interface Desk {
  readonly directory: string
  readonly store: FleetStore
  readonly gateway: HttpsServer
  readonly key: string
  readonly events: GatewayEvent[]
  readonly sent: Publication[]
  readonly host: SlicerHost
  /** Moves the gateway's clock. */
  pass(ms: number): void
  curl(...args: readonly string[]): Promise<Reply>
}

interface Reply {
  readonly status: number
  readonly body: string
  readonly json: Readonly<Record<string, unknown>>
}

async function desk(
  t: Test,
  more: { readonly maxFileBytes?: number; readonly maxSealing?: number } = {},
): Promise<Desk> {
  const directory = await mkdtemp(join(tmpdir(), 'fleet-gateway-'))
  const tenant = await createTenant(directory, 'test', Date.now())
  const store = new FleetStore(join(directory, 'fleet.sqlite'))
  const made = spawnSync(join(root, 'bin/mpf'), ['keygen', join(directory, 'printer')])
  t.equal(made.status, 0, String(made.stderr))
  const profile = await readFile(join(root, 'config/samples/printer.json'), 'utf8')
  const printer = { key: await readFile(join(directory, 'printer.pub.pem'), 'utf8'), profile }
  await registerPrinter(directory, 'P-1', printer)
  const [events, sent]: [GatewayEvent[], Publication[]] = [[], []]
  let skewMs = 0
  const clock: Clock = { ...systemClock, nowMs: () => systemClock.nowMs() + skewMs }
  const gateway = await startGateway({
    ...{ tenant, store, clock, host: '127.0.0.1', port: 0, uses: 1 },
    maxSealing: more.maxSealing ?? 2,
    server: issueServer(tenant.authority, ['localhost'], Date.now()),
    maxFileBytes: more.maxFileBytes ?? 1 << 20,
    publish: async publication => void sent.push(publication),
    onEvent: event => events.push(event),
  })
  const key = await issueKey(directory, 'api-keys', 'slicer')
  t.teardown(async () => {
    await gateway[Symbol.asyncDispose]()
    store[Symbol.dispose]()
    await rm(directory, { recursive: true })
  })
  const curl = (...args: readonly string[]) =>
    new Promise<Reply>((resolve, reject) => {
      const fixed = ['-sS', '--cacert', join(directory, 'ca.pem'), '-w', '\n%{http_code}']
      const path = args.at(-1) ?? ''
      const url = `https://localhost:${gateway.port}${path}`
      execFile('curl', [...fixed, ...args.slice(0, -1), url], (error, output) => {
        if (error) return reject(error)
        const [body = '', status = ''] = output.split('\n')
        const json = body.startsWith('{') ? (JSON.parse(body) as Reply['json']) : {}
        resolve({ status: Number(status), body, json })
      })
    })
  const ca = tenant.authority.certPem
  const host = { port: gateway.port, ca, key, path: '/p/P-1' }
  const pass = (ms: number) => {
    skewMs += ms
  }
  return { directory, store, gateway, key, events, sent, host, pass, curl }
}

async function filesIn(directory: string): Promise<readonly string[]> {
  const place = join(directory, 'files')
  const entries = await readdir(place, { recursive: true, withFileTypes: true }).catch(() => [])
  return entries.filter(entry => entry.isFile()).map(entry => join(entry.parentPath, entry.name))
}

const LOOKS = ['job', 'printer', 'connection', 'printerprofiles', 'settings']
const AGENTS = ['PrusaSlicer/2.9.2+linux-x64', 'OrcaSlicer/2.3.0']

for (const agent of AGENTS)
  test(`takes what ${agent} sends`, async t => {
    const { host, events, sent } = await desk(t, { maxFileBytes: 8 << 20 })
    const version = await send(host, curlVersion(host, agent))
    t.equal(version.status, 200)
    t.match(JSON.parse(version.body), { api: /./, text: /^OctoPrint/ })
    const bytes = await readFile(SAMPLE)
    const kept = { name: 'Teil größe ü.gcode', bytes }
    const answer = await send(host, curlUpload(host, agent, kept, { print: false, path: '' }))
    t.equal(answer.status, 201, answer.body)
    t.match(JSON.parse(answer.body), { files: { local: { name: kept.name } }, offer: null })
    // Above a mebibyte libcurl asks first.
    const line = Buffer.from(`; ${'x'.repeat(77)}\n`)
    const large = Buffer.concat([bytes, ...Array.from({ length: 15_000 }, () => line)])
    const file = { name: 'large.gcode', bytes: large }
    const request = curlUpload(host, agent, file, { print: true, path: 'some/folder' })
    t.ok(request.subarray(0, 1000).includes('Expect: 100-continue'))
    t.equal((await send(host, request)).status, 201)
    t.equal(sent.length, 1)
    t.same(
      events.map(({ code }) => code),
      [null, null],
    )
  })

test("takes what Cura's OctoPrint plugin sends, and gives it every field it reads", async t => {
  const { host, store, events, sent } = await desk(t)
  const get = async (operation: string) => {
    const { status, body } = await send(host, qtGet(host, operation))
    return { status, json: status === 200 ? JSON.parse(body) : undefined }
  }
  t.match(await get('version'), { status: 200, json: { server: /./ } })
  const login = await send(host, qtPost(host, 'login', { passive: true }))
  t.match(JSON.parse(login.body), { name: 'slicer' })
  t.match(await get('settings'), { json: { feature: { sdSupport: false } } })
  t.match(await get('printerprofiles'), { json: { profiles: { _default: { current: true } } } })
  t.equal((await get('printer')).status, 409, 'as OctoPrint says it of a printer that is away')
  store.setFact('P-1', 'state', 0, { online: true, state: 'idle', job: null, percent: 0 })
  const { json } = await get('printer')
  t.same(Object.keys(json.state.flags).toSorted(), [
    ...['cancelling', 'closedOrError', 'error', 'operational', 'paused', 'pausing', 'printing'],
    ...['ready', 'sdReady'],
  ])
  t.match(json.temperature, { tool0: { actual: null, target: null }, bed: { actual: null } })
  const job = await get('job')
  const progress = { completion: null, printTime: null, printTimeLeft: null }
  t.same(job.json, { state: 'Operational', job: { file: { name: null } }, progress })
  for (const operation of LOOKS) t.equal((await get(operation)).status, 200, operation)

  const file = { name: 'clip.gcode', bytes: await readFile(SAMPLE) }
  const kept = await send(host, qtUpload(host, file, { print: false }))
  t.equal(kept.status, 201, kept.body)
  t.equal(sent.length, 0)
  // It goes on from what it is told the file is called now.
  const [, endPoint = ''] =
    /api\/(files\/local\/.+)$/.exec(kept.headers.get('location') ?? '') ?? []
  const select = (more: object) =>
    send(host, qtPost(host, endPoint, { command: 'select', ...more }))
  t.equal((await select({})).status, 204)
  t.equal(sent.length, 0)
  t.equal((await select({ print: true })).status, 204)
  t.equal(sent.length, 1)
  t.equal((await send(host, qtUpload(host, file, { print: true }))).status, 201)
  t.equal(sent.length, 2)
  t.ok(events.every(({ code }) => code === null))

  // What it may also ask for is refused in words it shows, and moves nothing.
  const away = 'files/local/00000000-0000-0000-0000-000000000000.mpf'
  for (const [operation, value] of [
    ['job', { command: 'pause' }],
    ['printer/command', { commands: ['G28'] }],
    ['connection', { command: 'connect' }],
    [away, { command: 'select', print: true }],
    ['files/local/..%2F..%2Ftenant.json', { command: 'select', print: true }],
    [endPoint, { command: 'unselect' }],
  ] as const) {
    const { status, headers, body } = await send(host, qtPost(host, operation, value))
    t.equal(status, 400, operation)
    t.equal(headers.get('content-type'), 'text/plain')
    t.match(body, /^FLEET_UPLOAD: /)
  }
  t.equal(sent.length, 2)
  const probe = Buffer.from(
    `GET /plugin/appkeys/probe HTTP/1.1\r\nHost: localhost:${host.port}\r\n\r\n`,
  )
  t.equal((await send(host, probe)).status, 404)
})

test('curl uploads as PrusaSlicer does: sealed, kept or sent', async t => {
  if (!hasCurl) return t.comment('curl is not installed: nothing was uploaded')
  const { directory, key, events, sent, curl } = await desk(t)
  const auth = ['-H', `X-Api-Key: ${key}`]
  const version = await curl(...auth, '/api/version')
  t.equal(version.status, 200)
  t.match(version.json, { api: '0.1', text: /OctoPrint/ })
  const form = ['-F', 'print=false', '-F', 'path=', '-F', `file=@${SAMPLE};filename=clip.gcode`]
  const kept = await curl(...auth, ...form, '/p/P-1/api/files/local')
  t.equal(kept.status, 201)
  t.match(kept.json, { done: true, effectivePrint: false, offer: null })
  t.equal(sent.length, 0, 'upload alone sends nothing')
  // OrcaSlicer and Cura put the fields behind the file; a key may be a bearer token; one printer needs no name.
  const late = [
    '-F',
    `file=@${SAMPLE};filename=clip.gcode`,
    '-F',
    'select=true',
    '-F',
    'print=true',
  ]
  const printed = await curl('-H', `Authorization: Bearer ${key}`, ...late, '/api/files/local')
  t.match(printed, { status: 201, json: { effectivePrint: true } })
  t.equal(sent.length, 1)
  t.equal(sent[0]?.topic, 'mpf/v1/P-1/job')
  const envelope = JSON.parse(String(Buffer.from(sent[0]?.payload ?? ''))) as { payload: string }
  const offer = offerSchema.parse(JSON.parse(Buffer.from(envelope.payload, 'base64').toString()))
  t.equal(offer.offer, printed.json.offer)
  t.same(
    events.map(({ code }) => code),
    [null, null],
  )
  const files = await filesIn(directory)
  t.equal(files.length, 2)
  const sample = (await readFile(SAMPLE, 'latin1'))
    .split('\n')
    .filter(line => line.startsWith('G1 X') && line.length > 20)
  for (const file of files) {
    const bytes = await readFile(file)
    t.notOk(bytes.includes(sample[50] ?? 'G1 X'), 'no plaintext')
  }
})

test('refuses by code, with an event each, and keeps nothing', async t => {
  if (!hasCurl) return t.comment('curl is not installed: nothing was uploaded')
  const { directory, key, events, sent, curl } = await desk(t, { maxFileBytes: 300_000 })
  const auth = ['-H', `X-Api-Key: ${key}`]
  const big = join(directory, 'big.gcode')
  await writeFile(big, 'G1 X10 Y10 F3000\n'.repeat(30_000))
  const outside = join(directory, 'outside.gcode')
  await writeFile(outside, 'G28\nG1 X9000 F3000\n')
  const picture = join(directory, 'picture.gcode')
  await writeFile(picture, Buffer.from([0x89, 0x50, 0x4e, 0x47, 0, 0, 0, 1, 2, 3]))
  const file = (path: string) => ['-F', 'print=true', '-F', `file=@${path};filename=a.gcode`]
  const upload = '/p/P-1/api/files/local'
  const cases: readonly [string, number, readonly string[]][] = [
    ['FLEET_API_KEY', 403, ['-H', 'X-Api-Key: wrong', '/api/version']],
    ['FLEET_API_KEY', 403, ['/api/version']],
    ['FLEET_API_KEY', 403, ['-H', 'X-Api-Key: wrong', ...file(SAMPLE), upload]],
    ['FLEET_PRINTER_UNKNOWN', 404, [...auth, ...file(SAMPLE), '/p/P-2/api/files/local']],
    ['FLEET_PRINTER_UNKNOWN', 404, [...auth, ...file(SAMPLE), '/p/.hidden/api/files/local']],
    ['FLEET_TOO_LARGE', 413, [...auth, ...file(big), upload]],
    ['FLEET_SEAL', 415, [...auth, ...file(outside), upload]],
    ['FLEET_SEAL', 415, [...auth, ...file(picture), upload]],
    ['FLEET_UPLOAD', 400, [...auth, '-F', 'print=true', upload]],
    ['FLEET_UPLOAD', 400, [...auth, '-d', 'not multipart', upload]],
    ['FLEET_UPLOAD', 400, [...auth, '-X', 'DELETE', upload]],
  ]
  for (const [code, status, args] of cases) {
    const before = events.length
    const answer = await curl(...args)
    t.equal(answer.status, status, `${code} ${args.at(-1)}`)
    t.ok(answer.body.startsWith(`${code}: `), answer.body)
    // Failed log-ins are told once a minute.
    const isTold = code !== 'FLEET_API_KEY' || before === 0
    t.same(
      events.slice(before).map(each => each.code),
      isTold ? [code] : [],
    )
  }
  t.equal(sent.length, 0)
  t.same(await filesIn(directory), [])
  await rm(join(directory, 'api-keys/slicer'))
  t.equal((await curl(...auth, '/api/version')).status, 403, 'a removed key is a revoked one')
})

test('an upload that trickles, or never ends, is cut off; a place is free again', async t => {
  const { host, events, pass } = await desk(t, { maxFileBytes: 200_000, maxSealing: 1 })
  const head = (length: number) =>
    `POST /p/P-1/api/files/local HTTP/1.1\r\nHost: localhost\r\nX-Api-Key: ${host.key}\r\n` +
    `Content-Type: multipart/form-data; boundary=b\r\nContent-Length: ${length}\r\n\r\n` +
    '--b\r\nContent-Disposition: form-data; name="file"; filename="a.gcode"\r\n\r\n'
  const open = () => {
    const socket = connectTo(host)
    socket.on('error', () => undefined).resume()
    return socket
  }
  const slow = open()
  const isCut = new Promise(done => slow.once('close', done))
  slow.write(`${head(1_000_000)}G28\n`)
  await until(async () => (await childrenOf(process.pid)).length > 0)
  t.equal((await busy()).status, 503)
  pass(3_600_000)
  slow.write('G1 X10 Y10 F3000\n')
  await isCut
  await until(() => events.some(({ message }) => message.startsWith('slower')))

  const endless = open()
  const line = Buffer.from(`; ${'x'.repeat(998)}\n`)
  const isOver = new Promise(done => endless.once('close', done))
  endless.write(head(1_000_000_000))
  while (!endless.destroyed)
    if (!endless.write(line))
      await Promise.race([new Promise(done => endless.once('drain', done)), isOver])
  await isOver
  await until(() => events.some(({ code }) => code === 'FLEET_TOO_LARGE'))
  await until(async () => (await busy()).status === 201)

  async function busy() {
    const file = { name: 'a.gcode', bytes: Buffer.from('G28\nG1 X10 Y10 F3000\n') }
    return send(host, curlUpload(host, 'test', file, { print: false, path: '' }))
  }
})

test('while a file arrives no open file of the gateway or its sealing holds the plaintext', async t => {
  const { host } = await desk(t)
  const canary = 'M117 canary-7f3a91'
  const socket = connectTo(host)
  t.teardown(() => socket.destroy())
  socket.on('error', () => undefined)
  socket.write(
    `POST /p/P-1/api/files/local HTTP/1.1\r\nHost: localhost\r\nX-Api-Key: ${host.key}\r\n` +
      'Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 900000\r\n\r\n' +
      '--b\r\nContent-Disposition: form-data; name="file"; filename="a.gcode"\r\n\r\n' +
      `G28\n${`${canary}\nG1 X10 Y10 F3000\n`.repeat(20_000)}`,
  )
  const sealing = await until(async () => (await childrenOf(process.pid))[0])
  await until(async () => (await openFilesOf(sealing)).length > 0)
  for (let round = 0; round < 5; round++) {
    for (const id of [process.pid, sealing])
      for (const path of await openFilesOf(id)) {
        const bytes = await readFile(path).catch(() => Buffer.alloc(0))
        t.notOk(
          bytes.includes(canary),
          `${path} of ${id === sealing ? 'the sealing' : 'the gateway'}`,
        )
      }
    await wait(100)
  }
})

function connectTo({ ca, port }: SlicerHost): TLSSocket {
  return connect({ ca, port, host: 'localhost', servername: 'localhost' })
}

/** Regular files a process has open, by their descriptors, nameless ones too. */
async function openFilesOf(id: number): Promise<readonly string[]> {
  const place = `/proc/${id}/fd`
  const names = await readdir(place).catch(() => [])
  const found = await Promise.all(
    names.map(async name => {
      const path = join(place, name)
      const status = await stat(path).catch(() => undefined)
      return status?.isFile() && status.size < 1 << 28 ? [path] : []
    }),
  )
  return found.flat()
}

async function childrenOf(id: number): Promise<readonly number[]> {
  const text = await readFile(`/proc/${id}/task/${id}/children`, 'utf8')
  return text.split(' ').filter(Boolean).map(Number)
}

test('speaks TLS only', async t => {
  const { gateway } = await desk(t)
  const plain = connectPlain({ port: gateway.port, host: '127.0.0.1' })
  plain.end('GET /api/version HTTP/1.1\r\nHost: localhost\r\n\r\n')
  let received = ''
  plain.on('error', () => undefined)
  plain.setEncoding('latin1').on('data', text => {
    received += text
  })
  await new Promise(done => plain.once('close', done))
  t.notMatch(received, /HTTP\/1.1 200|OctoPrint/)
})

test('failed log-ins are told once, then by the minute; who goes on is not listened to', async t => {
  const told: string[] = []
  const minute = Promise.withResolvers<void>()
  const clock: Clock = { ...systemClock, sleep: () => minute.promise }
  using guard = new LoginGuard(clock, message => told.push(message))
  const fail = async () => {
    throw new FleetError('FLEET_API_KEY', 'no such key')
  }
  for (let i = 0; i < 12; i++)
    await t.rejects(guard.admit('10.0.0.1', fail), { code: 'FLEET_API_KEY' })
  const known = async () => 'somebody'
  await t.rejects(guard.admit('10.0.0.1', known), { code: 'FLEET_API_KEY' })
  t.equal(await guard.admit('10.0.0.2', known), 'somebody')
  t.equal(told.length, 1)
  minute.resolve()
  await wait(0)
  t.same(told[1], '10 failed log-ins in a minute, from 1 addresses')
  t.equal(await guard.admit('10.0.0.1', known), 'somebody')
})

test('a kept file goes when no offer can name it any more', async t => {
  const { directory, gateway } = await desk(t)
  const place = (name: string) => join(directory, 'files/P-1', name)
  const [old, young] = ['0'.repeat(36), '1'.repeat(36)].map(name => place(`${name}.mpf`)) as [
    string,
    string,
  ]
  await mkdir(join(directory, 'files/P-1'), { recursive: true })
  for (const path of [old, young, place('mine.mpf')]) await writeFile(path, 'x')
  const longAgoS = Date.now() / 1000 - 9 * 86_400
  for (const path of [old, place('mine.mpf')]) await utimes(path, longAgoS, longAgoS)
  await removeOld(directory, Date.now())
  t.same((await readdir(join(directory, 'files/P-1'))).toSorted(), [
    `${'1'.repeat(36)}.mpf`,
    'mine.mpf',
  ])
  t.ok(gateway.port > 0)
})

test('an upload that breaks off leaves nothing behind', async t => {
  const { directory, gateway, key, events, sent } = await desk(t)
  const ca = await readFile(join(directory, 'ca.pem'))
  const sending = request({
    ...{ ca, host: 'localhost', port: gateway.port, method: 'POST', path: '/api/files/local' },
    headers: { 'x-api-key': key, 'content-type': 'multipart/form-data; boundary=b' },
  })
  sending.on('error', () => undefined)
  sending.write(
    '--b\r\nContent-Disposition: form-data; name="file"; filename="a.gcode"\r\n\r\nG28\n',
  )
  sending.write('G1 X10 Y10 F3000\n'.repeat(2000))
  setTimeout(() => sending.destroy(), 300)
  while (events.length === 0) await new Promise(done => setTimeout(done, 20))
  t.equal(events[0]?.code, 'FLEET_UPLOAD')
  t.equal(sent.length, 0)
  t.same(await filesIn(directory), [])
})
