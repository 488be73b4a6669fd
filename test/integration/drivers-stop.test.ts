/** Each layer of the emergency stop on a board in full motion, and how long it took: told, never asserted, for the machine may be busy. */
import t from 'tap'
import { never, openBench, program, sourceOf } from '../fakes/drivers-bench.ts'

const ROWS = [
  { layer: 'emergency parser', board: { dialect: 'marlin', hasEmergencyParser: true } },
  { layer: 'queued command', board: { dialect: 'marlin', hasEmergencyParser: false } },
  { layer: 'bare word (Buddy)', board: { dialect: 'buddy' } },
  { layer: 'bare word (RepRapFirmware)', board: { dialect: 'reprap' } },
  { layer: 'out-of-band word (Klipper)', board: { dialect: 'klipper' } },
  { layer: 'realtime byte (Smoothie)', board: { dialect: 'smoothie' } },
  { layer: 'realtime byte (grbl)', board: { dialect: 'grbl' } },
] as const

for (const { layer, board } of ROWS)
  t.test(`${layer}: the program ends at once and nothing of it is executed afterwards`, async t => {
    const { controller, sim, executed } = await openBench(t, { ...board, speed: 4 })
    const moving = Promise.withResolvers<void>()
    const source = sourceOf(program(5_000), line => {
      if (line === 40) moving.resolve()
    })
    const streamed = controller.stream(source, { signal: never })
    const ended = t.rejects(streamed, { code: 'DRIVER_HALTED' })
    await moving.promise
    const beganMs = performance.now()
    t.equal(await controller.emergencyStop(), 'halted')
    const tookMs = performance.now() - beganMs
    await ended
    const atStop = executed.length
    await new Promise(resolve => setTimeout(resolve, 50))
    t.equal(executed.length, atStop)
    const { isHalted, isHeating } = sim.summary()
    // grbl is reset, not killed: it stands and takes commands again.
    t.equal(isHalted, board.dialect !== 'grbl')
    t.equal(isHeating, false)
    t.comment(`${layer}: ${tookMs.toFixed(1)} ms from the call until the halt was confirmed`)
  })
