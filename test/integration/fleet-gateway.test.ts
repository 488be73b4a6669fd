/** The upload API over real TLS with curl, as slicers use it: sealed on the way, sent when asked to, refused by code. */
import { execFile, spawnSync } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { offerSchema, type Publication } from '#cloud'
import { systemClock } from '#lib/clock.ts'
import { issueServer } from '../../fleet/ca.ts'
import { type Gateway, type GatewayEvent, startGateway } from '../../fleet/gateway.ts'
import { issueKey } from '../../fleet/holder-keys.ts'
import { registerPrinter } from '../../fleet/printers.ts'
import { FleetStore } from '../../fleet/store.ts'
import { createTenant } from '../../fleet/tenant.ts'

const root = join(import.meta.dirname, '../..')
const SAMPLE = join(root, 'test/samples/clip.gcode')
const hasCurl = spawnSync('curl', ['--version']).error === undefined

interface Desk {
  readonly directory: string
  readonly gateway: Gateway
  readonly key: string
  readonly events: GatewayEvent[]
  readonly sent: Publication[]
  curl(
    ...args: readonly string[]
  ): Promise<{ readonly status: number; readonly body: Record<string, unknown> }>
}

async function desk(t: Test, more: { readonly maxFileBytes?: number } = {}): Promise<Desk> {
  const directory = await mkdtemp(join(tmpdir(), 'fleet-gateway-'))
  const tenant = await createTenant(directory, 'test', Date.now())
  const store = new FleetStore(join(directory, 'fleet.sqlite'))
  const made = spawnSync(join(root, 'bin/mpf'), ['keygen', join(directory, 'printer')])
  t.equal(made.status, 0, String(made.stderr))
  const profile = await readFile(join(root, 'config/samples/printer.json'), 'utf8')
  const printer = { key: await readFile(join(directory, 'printer.pub.pem'), 'utf8'), profile }
  await registerPrinter(directory, 'P-1', printer)
  const [events, sent]: [GatewayEvent[], Publication[]] = [[], []]
  const gateway = await startGateway({
    ...{ tenant, store, clock: systemClock, host: '127.0.0.1', port: 0, maxSealing: 2, uses: 1 },
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
    new Promise<{ status: number; body: Record<string, unknown> }>((resolve, reject) => {
      const fixed = ['-sS', '--cacert', join(directory, 'ca.pem'), '-w', '\n%{http_code}']
      const path = args.at(-1) ?? ''
      const url = `https://localhost:${gateway.port}${path}`
      execFile('curl', [...fixed, ...args.slice(0, -1), url], (error, output) => {
        if (error) return reject(error)
        const [body = '', status = ''] = output.split('\n')
        resolve({ status: Number(status), body: JSON.parse(body) })
      })
    })
  return { directory, gateway, key, events, sent, curl }
}

test('curl uploads as PrusaSlicer does: sealed, kept or sent', async t => {
  if (!hasCurl) return t.comment('curl is not installed: nothing was uploaded')
  const { directory, key, events, sent, curl } = await desk(t)
  const auth = ['-H', `X-Api-Key: ${key}`]
  const version = await curl(...auth, '/api/version')
  t.equal(version.status, 200)
  t.match(version.body, { api: '0.1', text: /OctoPrint/ })
  const form = ['-F', 'print=false', '-F', 'path=', '-F', `file=@${SAMPLE};filename=clip.gcode`]
  const kept = await curl(...auth, ...form, '/p/P-1/api/files/local')
  t.equal(kept.status, 201)
  t.match(kept.body, { done: true, effectivePrint: false, offer: null })
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
  t.match(printed, { status: 201, body: { effectivePrint: true } })
  t.equal(sent.length, 1)
  t.equal(sent[0]?.topic, 'mpf/v1/P-1/job')
  const envelope = JSON.parse(String(Buffer.from(sent[0]?.payload ?? ''))) as { payload: string }
  const offer = offerSchema.parse(JSON.parse(Buffer.from(envelope.payload, 'base64').toString()))
  t.equal(offer.offer, printed.body.offer)
  t.same(
    events.map(({ code }) => code),
    [null, null],
  )
  const files = await readdir(join(directory, 'files'))
  t.equal(files.length, 2)
  const sample = (await readFile(SAMPLE, 'latin1'))
    .split('\n')
    .filter(line => line.startsWith('G1 X') && line.length > 20)
  for (const file of files) {
    const bytes = await readFile(join(directory, 'files', file))
    t.notOk(bytes.includes(sample[50] ?? 'G1 X'), 'no plaintext')
  }
  for (const path of [
    '/api/job',
    '/api/printer',
    '/api/connection',
    '/api/printerprofiles',
    '/api/settings',
  ])
    t.equal((await curl(...auth, `/p/P-1${path}`)).status, 200, path)
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
    t.match(answer, { status, body: { error: code } }, `${code} ${args.at(-1)}`)
    t.same(
      events.slice(before).map(each => each.code),
      [code],
    )
  }
  t.equal(sent.length, 0)
  t.same(await readdir(join(directory, 'files')), [])
  await rm(join(directory, 'api-keys/slicer'))
  t.equal((await curl(...auth, '/api/version')).status, 403, 'a removed key is a revoked one')
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
  t.same(await readdir(join(directory, 'files')), [])
})
