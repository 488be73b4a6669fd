/** The printer's controllers over the life of the core: lost while they are opened, stopped twice at once, and never left hot. */
import t, { type Test as Tap } from 'tap'
import { type ControllerEvent, DriverError, joinControllers, type StopOutcome } from '#drivers'
import { createLogger } from '#lib/logger.ts'
import { Machine } from '../../firmware/core/engine/machine.ts'
import type { MachineOptions } from '../../firmware/core/engine/machine-options.ts'
import { switchOff } from '../../firmware/core/engine/switch-off.ts'
import { CoreError } from '../../firmware/core/errors.ts'
import { type BenchOptions, OFF, PREPARED, twoLayers } from '../fakes/core-bench.ts'
import { alone, fakeController } from '../fakes/core-controller.ts'

const bench = (options: Partial<BenchOptions> = {}) => twoLayers(t.testdir(), options)
const HEATERS = { hotends: 1, hasChamber: false }
const ROUTE = { tools: [], commands: [], freeCommands: [] }

/** A machine of its own beside the bench's, kept connected until the test ends. */
async function machineOn(t: Tap, parts: Pick<MachineOptions, 'open' | 'clock' | 'journal'>) {
  const machine = new Machine({
    ...{ name: 'motion', heaters: HEATERS, idleTimeoutS: 1800, ...parts },
    log: createLogger({ name: 'machine', level: 'silent' }),
  })
  const ending = new AbortController()
  const keeping = machine.keepConnected(ending.signal).catch(() => undefined)
  t.teardown(async () => {
    ending.abort()
    await keeping
  })
  return machine
}

t.test('a controller that is lost while another is still opened is opened again', async t => {
  await using b = await bench()
  let opened = 0
  const machine = await machineOn(t, {
    ...b,
    open: async onEvent => {
      if (++opened === 1) onEvent({ kind: 'lost', error: new DriverError('DRIVER_RESET', 'start') })
      return alone(fakeController())
    },
  })
  await b.clock.advance(0)
  t.equal(machine.isConnected, false)
  await b.clock.advance(5_000)
  t.equal(opened, 2)
  t.equal(machine.isConnected, true)
})

t.test('a controller that cannot be opened is tried again, and says meanwhile why', async t => {
  await using b = await bench()
  const paused = new DriverError('DRIVER_PAUSED_FOR_USER', 'paused for user')
  const refusals = [paused, paused, new Error('gone')]
  const machine = await machineOn(t, {
    ...b,
    open: async () => {
      const refusal = refusals.shift()
      if (refusal) throw refusal
      return alone(fakeController())
    },
  })
  await b.clock.advance(0)
  const fault = { code: 'DRIVER_PAUSED_FOR_USER', message: 'paused for user' }
  t.match(machine.views(), [{ connected: false, fault }])
  await b.clock.advance(5_000)
  await b.clock.advance(5_000)
  t.match(machine.views(), [{ connected: false, fault: null }], 'not what nobody foresaw')
  await b.clock.advance(5_000)
  t.match(machine.views(), [{ connected: true }])
  const told = b.journal.events(0, 100).filter(({ type }) => type === 'printer.unavailable')
  t.match(told, [fault, { code: null }], 'once for each reason')
  t.equal(told.length, 2)
})

t.test('a controller nobody can record is told to be cold, closed, and opened again', async t => {
  let isBroken = false
  const step = () => {
    if (isBroken) throw new CoreError('JOURNAL_WRITE', 'disk full')
  }
  await using b = await bench({ journalObserver: { step } })
  isBroken = true
  let opened = 0
  let closed = 0
  const controller = fakeController()
  controller[Symbol.asyncDispose] = async () => void closed++
  const machine = await machineOn(t, {
    ...b,
    open: async () => {
      opened++
      return alone(controller)
    },
  })
  machine.requireHeatersOff()
  await b.clock.advance(0)
  t.strictSame(controller.executed, OFF)
  t.equal(machine.isConnected, false)
  t.equal(closed, 1)
  isBroken = false
  await b.clock.advance(5_000)
  t.equal(opened, 2)
  t.equal(machine.isConnected, true)
})

t.test('two emergency stops at once are one, which ends before the port is closed', async t => {
  await using b = await bench()
  const answered = Promise.withResolvers<StopOutcome>()
  let stops = 0
  b.controller.emergencyStop = () => {
    stops++
    // As a driver does: whatever it was doing has ended.
    b.controller.onEvent({ kind: 'lost', error: new DriverError('DRIVER_HALTED', 'stop') })
    return answered.promise
  }
  b.controller[Symbol.asyncDispose] = async () => answered.reject(new Error('closed'))
  const both = Promise.all([b.machine.emergencyStop(), b.machine.emergencyStop()])
  await b.clock.advance(0)
  t.equal(b.machine.canStop, true)
  t.match(b.machine.views(), [{ connected: false, fault: { code: 'DRIVER_HALTED' } }])
  answered.resolve('unconfirmed')
  t.match(await both, [{ outcome: 'unconfirmed' }, { outcome: 'unconfirmed' }])
  t.equal(stops, 1)
  await b.clock.advance(0)
  t.equal(b.machine.isConnected, true)
  t.strictSame(b.controller.executed, OFF, 'nobody said that it halted')
})

t.test('an emergency stop nobody could carry out is made up for', async t => {
  await using b = await bench()
  const open = Promise.withResolvers<void>()
  const controller = fakeController()
  const machine = await machineOn(t, {
    ...b,
    open: () => open.promise.then(() => alone(controller)),
  })
  await t.rejects(machine.emergencyStop(), { code: 'PRINTER_OFFLINE' })
  open.resolve()
  await b.clock.advance(0)
  t.strictSame(controller.executed, OFF)
})

t.test('a heater that is refused does not leave the others on', async t => {
  await using b = await bench()
  await b.engine.start('aa')
  b.controller.allow(1)
  await b.controller.settled()
  b.controller.refuse('M104 S0', new DriverError('DRIVER_COMMAND_REFUSED', 'no such heater'))
  await b.engine.cancel(undefined)
  t.strictSame(b.controller.executed.slice(-2), OFF.slice(1))
  t.ok(b.types().includes('printer.safe_stop_failed'))
})

t.test('heaters that go off late count, and nothing is heated before', async t => {
  await using b = await bench({ usesGranted: 2 })
  b.addJob('bb')
  await b.engine.start('aa')
  b.controller.allow(1)
  await b.controller.settled()
  const obeyed = Promise.withResolvers<readonly string[]>()
  const { command } = b.controller
  b.controller.command = (text, options) =>
    text === 'M140 S0' ? obeyed.promise : command(text, options)
  const cancelling = b.engine.cancel(undefined)
  await b.clock.advance(0)
  await b.clock.advance(120_000)
  t.match(await cancelling, { state: 'cancelled' })
  t.equal(b.types().at(-2), 'printer.safe_stop_failed')
  b.controller.executed.length = 0
  await b.engine.start('bb')
  await b.clock.advance(0)
  t.strictSame(b.controller.executed, [])
  obeyed.resolve(['ok'])
  await b.clock.advance(0)
  t.strictSame(b.controller.executed, PREPARED)
})

t.test('each wait in the queue is broken, not only the first', async t => {
  await using b = await bench()
  const controller = fakeController()
  Object.assign(controller, {
    identity: { ...controller.identity, capabilities: { EMERGENCY_PARSER: true } },
    statistics: { ...controller.statistics, inFlightLines: 3 },
  })
  const waits = Promise.withResolvers<readonly string[]>()
  let broken = 0
  controller.command = async text => {
    if (text !== 'M108') return waits.promise
    if (++broken === 2) waits.resolve(['ok'])
    return waits.promise
  }
  const off = switchOff(await alone(controller), HEATERS, b.clock, new AbortController().signal)
  await b.clock.advance(500)
  t.equal(await off, undefined)
  await b.clock.advance(5_000)
  t.equal(broken, 2, 'and no further once it obeys')
})

t.test('of several, those that are left are stopped although one is lost', async t => {
  await using b = await bench()
  const [motion, chamber] = [fakeController(), fakeController()]
  const parked = Promise.withResolvers<readonly string[]>()
  motion.command = () => parked.promise
  let tell: (event: ControllerEvent) => void = () => undefined
  const machine = await machineOn(t, {
    ...b,
    open: onEvent =>
      joinControllers(
        [
          { ...ROUTE, name: 'motion', role: 'motion', open: async () => motion },
          {
            ...{ ...ROUTE, name: 'chamber', role: 'chamber' },
            open: async told => {
              tell = told
              return chamber
            },
          },
        ],
        onEvent,
      ),
  })
  await b.clock.advance(0)
  tell({ kind: 'lost', error: new DriverError('DRIVER_PORT_LOST', 'gone') })
  t.equal(machine.isConnected, false)
  t.equal(machine.canStop, true)
  await machine.emergencyStop()
  t.equal(motion.isStopped, true)
  parked.resolve(['ok'])
})

t.test('what is left hot is switched off although another controller cannot be opened', async t => {
  await using b = await bench()
  const motion = fakeController()
  const gone = new DriverError('DRIVER_PORT_OPEN', 'no such port')
  const machine = await machineOn(t, {
    ...b,
    open: (onEvent, _signal, onIncomplete) =>
      joinControllers(
        [
          { ...ROUTE, name: 'motion', role: 'motion', open: async () => motion },
          { ...ROUTE, name: 'chamber', role: 'chamber', open: () => Promise.reject(gone) },
        ],
        onEvent,
        onIncomplete,
      ),
  })
  machine.requireHeatersOff()
  await b.clock.advance(0)
  t.strictSame(motion.executed, OFF)
  t.equal(machine.isConnected, false)
})
