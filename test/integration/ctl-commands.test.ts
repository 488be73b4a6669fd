/** mpfctl against a control socket: what it asks, what it shows, how it exits. */
import { spawn } from 'node:child_process'
import { readFile, stat, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'tap'
import { createAdvisor } from '../../firmware/lib/advice.ts'
import { ctl, serverFor, socketPath } from '../fakes/ctl-run.ts'
import { jobView, printerView, Refusal, startCtlServer } from '../fakes/ctl-server.ts'

const root = join(import.meta.dirname, '../..')

test('shows the status, as text and as one JSON document', async t => {
  const controllers = printerView().controllers.map(view => ({ ...view, fault: null }))
  const view = printerView({ alarms: ['CLOUD_STORE'], controllers })
  const server = await serverFor(t, { status: () => view })
  const text = await ctl(server, 'status')
  t.equal(text.code, 0)
  t.match(text.out, /^printer {3}P250 P250-00017 {2}printing\njob .*\nalarm /)
  const json = await ctl(server, '--json status')
  t.same(JSON.parse(json.out), view)
  t.equal(json.out.split('\n').length, 2, 'on one line')
})

test('asks for what was typed', async t => {
  const server = await serverFor(t, {
    'jobs.list': () => ({ jobs: [jobView()] }),
    'jobs.show': () => jobView(),
    'print.start': () => jobView(),
    'print.pause': () => jobView({ state: 'paused' }),
    'print.resume': () => jobView(),
    'print.cancel': () => jobView({ state: 'cancelled' }),
    'print.stop': () => null,
  })
  for (const line of [
    'jobs',
    'jobs --state ready',
    'jobs 3f2a',
    'print',
    'print 3f2a',
    'pause',
    'resume',
    'cancel',
    'cancel 3f',
    'stop',
  ])
    t.equal((await ctl(server, line)).code, 0, line)
  t.same(server.requests, [
    'jobs.list {}',
    'jobs.list {"state":"ready"}',
    'jobs.show {"job":"3f2a"}',
    'print.start {}',
    'print.start {"job":"3f2a"}',
    'print.pause {}',
    'print.resume {}',
    'print.cancel {}',
    'print.cancel {"job":"3f"}',
    'print.stop {}',
  ])
})

test('tells a refusal by its code, with the advice of the document, and exits 4', async t => {
  const server = await serverFor(t, {
    'print.start': () => {
      throw new Refusal('MPF_EXPIRED', 'grant ended 3600 s ago')
    },
  })
  const text = await ctl(server, 'print')
  t.equal(text.code, 4)
  const advice = await createAdvisor().find('MPF_EXPIRED')
  t.ok(advice, 'docs/errors.md knows the code')
  const [first, ...rest] = text.err.split('\n')
  t.equal(first, 'mpfctl: MPF_EXPIRED: grant ended 3600 s ago')
  t.equal(
    rest
      .map(line => line.trim())
      .join(' ')
      .trim(),
    advice?.action,
  )
  const json = await ctl(server, 'print --json')
  t.equal(json.code, 4)
  t.same(JSON.parse(json.out), {
    error: {
      code: 'MPF_EXPIRED',
      message: 'grant ended 3600 s ago',
      advice: advice?.action,
    },
  })
})

test('a preview goes to standard output as SVG, or to a private file as PNG', async t => {
  const svg = '<svg viewBox="0 0 40 20"><path stroke="hsl(10 70% 45%)" d="M0 0l40 20"/></svg>\n'
  const bytes = Buffer.from(svg).toString('base64')
  const server = await serverFor(t, { 'jobs.preview': () => ({ type: 'image/svg+xml', bytes }) })
  t.match(await ctl(server, 'preview 3f2a'), { code: 0, out: svg })
  const file = join(t.testdir(), 'part.png')
  t.match(await ctl(server, `preview 3f2a --png ${file}`), { code: 0, out: '' })
  t.equal((await readFile(file)).toString('latin1', 1, 4), 'PNG')
  t.equal((await stat(file)).mode & 0o777, 0o600)
  t.match(await ctl(server, 'preview 3f2a --png /nonexistent/part.png'), { code: 2 })
})

test('exits 2 for a command line it does not know', async t => {
  const nowhere = { path: '/nonexistent/control.sock' }
  for (const line of [
    '',
    'fly',
    'status now',
    'jobs --state=finished',
    'jobs --frobnicate',
    'events --after many',
    'events --follow --verify',
    'status --timeout 0',
    'explain NO_SUCH_CODE',
  ]) {
    const { code, err } = await ctl(nowhere, line)
    t.equal(code, 2, line)
    t.match(err, /^mpfctl: CTL_USAGE: [a-z-]/, line)
  }
})

test('exits 3 when the core cannot be reached, falls silent, leaves, or answers nonsense', async t => {
  const answers: readonly (readonly [string, string, Parameters<typeof startCtlServer>[1]])[] = [
    ['silent', 'CTL_TIMEOUT', {}],
    ['leaves', 'CTL_DISCONNECTED', { status: (_, peer) => peer.close() }],
    ['nonsense', 'CTL_PROTOCOL', { status: (_, peer) => peer.sendRaw('hello\n') }],
    ['another answer', 'CTL_PROTOCOL', { status: () => ({ state: 'fine' }) }],
    [
      'an error without a code',
      'CTL_PROTOCOL',
      {
        status: () => {
          throw new Refusal('', 'method not found')
        },
      },
    ],
  ]
  t.match(await ctl({ path: '/nonexistent/control.sock' }, 'status'), {
    code: 3,
    err: /^mpfctl: CTL_UNREACHABLE: /,
  })
  for (const [title, expected, answer] of answers) {
    await using server = await startCtlServer(await socketPath(t), answer)
    const { code, err } = await ctl(server, 'status --timeout 1')
    t.equal(code, 3, title)
    t.match(err, `mpfctl: ${expected}: `, title)
  }
})

test('explains a code without a core', async t => {
  const nowhere = { path: '/nonexistent/control.sock' }
  const one = await ctl(nowhere, 'explain mpf_expired')
  t.match(one.out, /^MPF_EXPIRED {2}/)
  t.match(one.out, /What to do/)
  const all = JSON.parse((await ctl(nowhere, 'explain --json')).out)
  t.ok(all.length > 60)
})

test('has a manual page for every command', async t => {
  const nowhere = { path: '/nonexistent/control.sock' }
  const overview = await ctl(nowhere, '--help')
  const names = [...overview.out.matchAll(/^ {4}([a-z]+)(?: \[| {2})/gm)].map(([, name]) => name)
  for (const name of ['status', 'jobs', 'print', 'watch', 'events', 'explain']) {
    t.ok(names.includes(name), name)
    const page = await ctl(nowhere, `${name} --help`)
    t.equal(page.code, 0)
    t.match(page.out, /^NAME\n[\s\S]*SYNOPSIS\n[\s\S]*DESCRIPTION\n[\s\S]*EXIT STATUS\n/)
  }
})

test('the launcher works through a link, from anywhere, with an empty environment', async t => {
  const directory = t.testdir()
  const link = join(directory, 'mpfctl')
  await symlink(join(root, 'bin/mpfctl'), link)
  const child = spawn(link, ['--version'], { cwd: '/', env: { PATH: '/nonexistent' } })
  let out = ''
  child.stdout.on('data', chunk => (out += chunk))
  const code = await new Promise(resolve => child.on('close', resolve))
  t.equal(code, 0)
  t.equal(out, 'mpfctl 0.1.0\n')
})
