/** What mpfctl shows: views in, text out. */
import { test } from 'tap'
import { renderEnd, renderJob, renderJobs } from '../../firmware/ctl/render/job-text.ts'
import { renderEvent, renderStatus } from '../../firmware/ctl/render/status-text.ts'
import {
  bar,
  bytes,
  cellsOf,
  duration,
  fit,
  grouped,
  jsonLine,
  lineOf,
  printable,
  type Style,
} from '../../firmware/ctl/render/text.ts'
import {
  linesPerSecond,
  renderWatch,
  renderWatchLine,
} from '../../firmware/ctl/render/watch-text.ts'
import { eventView, jobView, printerView } from '../fakes/ctl-server.ts'

process.env.TZ = 'UTC'

const wide: Style = { columns: 100, hasColour: false, isUnicode: true }
const plain: Style = { columns: Number.POSITIVE_INFINITY, hasColour: false, isUnicode: false }

test('shows a running print: state, bar, place, heaters, link', async t => {
  t.same(renderWatch(printerView(), 212.4, wide), [
    'printing  Cable clip  job 3f2a9c1d, use 1 of 3',
    `[${'█'.repeat(19)}${'░'.repeat(27)}]  42.3 %  12 min 30 s left`,
    'layer 34/102  line 51,203/121,044',
    'hotend 210.4/210 °C   bed 48.3/60 °C',
    'link motion 212 lines/s, 3 resends, window 6/8',
    'ok to next 0.11/0.90/1.80 ms (p50/p99/p99.9), wire 97 %, planner 13/15, 1 stall',
  ])
})

test('shows the same on one plain line for a log', async t => {
  t.equal(
    renderWatchLine(printerView(), null, plain),
    '2026-11-22 20:10:00  printing  42.3 %  layer 34/102  line 51,203/121,044  12 min 30 s left  hotend 210.4/210 C  bed 48.3/60 C  link motion 3 resends, window 6/8',
  )
})

test('shows what an idle and an offline printer waits for', async t => {
  const [idle] = renderWatch(printerView({ state: 'idle', job: null }), null, wide)
  t.equal(idle, 'P250 P250-00017  idle  waiting for a print; 1 ready')
  const [controller] = printerView().controllers
  const lost = printerView({
    state: 'offline',
    job: null,
    controllers: [{ ...(controller as typeof controller & object), connected: false, link: null }],
  })
  t.equal(renderWatch(lost, null, wide).at(-1), 'link motion not connected')
})

test('keeps every line within the terminal, however narrow', async t => {
  const job = jobView({ title: '電纜固定夾 with a very long name that goes on and on' })
  for (const columns of [5, 20, 40, 79, 80, 132]) {
    const style: Style = { columns, hasColour: false, isUnicode: true }
    const lines = [
      ...renderWatch(printerView({ job }), 212, style),
      ...renderStatus(printerView({ job }), style),
      ...renderJobs([job, jobView()], style),
      ...renderJob(job, style),
      renderEvent(eventView({ message: 'x'.repeat(200) }), style),
    ]
    t.ok(
      lines.every(line => cellsOf(line) < columns),
      `${columns} columns`,
    )
  }
})

test('drops columns of the job table before it cuts ids and states', async t => {
  const [full] = renderJobs([jobView()], plain)
  t.match(full, /^JOB +STATE +DONE +LINES +SIZE +RECEIVED +FROM +TITLE$/)
  const narrow = renderJobs([jobView()], { ...wide, columns: 60 })
  t.match(narrow[0], /^JOB +STATE +DONE +TITLE$/)
  t.match(narrow[1], /^3f2a9c1d +printing +42\.3 % +Cable clip$/)
  t.same(renderJobs([], wide), ['no jobs'])
})

test('names the code of a job that was refused', async t => {
  const job = jobView({ state: 'refused', code: 'MPF_EXPIRED', message: 'expired', use: null })
  t.match(renderJobs([job], wide)[1], /Cable clip \(MPF_EXPIRED\)$/)
  t.ok(renderJob(job, wide).some(line => line.includes('MPF_EXPIRED: expired')))
})

test('says how a print ended', async t => {
  const endedAtMs = (jobView().startedAtMs ?? 0) + 3_900_000
  t.equal(
    renderEnd(jobView({ state: 'done', endedAtMs }), wide),
    'done  Cable clip, 121,044 lines, after 1 h 05 min',
  )
  t.equal(
    renderEnd(jobView({ state: 'failed', code: 'DRIVER_SILENT', message: 'no byte' }), wide),
    'failed  Cable clip, line 51,203/121,044: DRIVER_SILENT: no byte',
  )
})

test('what is wrong although prints go on stands on the page of the printer, with where to read on', async t => {
  const lines = renderStatus(printerView({ alarms: ['CLOUD_STORE', 'INTAKE_EVENTS_FULL'] }), wide)
  t.match(lines[2], /^alarm +CLOUD_STORE {2}\[mpfctl explain CLOUD_STORE\]/)
  t.match(lines[3], /^alarm +INTAKE_EVENTS_FULL/)
})

test('a controller that is not connected says why, and where to read on', async t => {
  const [controller] = printerView().controllers
  const fault = { code: 'DRIVER_NOT_RECOGNISED', message: 'it calls itself "Teacup"' }
  const view = printerView({
    state: 'offline',
    job: null,
    controllers: controller ? [{ ...controller, connected: false, fault }] : [],
  })
  const lines = renderStatus(view, wide)
  const explain = '[mpfctl explain DRIVER_NOT_RECOGNISED]'
  t.equal(lines[1], `motion    not connected: DRIVER_NOT_RECOGNISED  ${explain}`)
  t.equal(lines[2], '          it calls itself "Teacup"')
})

test('shows the printer on one page', async t => {
  t.same(
    renderStatus(printerView(), wide),
    [
      'printer   P250 P250-00017  printing',
      'job       3f2a9c1d Cable clip: printing 42.3 %, layer 34/102, line 51,203/121,044, 12 min 30 s left',
      'motion    hotend 210.4/210 °C   bed 48.3/60 °C   51,210 lines, 3 resends  Marlin 2.1.2',
      'queue     1 ready, 0 not yet checked',
      'spool     12.3 MiB of 4.0 GiB',
      'events    134 recorded',
      'clock     2026-11-22 20:10:00 (ntp)',
      'version   mpfd 0.1.0',
    ].map(line => fit(line, 99, wide)),
  )
})

test('colours only where colour is wanted, and never counts it as width', async t => {
  const coloured: Style = { ...wide, hasColour: true }
  t.ok(renderWatch(printerView(), null, coloured)[0]?.startsWith('\x1b[32mprinting\x1b[0m'))
  t.notOk(renderWatch(printerView(), null, wide).join('').includes('\x1b'))
  t.equal(lineOf([{ text: 'ab', tone: 'bad' }], coloured), '\x1b[31mab\x1b[0m')
})

test('lets no name act on the terminal', async t => {
  const nasty = 'a\x1b[2Jb\nc\u202ed\u2028e\u009bf'
  t.equal(printable(nasty), 'a?[2Jb?c?d?e?f')
  const line = jsonLine({ nasty })
  t.notMatch(line.slice(0, -1), /[\p{Cc}\p{Cf}\p{Zl}]/u)
  t.same(JSON.parse(line), { nasty }, 'and JSON keeps it all the same')
  t.notOk(renderEvent(eventView({ message: nasty }), wide).includes('\x1b'))
  t.notOk(
    renderWatch(printerView({ job: jobView({ title: nasty }) }), 1, wide)
      .join('')
      .includes('\x1b'),
  )
})

test('works a rate out of two sightings only when it can', async t => {
  const at = (atMs: number, linesSent: number) => {
    const [controller] = printerView().controllers
    const one = { ...(controller as typeof controller & object), linesSent }
    return { atMs, view: printerView({ controllers: [one] }) }
  }
  t.equal(linesPerSecond(at(0, 100), at(2000, 500)), 200)
  t.equal(linesPerSecond(undefined, at(2000, 500)), null)
  t.equal(linesPerSecond(at(0, 100), at(0, 500)), null)
  t.equal(linesPerSecond(at(0, 600), at(1000, 500)), null, 'the link was opened anew')
})

test('writes numbers as people read them', async t => {
  t.equal(grouped(1_234_567), '1,234,567')
  t.equal(bytes(999), '999 B')
  t.equal(bytes(12_884_902), '12.3 MiB')
  t.equal(duration(45.2), '45 s')
  t.equal(duration(750), '12 min 30 s')
  t.equal(duration(7500), '2 h 05 min')
  t.equal(bar(50, 12, { ...wide, isUnicode: false }), '[#####-----]')
  t.equal(bar(140, 4, wide), '[██]')
  t.equal(fit('abcdef', 4, wide), 'abc…')
  t.equal(fit('電纜固定', 4, wide), '電…', 'wide characters take two cells')
})
