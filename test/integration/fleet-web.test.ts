/** The web page in a real Chromium: logged in, 2,000 printers, plots, proof; and what it refuses. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { type Test, test } from 'tap'
import { systemClock } from '#lib/clock.ts'
import { issueServer } from '../../fleet/ca.ts'
import { issueKey } from '../../fleet/holder-keys.ts'
import { FleetStore } from '../../fleet/store.ts'
import { createTenant } from '../../fleet/tenant.ts'
import { startWebServer } from '../../fleet/web-server.ts'
import { hasChromium, startChromium } from '../fakes/fleet-chromium.ts'

const PRINTERS = 2000
const LATE = 'P-0007'

async function desk(t: Test) {
  const directory = await mkdtemp(join(tmpdir(), 'fleet-web-'))
  const { authority } = await createTenant(directory, 'test', Date.now())
  const store = new FleetStore(join(directory, 'fleet.sqlite'))
  const web = await startWebServer({
    ...{ tenantDirectory: directory, store, clock: systemClock, host: '127.0.0.1', port: 0 },
    server: issueServer(authority, ['localhost'], Date.now()),
  })
  const key = await issueKey(directory, 'web-keys', 'someone')
  t.teardown(async () => {
    await web[Symbol.asyncDispose]()
    store[Symbol.dispose]()
    await rm(directory, { recursive: true })
  })
  return { store, key, url: `https://localhost:${web.port}` }
}

function fill(store: FleetStore): void {
  store.transact(() => {
    for (let i = 0; i < PRINTERS; i++)
      store.setFact(`P-${String(i).padStart(4, '0')}`, 'state', 0, {
        ...{ online: i % 10 !== 0, state: 'printing', percent: i % 100 },
      })
    const dictionary = [
      ['hw.temperature.hotend0', 'Cel'],
      ['mpf.job.percent', '%'],
    ]
    store.setFact(LATE, 'birth', 0, { dictionary })
    const batch = {
      t0: 1000,
      dt: [1000, 1000],
      c: [
        [20, 120, 210],
        [0, 1, 2],
      ],
    }
    const event = { message: '<img src=x onerror=alert(1)>', unmapped: { type: 'job.started' } }
    const base = { device: LATE, firstSeq: 1, lost: undefined, atMs: 0 }
    store.receive({ ...base, stream: 'tele', bodies: [JSON.stringify(batch)] })
    store.receive({ ...base, stream: 'evt', bodies: [JSON.stringify(event)] })
    store.receive({ ...base, stream: 'evt', firstSeq: 4, bodies: [JSON.stringify(event)] })
    store.alert(LATE, 0, 'FLEET_CHECKPOINT', '<img src=x>')
  })
}

test('shows 2,000 live printers in Chromium, one in detail', { timeout: 120_000 }, async t => {
  if (!hasChromium) return t.comment('Chromium is not installed: the page was not opened')
  const { store, key, url } = await desk(t)
  fill(store)
  await using page = await startChromium()
  const until = async (expression: string) => {
    while ((await page.evaluate(expression).catch(() => false)) !== true) await wait(50)
  }
  await page.open(url)
  await until("document.getElementById('login')?.hidden === false")
  await page.evaluate(
    `document.querySelector('input').value = ${JSON.stringify(key)}; document.querySelector('button').click()`,
  )
  await until(`document.querySelectorAll('#list tr').length === ${PRINTERS}`)
  t.equal(await page.evaluate("document.getElementById('summary').textContent"), '2000 printers')
  const row = "document.querySelectorAll('#list tr')[7]"
  t.equal(await page.evaluate(`${row}.children[1].textContent`), 'printing')
  store.setFact(LATE, 'state', 1, { online: true, state: 'paused', percent: 42 })
  await until(
    `${row}.children[1].textContent === 'paused' && ${row}.children[2].textContent === '42 %'`,
  )
  await page.evaluate(`${row}.click()`)
  await until("document.getElementById('detail').hidden === false")
  const points = (await page.evaluate(
    "document.querySelector('#temperatures polyline').getAttribute('points')",
  )) as string
  t.equal(points.split(' ').length, 3, points)
  t.match(
    await page.evaluate("document.getElementById('proof').textContent"),
    /^1 events without a gap, 0 proven: no signed head yet. Missing: 2 to 3.$/,
  )
  t.match(
    await page.evaluate("document.getElementById('warnings').textContent"),
    /FLEET_CHECKPOINT/,
  )
  store.alert('fleet', 0, 'FLEET_API_KEY', 'web page: failed log-in from 10.0.0.1')
  await until("document.getElementById('alerts').textContent.includes('failed log-in')")
  t.match(await page.evaluate("document.getElementById('events').textContent"), '<img src=x')
  t.equal(await page.evaluate("document.querySelectorAll('main img').length"), 0)
  // While rows change, the page answers: a frame is never far.
  const frameMs = await page.evaluate(
    'new Promise(done => { const at = performance.now(); requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - at))) })',
  )
  t.type(frameMs, 'number')
  t.comment(`two frames took ${Math.round(frameMs as number)} ms with ${PRINTERS} rows`)
  t.equal(
    await page.evaluate("import('data:text/javascript,1').then(() => 'ran', () => 'refused')"),
    'refused',
    'the content security policy holds',
  )
})

test('answers nothing without a key, and changes nothing with one', async t => {
  const { store, key, url } = await desk(t)
  fill(store)
  const { request } = await import('node:https')
  const ask = (method: string, path: string, headers: Record<string, string> = {}, body = '') =>
    new Promise<{ status: number; headers: Record<string, unknown> }>((resolve, reject) => {
      const sending = request(`${url}${path}`, { method, headers, rejectUnauthorized: false })
      sending.on('error', reject)
      sending.on('response', response => {
        resolve({ status: response.statusCode ?? 0, headers: response.headers })
        response.destroy()
      })
      sending.end(body)
    })
  for (const path of ['/api/session', '/api/stream', `/api/printers/${LATE}`])
    t.equal((await ask('GET', path)).status, 401, path)
  t.equal((await ask('POST', '/login', {}, 'key=wrong')).status, 403)
  t.equal((await ask('POST', '/login', {}, `key=${'x'.repeat(5000)}`)).status, 403)
  t.match(store.alerts('fleet'), [{ code: 'FLEET_API_KEY', message: /^web page: failed log-in/ }])
  t.equal(store.alerts('fleet').length, 1, 'told once')
  const login = await ask('POST', '/login', {}, `key=${key}`)
  t.equal(login.status, 303)
  const [cookie = ''] = login.headers['set-cookie'] as string[]
  t.match(cookie, /^__Host-fleet=.*Secure; HttpOnly; SameSite=Strict$/)
  const headers = { cookie: cookie.split(';')[0] ?? '' }
  t.equal((await ask('GET', `/api/printers/${LATE}`, headers)).status, 200)
  t.equal((await ask('GET', '/api/printers/..', headers)).status, 404)
  for (const method of ['POST', 'PUT', 'DELETE'])
    t.equal((await ask(method, `/api/printers/${LATE}`, headers)).status, 405, method)
  const page = await ask('GET', '/')
  t.match(page.headers['content-security-policy'], /default-src 'none'; script-src 'self'/)
})
