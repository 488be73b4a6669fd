/** docs/fleet.md as a fleet monitor's team follows it: the package linked, its face imported by name, its program run against a printer. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'tap'
import { fleet, printer, startCourier, startDeskCore } from '../fakes/cloud-bench.ts'

const root = join(import.meta.dirname, '../..')

test('the program of docs/fleet.md tells the events of a printer', {
  timeout: 120_000,
}, async t => {
  await using on = await fleet('aedes')
  const own = await printer(on, 'P-1')
  await using core = await startDeskCore(own)
  const place = join(on.directory, 'monitor')
  await mkdir(join(place, 'node_modules'), { recursive: true })
  await symlink(root, join(place, 'node_modules/mpfd'))
  await writeFile(join(place, 'package.json'), '{ "type": "module" }')
  const page = await readFile(join(root, 'docs/fleet.md'), 'utf8')
  const [, program = ''] = /```ts\n([\s\S]+?)```/.exec(page) ?? []
  await writeFile(join(place, 'receive.ts'), program)
  const broker = `mqtts://localhost:${on.broker.port}`
  const args = [join(place, 'receive.ts'), on.tenant.directory, broker]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'], cwd: place })
  const exited = once(child, 'exit') as Promise<[number]>
  await using _courier = startCourier(own)
  core.journal.record({ type: 'job.received', message: 'told to a monitor' })
  let told = ''
  for await (const text of child.stdout.setEncoding('utf8').iterator({ destroyOnReturn: false })) {
    told += text
    if (told.includes('told to a monitor')) break
  }
  t.match(told, /^P-1 1 /)
  child.kill('SIGTERM')
  const [status] = await exited
  t.equal(status, 0)
})

test('every name of the face in docs/fleet.md is exported', async t => {
  const face: Record<string, unknown> = await import('../../fleet/index.ts')
  const page = await readFile(join(root, 'docs/fleet.md'), 'utf8')
  const table = page.slice(page.indexOf('What else there is'))
  const methods = ['overview', 'items', 'log', 'fact', 'alerts', 'onRequest']
  const names = [...table.matchAll(/`([A-Za-z]+)`/g)].map(([, name]) => name ?? '')
  t.ok(names.length > 20)
  for (const name of names.filter(each => !methods.includes(each)))
    t.not(face[name], undefined, name)
})
