/** The upload API over real TLS with curl, as slicers use it: sealed on the way, sent when asked to, refused by code. */
import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'tap'
import { offerSchema } from '#cloud'
import { filesIn, gatewayDesk, hasCurl, SAMPLE } from '../fakes/gateway-desk.ts'
import { curlUpload, curlVersion, qtGet, qtPost, qtUpload, send } from '../fakes/slicer-requests.ts'

const LOOKS = ['job', 'printer', 'connection', 'printerprofiles', 'settings']
const AGENTS = ['PrusaSlicer/2.9.2+linux-x64', 'OrcaSlicer/2.3.0']

for (const agent of AGENTS)
  test(`takes what ${agent} sends`, async t => {
    const { host, events, sent } = await gatewayDesk(t, { maxFileBytes: 8 << 20 })
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
  const { host, store, events, sent } = await gatewayDesk(t)
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
  const { directory, key, events, sent, curl } = await gatewayDesk(t)
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
  const { directory, key, events, sent, curl } = await gatewayDesk(t, { maxFileBytes: 300_000 })
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
