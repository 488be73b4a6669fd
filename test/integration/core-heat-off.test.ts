/** Heaters on a board that is busy or gone: switched off whatever it waits for, stopped truthfully when it says nothing. */
import t, { type Test } from 'tap'
import { systemClock } from '#lib/clock.ts'
import { createLogger } from '#lib/logger.ts'
import {
  type ControllerEvent,
  joinControllers,
  type MotionController,
  openController,
  startSimulatedMarlin,
} from '../../drivers/index.ts'
import { Machine } from '../../firmware/core/engine/machine.ts'
import { switchOff } from '../../firmware/core/engine/switch-off.ts'
import { engineBench } from '../fakes/core-bench.ts'
import { FAST, never, openBench, program, sourceOf } from '../fakes/drivers-bench.ts'

const HEATERS = { hotends: 1, hasChamber: false }
const ROUTE = { tools: [], commands: [], freeCommands: [] }

const alone = (controller: MotionController) =>
  joinControllers(
    [{ name: 'motion', role: 'motion', ...ROUTE, open: async () => controller }],
    () => undefined,
  )

async function heating(t: Test, dialect: 'marlin' | 'buddy') {
  const bench = await openBench(t, { dialect, speed: 2 })
  const lines = [...program(100).map(() => 'M107'), 'M190 S100', 'M109 S250', 'M106 S9']
  const waiting = Promise.withResolvers<void>()
  const streamed = bench.controller.stream(
    sourceOf(lines, line => {
      if (line === lines.length) waiting.resolve()
    }),
    { signal: never },
  )
  return { ...bench, streamed, waiting: waiting.promise }
}

for (const dialect of ['marlin', 'buddy'] as const)
  t.test(`${dialect}: two waits for heat in its queue do not keep the heaters on`, async t => {
    const { controller, sim, streamed, waiting } = await heating(t, dialect)
    await waiting
    const all = await alone(controller)
    t.equal(await switchOff(all, HEATERS, systemClock, never), undefined)
    const { isHeating, maxHotendC } = sim.summary()
    t.equal(isHeating, false)
    t.ok(maxHotendC < 150, `${maxHotendC}`)
    await streamed
  })

for (const { isSilent, outcome } of [
  { isSilent: false, outcome: 'halted' },
  { isSilent: true, outcome: 'unconfirmed' },
] as const)
  t.test(`an emergency stop waits for what the board says to it: ${outcome}`, async t => {
    const sim = startSimulatedMarlin({ speed: FAST })
    t.teardown(() => sim[Symbol.asyncDispose]())
    await using b = await engineBench(t.testdir(), { blocks: ['G28\n'] })
    let cuts = 0
    const machine = new Machine({
      ...{ name: 'motion', heaters: HEATERS, idleTimeoutS: 1800, clock: systemClock },
      journal: b.journal,
      log: createLogger({ name: 'stop', level: 'silent' }),
      cutPower: () => void cuts++,
      open: (onEvent, signal) => {
        const config = { dialect: 'marlin', port: sim.port, baud: 250_000 } as const
        const open = (told: (event: ControllerEvent) => void) =>
          openController(config, { clock: systemClock, signal, onEvent: told })
        return joinControllers([{ name: 'motion', role: 'motion', ...ROUTE, open }], onEvent)
      },
    })
    const ending = new AbortController()
    const keeping = machine.keepConnected(ending.signal).catch(() => undefined)
    while (!machine.isConnected) await new Promise(resolve => setTimeout(resolve, 10))
    if (isSilent) sim.inflict('silence')
    t.match(await machine.emergencyStop(), { outcome, isPowerCut: isSilent })
    t.equal(cuts, isSilent ? 1 : 0)
    ending.abort()
    await keeping
    await machine[Symbol.asyncDispose]()
  })
