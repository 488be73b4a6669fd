/** What is known about a link beside the program: latencies, the ledger, the flight record, the position audit. */
import t from 'tap'
import type { SuspicionReason } from '../../drivers/controller.ts'
import { grbl } from '../../drivers/grbl/dialect.ts'
import { comparePositions } from '../../drivers/index.ts'
import { Conversation } from '../../drivers/shell/conversation.ts'
import { FlightRecorder, RECORDER_BYTES } from '../../drivers/shell/flight-recorder.ts'
import { Health } from '../../drivers/shell/health.ts'
import { LatencyHistogram } from '../../drivers/shell/latency.ts'
import { Ledger } from '../../drivers/shell/ledger.ts'
import { Progress } from '../../drivers/shell/progress.ts'
import { Repair } from '../../drivers/shell/repair.ts'
import { defaultTuning } from '../../drivers/tuning.ts'
import { acknowledge, settle } from '../../drivers/window/acknowledge.ts'
import { append, createWindow, hasRoom, takeRewound } from '../../drivers/window/send-window.ts'
import { fakeClock } from '../fakes/core-clock.ts'
import { fakeLink } from '../fakes/drivers-link.ts'

t.test('percentiles are never too low and at most a bucket too high', async t => {
  const histogram = new LatencyHistogram()
  t.equal(histogram.percentiles().p50Ms, undefined)
  for (let i = 1; i <= 1000; i++) histogram.record(i / 100)
  const { p50Ms = 0, p99Ms = 0, p999Ms = 0, samples } = histogram.percentiles()
  t.equal(samples, 1000)
  for (const [told, exact] of [
    [p50Ms, 5],
    [p99Ms, 9.9],
    [p999Ms, 9.99],
  ] as const)
    t.ok(told >= exact && told <= exact * 1.1, `${told} for ${exact}`)
})

t.test('the ledger tells the first of a kind at once, then ever more rarely', async t => {
  const told: [SuspicionReason, number][] = []
  const ledger = new Ledger((reason, _detail, count) => told.push([reason, count]))
  for (let i = 0; i < 9; i++) ledger.note('unexpected start', 'x')
  t.strictSame(
    told.map(([, count]) => count),
    [1, 2, 4, 8],
  )
  t.strictSame(ledger.counts, { 'unexpected start': 9 })
})

t.test('an action is forged when the firmware has none, or none of that name', async t => {
  const told: string[] = []
  const ledger = new Ledger((_reason, detail) => told.push(detail))
  ledger.judgeAction('paused', { hasHostActions: true, isHalted: false })
  ledger.judgeAction('prompt_begin filament', { hasHostActions: true, isHalted: false })
  ledger.judgeAction('poweroff', { hasHostActions: true, isHalted: true })
  t.strictSame(told, [])
  ledger.judgeAction('pause', { hasHostActions: false, isHalted: false })
  ledger.judgeAction('format_disk', { hasHostActions: true, isHalted: false })
  t.strictSame(told, ['pause', 'format_disk'])
  t.strictSame(ledger.counts, { 'forged action': 2 })
})

t.test('the flight record names a program line by number, length and digest only', async t => {
  using recorder = new FlightRecorder()
  recorder.sent('N12 G1 X10.5 Y3*44\nN13 M105*22\n', 1)
  recorder.received(
    Buffer.from('ok\necho:Unknown command: "G1 X10.5"\nResend: 12\n!! Move out of range: 10.5\n'),
    2.5,
  )
  const entries = recorder.entries()
  t.notMatch(
    JSON.stringify(entries, (_key, value) => (typeof value === 'bigint' ? String(value) : value)),
    /10\.5/,
  )
  t.match(entries, [
    {
      direction: 'sent',
      line: 12,
      bytes: 18,
      text: undefined,
      digest: /^[0-9a-f]{12}$/,
      atNs: 1_000_000n,
    },
    { direction: 'sent', line: 13, text: 'N13 M105*22' },
    { direction: 'received', text: 'ok', atNs: 2_500_000n },
    { direction: 'received', text: undefined },
    { direction: 'received', text: 'Resend: 12' },
    { direction: 'received', text: undefined },
  ])
})

t.test('the flight record keeps the newest 64 KiB, whole lines only', async t => {
  using recorder = new FlightRecorder()
  for (let i = 0; i < 5000; i++) recorder.sent(`N${i} G1 X${i}*1\n`, i)
  const entries = recorder.entries()
  t.equal(entries.at(-1)?.line, 4999)
  t.ok(entries.length > 1000 && entries.length < RECORDER_BYTES / 12)
  t.ok(entries.every((entry, i) => i === 0 || entry.line === (entries[i - 1]?.line ?? 0) + 1))
})

t.test('an audit compares the axes it is given, to the last decimal a firmware prints', async t => {
  const reported = { x: 10, y: 20, z: 0.3, e: 1.23 }
  t.equal(comparePositions({ x: 10.004, y: 20, z: 0.3, e: 1.2251 }, reported).kind, 'agrees')
  t.equal(comparePositions({ x: 10 }, reported).kind, 'agrees')
  t.match(comparePositions({ x: 10.1 }, reported), { kind: 'differs', deltaMm: { y: 0, e: 0 } })
  t.equal(comparePositions({ x: 10 }, undefined).kind, 'unknown')
})

t.test('asks about a reply lost while an earlier one is looked into', async t => {
  const clock = fakeClock()
  const window = createWindow<undefined>(defaultTuning)
  const send = (text: string): number =>
    append(window, { text, frame: `${text}\n`, by: 'ok' }, undefined).n
  let probes = 0
  const repair = new Repair({
    ...{ clock, window, tuning: defaultTuning },
    health: new Health(clock, 250_000, () => undefined),
    isDumb: () => false,
    probe: () => void probes++,
    settled: () => undefined,
    goOn: () => undefined,
  })
  window.isNumbered = true
  send('G1 X1')
  repair.askLater()
  acknowledge(window, send('G1 X2'))
  send('G1 X3')
  repair.askLater()
  await clock.advance(50)
  t.equal(probes, 1, 'the second line told of the first, nothing tells of the third')
  repair.askLater()
  acknowledge(window, send('G1 X4'))
  await clock.advance(50)
  t.equal(probes, 1)
})

t.test(
  'rewinds at once where nothing stale can be on its way, else once it was refused',
  async t => {
    const clock = fakeClock()
    const window = createWindow<undefined>(defaultTuning)
    const send = (text: string) =>
      append(window, { text, frame: `${text}\n`, by: 'ok' }, undefined).n
    const done: string[] = []
    const repair = new Repair({
      ...{ clock, window, tuning: defaultTuning },
      health: new Health(clock, 250_000, () => undefined),
      isDumb: () => false,
      probe: () => void done.push('asked'),
      settled: () => void done.push('rewound'),
      goOn: () => void done.push('went on'),
    })
    window.settlingFrom = send('G1 X1')
    repair.settleLater()
    t.strictSame(done.splice(0), ['rewound'])
    send('G1 X2')
    repair.settleLater()
    t.strictSame(done, [])
    await clock.advance(20)
    t.strictSame(done.splice(0), ['rewound'])
    window.settlingFrom = undefined
    window.isNumbered = true
    repair.askLater()
    t.strictSame(done, ['went on'], 'the next line asks')
    t.ok(hasRoom(window, 90), 'and has room to')
  },
)

t.test('on a noisy link a lost word is asked for at the pace of the others', async t => {
  const clock = fakeClock()
  const window = createWindow<undefined>(defaultTuning)
  const progress = new Progress(clock, defaultTuning, window)
  const acknowledgeEach = async (paceMs: number) => {
    for (let i = 0; i < 100; i++) {
      await clock.advance(paceMs)
      progress.moved()
    }
  }
  await acknowledgeEach(2)
  t.equal(progress.probeDelayMs, defaultTuning.probeAfterMs, 'a clean link has time')
  window.noiseLevel = 1
  t.equal(progress.probeDelayMs, defaultTuning.probePacedAfterMs)
  await acknowledgeEach(5)
  t.equal(Math.round(progress.probeDelayMs), 25)
  await acknowledgeEach(100)
  t.equal(progress.probeDelayMs, defaultTuning.probeNoisyAfterMs)
})

t.test('a rewound line is no reason to wait longer with a question', async t => {
  // Recorded on Marlin 2.1.2.1: the first line was lost, two questions followed it, and the answer to its repetition was lost.
  const window = createWindow<undefined>(defaultTuning)
  const progress = new Progress(fakeClock(), defaultTuning, window)
  for (const text of ['M105', 'M118 q2', 'M118 q3'])
    append(window, { text, frame: `${text}\n`, by: 'ok' }, undefined)
  t.equal(progress.probeDelayMs, defaultTuning.probeBusyAfterMs, 'three fill the queue but one')
  window.settlingFrom = 1
  settle(window)
  takeRewound(window)
  t.equal(progress.probeDelayMs, defaultTuning.probeAfterMs)
})

/** When a stall is asked about, looked at as the watch does, in milliseconds. */
async function probesOf(progress: Progress, clock: ReturnType<typeof fakeClock>, forMs: number) {
  const atMs: number[] = []
  for (let ms = 0; ms < forMs; ms += defaultTuning.watchMs) {
    await clock.advance(defaultTuning.watchMs)
    if (!progress.isProbeDue) continue
    progress.probed()
    atMs.push(clock.nowMs())
  }
  return atMs
}

t.test('a wait of five minutes in silence is asked about a dozen times, not each look', async t => {
  const clock = fakeClock()
  const progress = new Progress(clock, defaultTuning, createWindow(defaultTuning))
  const atMs = await probesOf(progress, clock, 300_000)
  t.strictSame(atMs.slice(0, 4), [250, 500, 1_000, 2_000], 'each after as long as all before it')
  t.ok(atMs.length > 10 && atMs.length < 20, String(atMs))
  t.ok((atMs.at(-1) ?? 0) >= 300_000 - defaultTuning.maxProbeAfterMs)
})

t.test('two damaged answers, and a third question comes before the link is given up', async t => {
  // Recorded on Marlin 1.0.2: with three lines in flight the next question waited for longer than a silence may last.
  const clock = fakeClock()
  const window = createWindow<undefined>(defaultTuning)
  const progress = new Progress(clock, defaultTuning, window)
  window.noiseLevel = 1
  for (const text of ['G1 X0.1', 'M105', 'M105']) {
    append(window, { text, frame: `${text}\n`, by: 'ok' }, undefined)
    if (text === 'M105') progress.probed()
    await clock.advance(12)
  }
  const [third = Number.POSITIVE_INFINITY] = await probesOf(progress, clock, 6_000)
  t.ok(third < defaultTuning.silenceMs, String(third))
})

t.test('asks for one status report at a time', async t => {
  // Seen on the simulator of grblHAL on a busy machine: late answers, taken for those of later questions, proved lines not yet read.
  const clock = fakeClock()
  const written: string[] = []
  const conversation = new Conversation({
    ...{ clock, dialect: grbl, tuning: grbl.tuning, isCompact: false, onEvent: () => undefined },
    health: new Health(clock, 115_200, () => undefined),
    link: fakeLink(written),
  })
  conversation.statusDesk.ask()
  conversation.statusDesk.ask()
  t.strictSame(written, ['?'])
  conversation.onLine('<Idle|MPos:0.000,0.000,0.000|FS:0,0>')
  conversation.statusDesk.ask()
  t.equal(written.length, 2, 'answered')
  await clock.advance(grbl.tuning.statusLostMs)
  conversation.statusDesk.ask()
  t.equal(written.length, 3, 'lost')
})
