/** What reaches the gateway's port besides slicers: slow, endless, broken, nosy. Nothing stays, no place stays taken, nothing is plaintext. */
import { mkdir, readdir, readFile, stat, utimes, writeFile } from 'node:fs/promises'
import { request } from 'node:https'
import { connect as connectPlain } from 'node:net'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { connect, type TLSSocket } from 'node:tls'
import { test } from 'tap'
import { type Clock, systemClock } from '#lib/clock.ts'
import { FleetError } from '../../fleet/errors.ts'
import { removeOld } from '../../fleet/kept-files.ts'
import { LoginGuard } from '../../fleet/login-guard.ts'
import { until } from '../fakes/cloud-bench.ts'
import { filesIn, gatewayDesk } from '../fakes/gateway-desk.ts'
import { curlUpload, type SlicerHost, send } from '../fakes/slicer-requests.ts'

test('an upload that trickles, or never ends, is cut off; a place is free again', async t => {
  const { host, events, pass } = await gatewayDesk(t, { maxFileBytes: 200_000, maxSealing: 1 })
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
  const { host } = await gatewayDesk(t)
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
  const { gateway } = await gatewayDesk(t)
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
  const { directory, gateway } = await gatewayDesk(t)
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
  const { directory, gateway, key, events, sent } = await gatewayDesk(t)
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
