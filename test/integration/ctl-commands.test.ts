/** mpfctl against a control socket: what it asks, what it shows, how it exits. */
import { spawn } from 'node:child_process'
import { mkdtemp, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import type { EventView } from '#lib/control-protocol.ts'
import { createAdvisor } from '../../firmware/ctl/advice.ts'
import { runCtl } from '../../firmware/ctl/run.ts'
import { createTerminal } from '../../firmware/ctl/terminal.ts'
import { fakeClock } from '../fakes/core-clock.ts'
import {
  type CtlServer,
  eventView,
  jobView,
  type Peer,
  printerView,
  Refusal,
  startCtlServer,
} from '../fakes/ctl-server.ts'

process.env.TZ = 'UTC'
const root = join(import.meta.dirname, '../..')

interface Outcome {
  readonly code: number
  readonly out: string
  readonly err: string
}

interface RunOptions {
  readonly isTty?: boolean
  readonly signal?: AbortSignal
  readonly env?: Record<string, string>
  readonly onOutput?: (text: string) => void
}

/** Runs one command line in this process. */
async function ctl(
  server: Pick<CtlServer, 'path'>,
  line: string,
  options: RunOptions = {},
): Promise<Outcome> {
  let out = ''
  let err = ''
  const env = { MPFD_SOCKET: server.path, LANG: 'C.UTF-8', ...options.env }
  const stdout = {
    isTTY: options.isTty ?? false,
    columns: 100,
    write(text: string) {
      out += text
      options.onOutput?.(text)
    },
  }
  const code = await runCtl(line === '' ? [] : line.split(' '), {
    terminal: createTerminal({ stdout, stderr: { write: text => (err += text) }, env }),
    env,
    clock: fakeClock(),
    advisor: createAdvisor(),
    signal: options.signal ?? new AbortController().signal,
  })
  return { code, out, err }
}

/** Short, unlike tap's fixture directories: a socket's path has 107 bytes. */
async function socketPath(t: Test): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'mpfctl-'))
  t.teardown(() => rm(directory, { recursive: true }))
  return join(directory, 'control.sock')
}

async function serverFor(
  t: Test,
  answers: Parameters<typeof startCtlServer>[1],
): Promise<CtlServer> {
  const server = await startCtlServer(await socketPath(t), answers)
  t.teardown(() => server[Symbol.asyncDispose]())
  return server
}

test('shows the status, as text and as one JSON document', async t => {
  const server = await serverFor(t, { status: () => printerView() })
  const text = await ctl(server, 'status')
  t.equal(text.code, 0)
  t.match(text.out, /^printer {3}P250 P250-00017 {2}printing\njob /)
  const json = await ctl(server, '--json status')
  t.same(JSON.parse(json.out), printerView())
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

/** A print that goes on for two notices and then ends as told. */
function endingPrint(end: ReturnType<typeof jobView>): Parameters<typeof startCtlServer>[1] {
  let isOver = false
  return {
    watch: (_, peer: Peer) => {
      setImmediate(() => {
        peer.notify('progress', printerView())
        peer.notify('event', eventView({ type: 'job.paused', message: 'paused' }))
        isOver = true
        peer.notify('progress', printerView({ state: 'idle', job: null }))
      })
      return printerView()
    },
    'jobs.show': () => (isOver ? end : jobView()),
    'print.start': () => jobView(),
  }
}

test('watches a print to its end and exits by how it ended', async t => {
  for (const [state, expected] of [
    ['done', 0],
    ['failed', 5],
    ['cancelled', 5],
    ['refused', 5],
  ] as const) {
    await using server = await startCtlServer(
      await socketPath(t),
      endingPrint(jobView({ state, endedAtMs: 1 })),
    )
    const { code, out } = await ctl(server, 'watch')
    t.equal(code, expected, state)
    t.match(out, /printing {2}42\.3 % {2}layer 34\/102/)
    t.match(out, /notice +job\.paused/)
    t.match(out.trimEnd().split('\n').at(-1), new RegExp(`^${state} `))
    t.notOk(out.includes('\x1b'), 'no escape sequence in a log')
  }
})

test('watches as JSON lines, the last of which is the end', async t => {
  const server = await serverFor(t, endingPrint(jobView({ state: 'done' })))
  const { out } = await ctl(server, 'watch --json')
  const kinds = out
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line).kind)
  t.equal(kinds[0], 'progress')
  t.ok(kinds.includes('event'))
  t.equal(kinds.at(-1), 'end')
})

test('repaints in place on a terminal, without colour when asked', async t => {
  const server = await serverFor(t, endingPrint(jobView({ state: 'done' })))
  const coloured = await ctl(server, 'watch', { isTty: true })
  t.ok(coloured.out.includes('\x1b[5A\r'), 'goes back up over five lines')
  t.ok(coloured.out.includes('\x1b[32mprinting'))
  const again = await serverFor(t, endingPrint(jobView({ state: 'done' })))
  const plain = await ctl(again, 'watch', { isTty: true, env: { NO_COLOR: '1' } })
  t.notOk(plain.out.includes('\x1b[32m'))
  const dumb = await serverFor(t, endingPrint(jobView({ state: 'done' })))
  const lines = await ctl(dumb, 'watch', { isTty: true, env: { TERM: 'dumb' } })
  t.notOk(lines.out.includes('\x1b'))
})

test('starts a print and watches it, missing nothing of a short one', async t => {
  const server = await serverFor(t, endingPrint(jobView({ state: 'done' })))
  t.equal((await ctl(server, 'print --watch')).code, 0)
  t.same(server.requests.slice(0, 2), ['watch {}', 'print.start {}'])
})

test('watching a job that has ended says so at once', async t => {
  const server = await serverFor(t, {
    watch: () => printerView({ state: 'idle', job: null }),
    'jobs.show': () => jobView({ state: 'failed', code: 'DRIVER_SILENT', message: 'no byte' }),
  })
  const { code, out } = await ctl(server, 'watch 3f2a')
  t.equal(code, 5)
  t.match(out, /DRIVER_SILENT: no byte\n$/)
})

test('an interrupted watch exits 130 and asks nothing of the print', async t => {
  const interrupt = new AbortController()
  const server = await serverFor(t, { watch: () => printerView() })
  const { code } = await ctl(server, 'watch', {
    signal: interrupt.signal,
    onOutput: () => interrupt.abort(new DOMException('SIGINT', 'AbortError')),
  })
  t.equal(code, 130)
  t.same(server.requests, ['watch {}'])
})

/** A log of 60 events that answers 25 at a time. */
function eventLog(): Parameters<typeof startCtlServer>[1] {
  const log: readonly EventView[] = Array.from({ length: 60 }, (_, index) =>
    eventView({ sequence: index + 1 }),
  )
  return {
    status: () => printerView({ events: { lastSequence: 60 } }),
    'events.list': ({ after }) => ({
      events: log.filter(({ sequence }) => sequence > Number(after)).slice(0, 25),
    }),
    watch: (_, peer) => {
      setImmediate(() => {
        peer.notify('event', eventView({ sequence: 60 }))
        peer.notify('event', eventView({ sequence: 61 }))
      })
      return printerView({ events: { lastSequence: 60 } })
    },
  }
}

test('lists the last events, or all after a number, a page at a time', async t => {
  const server = await serverFor(t, eventLog())
  t.equal((await ctl(server, 'events')).out.trimEnd().split('\n').length, 20)
  t.equal((await ctl(server, 'events --after 0')).out.trimEnd().split('\n').length, 60)
  const { events } = JSON.parse((await ctl(server, 'events --after 58 --json')).out)
  t.same(
    events.map(({ sequence }: EventView) => sequence),
    [59, 60],
  )
})

test('follows the log without gap or repetition', async t => {
  const interrupt = new AbortController()
  const server = await serverFor(t, eventLog())
  const { out } = await ctl(server, 'events --follow --after 57 --json', {
    signal: interrupt.signal,
    onOutput: text => {
      if (text.includes('"sequence":61')) interrupt.abort(new DOMException('', 'AbortError'))
    },
  })
  const sequences = out
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line).sequence)
  t.same(sequences, [58, 59, 60, 61])
})

test('verifies the log: 0 when intact, 6 when not', async t => {
  const intact = await serverFor(t, {
    'events.verify': () => ({ entries: 1234, intact: true, brokenAt: null }),
  })
  t.match(await ctl(intact, 'events --verify'), { code: 0, out: 'intact  1,234 events\n' })
  const broken = await serverFor(t, {
    'events.verify': () => ({ entries: 1234, intact: false, brokenAt: 17 }),
  })
  t.match(await ctl(broken, 'events --verify'), {
    code: 6,
    out: 'NOT INTACT  1,234 events, broken at event 17\n',
  })
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
