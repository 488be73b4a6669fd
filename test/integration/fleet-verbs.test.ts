/** The verbs of `fleet` as one types them: what they make verifies, what they start answers and ends when it is told to. */
import { execFile, spawn } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { get } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { type Test, test } from 'tap'

const bin = join(import.meta.dirname, '../../bin')

interface Ran {
  readonly status: number
  readonly output: string
  readonly errors: string
}

function run(program: string, ...args: readonly string[]): Promise<Ran> {
  return new Promise(resolve => {
    execFile(join(bin, program), args, (error, output, errors) => {
      resolve({ status: typeof error?.code === 'number' ? error.code : 0, output, errors })
    })
  })
}

async function desk(t: Test) {
  const directory = await mkdtemp(join(tmpdir(), 'fleet-verbs-'))
  t.teardown(() => rm(directory, { recursive: true }))
  const tenant = join(directory, 'tenant')
  const fleet = (...args: readonly string[]) => run('fleet', '--tenant', tenant, ...args)
  t.equal((await fleet('tenant', 'create', 'works-1')).status, 0)
  return { directory, tenant, fleet, ca: await readFile(join(tenant, 'ca.pem'), 'utf8') }
}

test('certificates are for their purpose and end; private keys are for their owner only', async t => {
  const { directory, fleet, ca } = await desk(t)
  const root = new X509Certificate(ca)
  for (const [verb, name, purpose] of [
    ['server', 'broker.example', '1.3.6.1.5.5.7.3.1'],
    ['client', 'sparkplug-host', '1.3.6.1.5.5.7.3.2'],
  ] as const) {
    const out = join(directory, name)
    t.equal((await fleet(verb, name, '--out', out)).status, 0)
    const certificate = new X509Certificate(await readFile(`${out}.pem`))
    t.equal(certificate.subject, `CN=${name}`)
    t.ok(certificate.verify(root.publicKey))
    t.same(certificate.keyUsage, [purpose])
    t.equal((await stat(`${out}.key.pem`)).mode & 0o777, 0o600)
  }
})

for (const [verb, path, status] of [
  ['web', '/', 200],
  ['gateway', '/api/version', 403],
] as const)
  test(`fleet ${verb} answers over TLS, and ends when it is told to`, async t => {
    const { tenant, fleet, ca } = await desk(t)
    const key = (await fleet(verb, 'key', 'somebody')).output.trim()
    t.match(key, /^[\w-]{43}$/)
    t.match(await fleet(verb, 'key', 'somebody'), { status: 1, errors: /^fleet: FLEET_FILE: / })
    const child = spawn(join(bin, 'fleet'), ['--tenant', tenant, verb], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const exited = once(child, 'exit') as Promise<[number]>
    const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string]
    const port = /https:\/\/127\.0\.0\.1:(\d+)$/.exec(line)?.[1]
    const asking = get({ host: '127.0.0.1', port, path, ca, servername: 'localhost' })
    const [answer] = await once(asking, 'response')
    t.equal(answer.statusCode, status)
    answer.resume()
    child.kill('SIGTERM')
    t.same((await exited)[0], 0)
  })

test('--help names the verbs, a verb has a page, a wrong line is a usage error', async t => {
  const { fleet } = await desk(t)
  t.match((await fleet('--help')).output, /^ {2}gateway {2,}take uploads/m)
  t.match((await fleet('help', 'gateway')).output, /SYNOPSIS\n.*gateway key NAME/)
  for (const args of [[], ['web', '--nonsense'], ['sparkplug', '--edge', 'a/b']])
    t.match(await fleet(...args), { status: 2, errors: /^fleet: FLEET_USAGE: / }, args.join(' '))
})
