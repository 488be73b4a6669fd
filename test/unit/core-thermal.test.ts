/** Heat as the host sees it: which reports are faults, and what is done about them. */
import t, { type Test as Tap } from 'tap'
import {
  faultOf,
  firstSight,
  follow,
  type HeaterState,
  type ThermalCode,
} from '../../firmware/core/engine/thermal-rules.ts'
import { ThermalWatch } from '../../firmware/core/engine/thermal-watch.ts'
import { CoreError } from '../../firmware/core/errors.ts'
import { type Bench, type BenchOptions, engineBench } from '../fakes/core-bench.ts'

const SETTINGS = { marginC: 20, hotendRiseTimeoutMs: 60_000, bedRiseTimeoutMs: 180_000 }

/** Seconds, current and target; resolves with the first fault and when. */
function judge(
  heater: string,
  reports: readonly (readonly [s: number, currentC: number, targetC: number])[],
  maxC = 285,
): readonly [ThermalCode, number] | undefined {
  let state: HeaterState | undefined
  for (const [s, currentC, targetC] of reports) {
    const nowMs = s * 1000
    const report = { currentC, targetC }
    state = state ? follow(state, report, nowMs) : firstSight(report, nowMs)
    const code = faultOf(state, report, { heater, maxC, settings: SETTINGS, nowMs })
    if (code) return [code, s]
  }
  return undefined
}

const every = (s: number, until: number) =>
  Array.from({ length: Math.floor(until / s) + 1 }, (_, i) => i * s)

t.test('an ordinary warm-up, print and cool-down is no fault', async t => {
  const warm = every(2, 120).map(s => [s, Math.min(25 + s * 2, 212), 210] as const)
  const hold = every(5, 600).map(s => [130 + s, 210 + Math.sin(s) * 3, 210] as const)
  const lower = every(5, 100).map(s => [740 + s, 210 - s / 3, 170] as const)
  const off = every(5, 300).map(s => [850 + s, Math.max(25, 175 - s), 0] as const)
  t.equal(judge('hotend', [...warm, ...hold, ...lower, ...off]), undefined)
})

t.test('a heater that rises beyond its target runs away', async t => {
  const reports = every(1, 100).map(s => [s, 150 + s, 180] as const)
  t.strictSame(judge('hotend', reports), ['THERMAL_RUNAWAY', 51])
})

t.test('a heater that rises while it is off runs away, the chamber does not', async t => {
  const reports = every(10, 900).map(s => [s, 25 + s / 5, 0] as const)
  t.match(judge('bed', reports), ['THERMAL_RUNAWAY'])
  t.equal(judge('chamber', reports), undefined)
})

t.test('a heater that is on must get warmer, a bed has more time', async t => {
  const reports = every(5, 900).map(s => [s, 25, 60] as const)
  t.strictSame(judge('hotend', reports), ['THERMAL_NOT_HEATING', 65])
  t.strictSame(judge('bed', reports), ['THERMAL_NOT_HEATING', 185])
})

t.test(
  'a heater that had arrived may be cold for a while, not for long and not by far',
  async t => {
    const dip = [
      [0, 210, 210],
      [10, 200, 210],
      [20, 209, 210],
    ] as const
    t.equal(judge('hotend', dip), undefined)
    const cold = every(5, 200).map(s => [s, s === 0 ? 210 : 200, 210] as const)
    t.match(judge('hotend', cold), ['THERMAL_FALLING', 70])
    t.match(judge('hotend', [...dip, [22, 160, 210]]), ['THERMAL_FALLING', 22])
  },
)

t.test('a sensor that reports what cannot be is not believed', async t => {
  for (const currentC of [Number.NaN, -60, 1023, Number.POSITIVE_INFINITY])
    t.match(judge('bed', [[0, currentC, 0]]), ['THERMAL_SENSOR', 0], `${currentC}`)
})

t.test('nothing is heated beyond the profile, whoever asked for it', async t => {
  t.match(judge('bed', [[0, 30, 130]], 120), ['THERMAL_LIMIT'])
  t.match(judge('bed', [[0, 145, 0]], 120), ['THERMAL_LIMIT'])
})

interface Watched extends Bench {
  report(currentC: number, targetC: number): Promise<void>
}

async function watched(t: Tap, options: Partial<BenchOptions> = {}): Promise<Watched> {
  const b = await engineBench(t.testdir(), { blocks: ['G28\nG1 X1\nG1 X2\n'], ...options })
  const ending = new AbortController()
  const { machine, engine, journal, clock } = b
  const settings = { ...SETTINGS, reportTimeoutMs: 30_000, escalateAfterMs: 10_000 }
  const maxTempC = { hotend: [285], bed: 120, chamber: 0 }
  const watch = new ThermalWatch({ machine, engine, journal, clock, settings, maxTempC })
  const running = watch.run(ending.signal).catch(() => undefined)
  t.teardown(async () => {
    ending.abort()
    await running
  })
  await b.engine.start('aa')
  b.controller.allow(1)
  await b.controller.settled()
  return Object.assign(b, {
    report: async (currentC: number, targetC: number) => {
      b.controller.onEvent({
        kind: 'temperatures',
        temperatures: { hotend: { currentC, targetC } },
      })
      await clock.advance(1000)
    },
  })
}

t.test('a fault of heat stops the print safely and fails the job with its code', async t => {
  await using b = await watched(t)
  await b.report(200, 210)
  await b.report(330, 210)
  t.match(b.journal.job('aa'), { state: 'printing' }, 'no report carries a check')
  await b.report(330, 210)
  t.match(b.journal.job('aa'), { state: 'failed', code: 'THERMAL_LIMIT' })
  t.strictSame(b.controller.executed.slice(-3), ['M104 S0', 'M140 S0', 'M107'])
  t.match(
    b.journal.events(0, 99).find(({ type }) => type === 'printer.thermal_fault'),
    { code: 'THERMAL_LIMIT', detail: { heater: 'hotend', currentC: 330 } },
  )
  t.equal(b.controller.isStopped, false)
  await b.report(325, 0)
  await b.clock.advance(11_000)
  t.equal(b.controller.isStopped, false, 'heat has ceased')
})

t.test('heat that goes on after the safe stop meets the emergency stop', async t => {
  await using b = await watched(t)
  await b.report(200, 210)
  await b.report(330, 210)
  await b.report(330, 210)
  await b.report(340, 0)
  await b.clock.advance(11_000)
  t.equal(b.controller.isStopped, true)
  t.ok(b.types().includes('printer.thermal_stop'))
})

t.test('a controller that stops reporting with a heater on is stopped, then forced', async t => {
  await using b = await watched(t)
  await b.report(205, 210)
  await b.clock.advance(31_000)
  t.match(b.journal.job('aa'), { state: 'printing' }, 'it may have been stopped itself')
  await b.clock.advance(1_000)
  t.match(b.journal.job('aa'), { state: 'failed', code: 'THERMAL_SILENT' })
  await b.clock.advance(11_000)
  t.equal(b.controller.isStopped, true)
})

t.test('an idle printer is watched too', async t => {
  await using b = await watched(t)
  b.controller.allow()
  await b.finished()
  b.controller.executed.length = 0
  await b.report(205, 210)
  await b.report(380, 210)
  await b.report(400, 210)
  t.strictSame(b.controller.executed, ['M104 S0', 'M140 S0', 'M107'])
})

t.test('a controller that never says how hot it is does not print on', async t => {
  await using b = await watched(t)
  await b.clock.advance(1_000)
  await b.clock.advance(28_000)
  t.match(b.journal.job('aa'), { state: 'printing' })
  await b.clock.advance(5_000)
  t.match(b.journal.job('aa'), {
    state: 'failed',
    code: 'THERMAL_SILENT',
    message: /no temperature was ever reported/,
  })
})

t.test('a damaged digit now and then is no fault, and hides none', async t => {
  await using b = await watched(t)
  for (let s = 0; s < 60; s++) {
    await b.report(25 + 3 * s, 210)
    if (s % 5 === 0) await b.report([925, 1, 208, 190][(s / 5) % 4] ?? 0, s % 10 === 0 ? 290 : 210)
  }
  await b.report(207, 210)
  await b.report(208, 210)
  t.match(b.journal.job('aa'), { state: 'printing' })
  await b.report(150, 210)
  await b.report(150, 210)
  t.match(b.journal.job('aa'), { state: 'failed', code: 'THERMAL_FALLING' })
})

t.test('a fault that cannot be recorded is acted on all the same', async t => {
  let isBroken = false
  const step = () => {
    if (isBroken) throw new CoreError('JOURNAL_WRITE', 'disk full')
  }
  await using b = await watched(t, { journalObserver: { step } })
  b.controller.allow()
  await b.finished()
  b.controller.executed.length = 0
  isBroken = true
  await b.report(400, 210)
  await b.report(400, 210)
  t.strictSame(b.controller.executed, ['M104 S0', 'M140 S0', 'M107'])
  isBroken = false
})

t.test('of several controllers each must report its own heaters', async t => {
  await using b = await watched(t)
  await b.report(205, 210)
  for (let s = 0; s < 40; s++) {
    const temperatures = { chamber: { currentC: 60, targetC: 60 } }
    b.controller.onEvent({ kind: 'temperatures', temperatures })
    await b.clock.advance(1000)
  }
  t.match(b.journal.job('aa'), { state: 'failed', code: 'THERMAL_SILENT' })
})

t.test('a controller that waits for one heater may name that alone', async t => {
  await using b = await watched(t)
  const hotend = { currentC: 205, targetC: 210 }
  const bed = { currentC: 60, targetC: 60 }
  b.controller.onEvent({ kind: 'temperatures', temperatures: { hotend, bed } })
  for (let s = 0; s < 40; s++) await b.report(205, 210)
  t.match(b.journal.job('aa'), { state: 'printing' })
})

t.test('a core that was stopped itself reads what came meanwhile before it judges', async t => {
  await using b = await watched(t)
  await b.report(205, 210)
  await b.clock.advance(60_000)
  await b.report(205, 210)
  await b.clock.advance(1_000)
  t.match(b.journal.job('aa'), { state: 'printing' })
})
