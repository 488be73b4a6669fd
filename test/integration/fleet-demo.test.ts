/** `npm run demo`: every claim holds, of the release that would go to a printer; a part that cannot be printed is an exit code. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'tap'
import { buildRelease } from '../../bin/release.ts'

const root = join(import.meta.dirname, '../..')

interface Verdict {
  readonly isProven: boolean
  readonly fault: string | null
  readonly claims: readonly { readonly claim: string; readonly isProven: boolean }[]
}

async function demo(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<{ code: number; shown: string; verdict: Verdict }> {
  const program = join(root, 'fleet/demo/main.ts')
  const child = spawn(process.execPath, [program, '--json', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  })
  let [output, shown] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (shown += text))
  const [code] = (await once(child, 'close')) as [number]
  return { code, shown, verdict: JSON.parse(output) as Verdict }
}

test('every claim of the demo is checked and holds of a release', { timeout: 280_000 }, async t => {
  const release = join(t.testdir(), 'release')
  await buildRelease(release)
  const { code, shown, verdict } = await demo([], { MPFD_RELEASE: release })
  t.equal(verdict.fault, null, shown.slice(-2000))
  t.same(
    verdict.claims.filter(({ isProven }) => !isProven),
    [],
  )
  const claimed = verdict.claims.map(({ claim }) => claim).join('\n')
  for (const word of [
    'byte for byte',
    'certificate',
    'locked',
    'two authorities',
    'telemetry',
    'no event is missing',
    'both ends signed',
    'plaintext',
  ])
    t.match(claimed, word)
  t.match(shown, 'By USB stick')
  t.equal(code, 0)
})

test('a part this printer must refuse ends the demo with an error', {
  timeout: 120_000,
}, async t => {
  const directory = await mkdtemp(join(tmpdir(), 'fleet-demo-'))
  t.teardown(() => rm(directory, { recursive: true }))
  const path = join(directory, 'outside.gcode')
  await writeFile(path, 'G28\nG1 X100 Y100 F3000\nG1 X9000.123456 Y100 F3000\n')
  const { code, verdict } = await demo([path])
  t.equal(code, 1)
  t.equal(verdict.isProven, false)
  t.type(verdict.fault, 'string')
})

/** Processes that were started with this directory for their temporary files. */
async function processesOf(directory: string): Promise<readonly string[]> {
  const ids = (await readdir('/proc')).filter(name => /^\d+$/.test(name))
  const found = await Promise.all(
    ids.map(async id => {
      const environment = await readFile(`/proc/${id}/environ`, 'utf8').catch(() => '')
      return environment.split('\0').includes(`TMPDIR=${directory}`) ? [id] : []
    }),
  )
  return found.flat()
}

for (const [signal, status] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)
  test(`${signal} ends the demo with everything it started`, { timeout: 120_000 }, async t => {
    const directory = await mkdtemp(join(tmpdir(), 'fleet-demo-'))
    t.teardown(() => rm(directory, { recursive: true }))
    const child = spawn(process.execPath, [join(root, 'fleet/demo/main.ts')], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, TMPDIR: directory },
    })
    const closed = once(child, 'close') as Promise<[number]>
    let shown = ''
    for await (const chunk of child.stdout
      .setEncoding('utf8')
      .iterator({ destroyOnReturn: false })) {
      shown += chunk
      if (shown.includes('Put it on the stick')) break
    }
    child.stdout.resume()
    t.ok((await processesOf(directory)).length >= 3, 'demo, simulator and core run')
    child.kill(signal)
    const [code] = await closed
    t.equal(code, status)
    t.same(await processesOf(directory), [])
    t.same(await readdir(directory), [])
  })
