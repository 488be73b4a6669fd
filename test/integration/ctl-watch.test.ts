/** mpfctl following a print: to its end, as text, as JSON lines, repainted on a terminal, interrupted. */
import { test } from 'tap'
import { ctl, serverFor, socketPath } from '../fakes/ctl-run.ts'
import { eventView, jobView, type Peer, printerView, startCtlServer } from '../fakes/ctl-server.ts'

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
  const isRepainted = coloured.out.split('\x1b[').some(part => /^[2-9]A\r/.test(part))
  t.ok(isRepainted, 'goes back up over its lines')
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

test('a rehearsal is shown as such, and one that leads to no print ends the watching', async t => {
  const job = jobView({ state: 'ready', progress: { ...jobView().progress, phase: 'rehearsing' } })
  const server = await serverFor(t, {
    watch: (_, peer: Peer) => {
      setImmediate(() =>
        peer.notify('event', eventView({ type: 'job.rehearsal_failed', job: job.id })),
      )
      return printerView({ job })
    },
    'jobs.show': () => jobView({ state: 'ready' }),
  })
  const { code, out } = await ctl(server, 'watch')
  t.equal(code, 5)
  t.match(out, /rehearsing {2}42\.3 %/)
  t.match(out.trimEnd().split('\n').at(-1), /^ready /)
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
