/** Honest about stopping: which layers a controller has, how long it took, and what the wire carried before a fault. */
import { readFileSync, writeFileSync } from 'node:fs'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { DriverError, type FlightEntry } from '#drivers'
import { createLogger } from '#lib/logger.ts'
import { Machine } from '../../firmware/core/engine/machine.ts'
import { stopLayersOf } from '../../firmware/core/engine/stop-layers.ts'
import { FlightRecords } from '../../firmware/core/flight-records.ts'
import { engineBench } from '../fakes/core-bench.ts'

const identity = (dialect: string, capabilities: Readonly<Record<string, boolean>> = {}) => ({
  ...{ dialect, firmware: 'F', machine: 'M', uuid: undefined, capabilities },
})
/** Of a machine that never had a controller. */
const PARTS = {
  ...{ name: 'motion', heaters: { hotends: 1, hasChamber: false }, idleTimeoutS: 1800 },
  log: createLogger({ name: 'stop', level: 'silent' }),
  open: () => Promise.reject(new Error('not called')),
}
const ENTRY: FlightEntry = {
  ...{ atNs: 12n, direction: 'sent', line: 3, bytes: 9, text: undefined, digest: 'abc' },
}

t.test('says which stop layers a controller has, and claims none it did not announce', async t => {
  t.strictSame(stopLayersOf(identity('marlin', { EMERGENCY_PARSER: true })), ['emergency-parser'])
  t.strictSame(stopLayersOf(identity('marlin', { EMERGENCY_PARSER: false })), ['queued-command'])
  t.strictSame(stopLayersOf(identity('grbl')), ['realtime-byte'])
  const onAdapter = { ...identity('smoothie'), hasResetLine: true }
  t.strictSame(stopLayersOf(onAdapter), ['realtime-byte', 'reset-line'])
})

t.test(
  'a print starts with the statement, an emergency stop ends with its measured latency',
  async t => {
    await using b = await engineBench(t.testdir(), { blocks: ['G28\nG1 X1\n'] })
    await b.engine.start('aa')
    const { emergencyStop } = b.controller
    b.controller.emergencyStop = async () => {
      await b.clock.advance(37)
      return emergencyStop()
    }
    await b.engine.stop()
    const events = b.journal.events(0, 99)
    t.match(
      events.find(({ type }) => type === 'job.started'),
      { detail: { stopLayers: 'queued-command', firmware: 'Fake 1' } },
    )
    t.match(
      events.find(({ type }) => type === 'printer.stopped'),
      {
        detail: {
          latencyMs: 37,
          stopLayers: 'queued-command',
          outcome: 'halted',
          isPowerCut: false,
        },
      },
    )
  },
)

t.test('the safety relay: said at the start, opened where nobody says that it halted', async t => {
  const relay = join(t.testdir({ relay: '1' }), 'relay')
  const cutPower = () => writeFileSync(relay, '0')
  const stop = async (outcome: 'halted' | 'reset' | 'unconfirmed') => {
    await using b = await engineBench(t.testdir(), { blocks: ['G28\nG1 X1\n'], cutPower })
    writeFileSync(relay, '1')
    b.controller.stopOutcome = outcome
    await b.engine.start('aa')
    await b.engine.stop()
    const told = (type: string) => b.journal.events(0, 99).find(event => event.type === type)
    t.match(told('job.started')?.detail, { stopLayers: 'queued-command; printer: power-relay' })
    t.match(told('printer.stopped')?.detail, { outcome, isPowerCut: outcome !== 'halted' })
    t.equal(b.types().includes('printer.power_cut'), outcome !== 'halted')
    return readFileSync(relay, 'latin1')
  }
  t.equal(await stop('halted'), '1')
  t.equal(await stop('reset'), '0')
  t.equal(await stop('unconfirmed'), '0')
})

t.test(
  'a printer whose controller is gone is stopped by its relay, or says that it cannot be',
  async t => {
    for (const [cutPower, expected] of [
      [
        () => undefined,
        { code: null, report: { isPowerCut: true, stopLayers: 'printer: power-relay' } },
      ],
      [
        () => {
          throw new Error('EACCES')
        },
        { code: 'PRINTER_RELAY', report: { isPowerCut: false, outcome: 'unconfirmed' } },
      ],
    ] as const) {
      await using b = await engineBench(t.testdir(), { blocks: ['G28\n'] })
      const machine = new Machine({ ...PARTS, clock: b.clock, journal: b.journal, cutPower })
      t.match(await machine.emergencyStop(), expected.report)
      t.match(b.journal.events(0, 99).at(-1), { type: 'printer.power_cut', code: expected.code })
    }
  },
)

t.test('keeps the flight record of a fault, none of a cancelled print', async t => {
  await using b = await engineBench(t.testdir(), {
    blocks: ['G28\nG1 X1\n'],
    keepRecord: async entries => `${entries.length}.jsonl`,
    usesGranted: 2,
  })
  Object.assign(b.controller, { flightRecord: () => [ENTRY] })
  await b.engine.start('aa')
  await b.engine.cancel(undefined)
  t.notOk(b.types().includes('printer.flight_kept'))
  b.addJob('bb')
  await b.engine.start('bb')
  b.controller.fail(new DriverError('DRIVER_NOISE', 'noise'))
  await b.finished()
  t.match(
    b.journal.events(0, 99).find(({ type }) => type === 'printer.flight_kept'),
    { detail: { controller: 'motion', file: '1.jsonl' } },
  )
})

t.test('flight records are private, few, and lose the oldest first', async t => {
  const directory = join(t.testdir(), 'flight')
  const records = new FlightRecords(directory)
  for (let round = 1; round <= 10; round++) await records.keep([ENTRY], round, 'mo/../tion')
  const names = (await readdir(directory)).sort()
  t.equal(names.length, 8)
  t.equal(names[0], '0000000000003-motion.jsonl')
  t.equal((await stat(directory)).mode & 0o777, 0o700)
  const text = await readFile(join(directory, names[0] ?? ''), 'utf8')
  t.match(JSON.parse(text), { atNs: '12', direction: 'sent', digest: 'abc' })
})
