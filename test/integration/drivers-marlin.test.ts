/** The Marlin driver against a simulated board on a real pseudo-terminal: what is executed, and how it stops. */

import { createHash } from 'node:crypto'
import t from 'tap'
import { systemClock } from '#lib/clock.ts'
import {
  type LineSource,
  openController,
  parseFaults,
  startSimulatedMarlin,
} from '../../drivers/index.ts'
import { never, openBench, program, QUICK, sourceOf } from '../fakes/drivers-bench.ts'
import { programOf } from '../fakes/drivers-lossy-link.ts'

t.test('opens, identifies and reports temperatures', async t => {
  const { controller, heard } = await openBench(t)
  t.match(controller.identity, {
    dialect: 'marlin',
    firmware: /^Marlin 2\.1\.2/,
    machine: 'Simulated Printer',
    uuid: 'cede2a2f-41a2-4748-9b12-c55c62f367ff',
    capabilities: { AUTOREPORT_TEMP: true, EMERGENCY_PARSER: true, SDCARD: false },
  })
  await heard('temperatures')
  t.match(controller.temperatures, { hotend: { currentC: 21, targetC: 0 }, bed: { currentC: 21 } })
})

for (const hasAdvancedOk of [false, true])
  t.test(
    `streams 5000 lines exactly once, ${hasAdvancedOk ? 'with' : 'without'} ADVANCED_OK`,
    async t => {
      const { controller, executed, sim } = await openBench(t, { hasAdvancedOk })
      const lines = program(5000)
      const report = await controller.stream(sourceOf(lines), { signal: never })
      t.match(report, { lastLine: 5000, lines: 5000, position: { x: 193, y: 139, z: 99.98 } })
      t.strictSame(programOf(executed), lines)
      t.match(controller.statistics, { resends: 0, inFlightLines: 0 })
      t.equal(sim.summary().overrunBytes, 0)
      t.equal(
        sim.summary().executedSha256,
        createHash('sha256')
          .update(executed.map(text => `${text}\n`).join(''))
          .digest('hex'),
      )
    },
  )

t.test('streams a program whose blocks arrive later', async t => {
  const { controller, executed } = await openBench(t)
  const lines = program(300)
  const inner = sourceOf(lines)
  let pulls = 0
  const source: LineSource = {
    next: () => (++pulls % 50 === 0 ? Promise.resolve().then(() => inner.next()) : inner.next()),
  }
  await controller.stream(source, { signal: never })
  t.strictSame(programOf(executed), lines)
})

t.test('streams two programs one after the other and refuses two at once', async t => {
  const { controller, executed } = await openBench(t)
  const first = controller.stream(sourceOf(program(50)), { signal: never })
  await t.rejects(controller.stream(sourceOf(program(50)), { signal: never }), {
    code: 'DRIVER_BUSY',
  })
  await first
  await controller.stream(sourceOf(program(50)), { signal: never })
  t.strictSame(programOf(executed), [...program(50), ...program(50)])
})

for (const seed of [1, 2, 3])
  for (const hasAdvancedOk of [false, true])
    t.test(
      `with a bit in a thousand bytes flipped each way (seed ${seed}) it is exact or stops`,
      async t => {
        // At most one bit of a line: two in one column are invisible to Marlin's XOR checksum, whatever a host does.
        const faults = parseFaults(`seed=${seed},flip-in=0.001,flip-out=0.001`)
        const { controller, executed } = await openBench(t, { hasAdvancedOk, faults })
        const lines = program(1000)
        const outcome = await controller.stream(sourceOf(lines), { signal: never }).then(
          () => 'exact',
          (error: { code?: string }) => error.code,
        )
        const got = programOf(executed)
        if (outcome === 'exact') t.strictSame(got, lines)
        else t.match(outcome, /^DRIVER_/)
        t.comment({ outcome, executed: got.length, resends: controller.statistics.resends })
      },
    )

t.test('streams exactly although one ok in fifty is lost', async t => {
  const { controller, executed } = await openBench(t, {
    faults: parseFaults('seed=5,drop-ok=0.02'),
  })
  const lines = program(1000)
  await controller.stream(sourceOf(lines), { signal: never })
  t.strictSame(programOf(executed), lines)
})

t.test('fails with DRIVER_PORT_LOST when the cable is pulled', async t => {
  const { controller, heard } = await openBench(t, { faults: parseFaults('unplug@200') })
  await t.rejects(controller.stream(sourceOf(program(1000)), { signal: never }), {
    code: 'DRIVER_PORT_LOST',
  })
  t.match(await heard('lost'), { error: { code: 'DRIVER_PORT_LOST' } })
  await t.rejects(controller.command('M105'), { code: 'DRIVER_PORT_LOST' })
})

t.test('fails with DRIVER_SILENT when the controller falls silent', async t => {
  const { controller } = await openBench(t, {
    faults: parseFaults('silence@200'),
    tuning: { silenceMs: 400 },
  })
  await t.rejects(controller.stream(sourceOf(program(1000)), { signal: never }), {
    code: 'DRIVER_SILENT',
  })
})

t.test('fails with DRIVER_ACK_TIMEOUT when only reports still come', async t => {
  const { controller } = await openBench(t, {
    faults: parseFaults('drop-ok=0'),
    speed: 1e-6,
    busyIntervalMs: 1e9,
    tuning: { ackTimeoutMs: 500, silenceMs: 10_000, autoreportS: 1 },
  })
  // One move that never ends fills the planner; what keeps talking is the temperature report.
  await t.rejects(controller.stream(sourceOf(program(100)), { signal: never }), {
    code: 'DRIVER_ACK_TIMEOUT',
  })
})

t.test('fails with DRIVER_RESET when the controller restarts', async t => {
  const { controller } = await openBench(t, { faults: parseFaults('reset@200') })
  await t.rejects(controller.stream(sourceOf(program(1000)), { signal: never }), {
    code: 'DRIVER_RESET',
  })
})

for (const fault of ['kill', 'runaway'])
  t.test(`fails with DRIVER_HALTED on ${fault}`, async t => {
    const { controller } = await openBench(t, { faults: parseFaults(`${fault}@200`) })
    await t.rejects(controller.stream(sourceOf(program(1000)), { signal: never }), {
      code: 'DRIVER_HALTED',
    })
  })

t.test('waits for heat much longer than silence and acknowledgements may take', async t => {
  const { controller, events, sim } = await openBench(t, {
    speed: 40,
    busyIntervalMs: 50,
    tuning: { silenceMs: 300, ackTimeoutMs: 300 },
  })
  await controller.stream(sourceOf(['M109 S210', 'G1 X1', 'M104 S0']), { signal: never })
  t.ok(events.some(event => event.kind === 'busy'))
  t.ok(sim.summary().maxHotendC > 205)
})

t.test('holds after what is in flight, and releases', async t => {
  const { controller, executed } = await openBench(t)
  const lines = program(500)
  const pulled: number[] = []
  const streaming = controller.stream(
    sourceOf(lines, line => {
      pulled.push(line)
      if (line === 100) controller.hold()
    }),
    { signal: never },
  )
  while (pulled.length < 100) await controller.command('M105')
  await controller.command('M400')
  await controller.command('M400')
  t.ok(programOf(executed).length <= 100)
  t.equal(pulled.length, 100)
  controller.release()
  await streaming
  t.strictSame(programOf(executed), lines)
})

t.test('runs commands between the lines of a stream and returns their replies', async t => {
  const { controller, executed } = await openBench(t)
  const lines = program(1000)
  const streaming = controller.stream(sourceOf(lines), { signal: never })
  const position = await controller.command('M114')
  t.match(position.join('\n'), /^X:/)
  t.match(await controller.command('M105'), [/^ok T:/])
  t.match(await controller.command('G777'), [/Unknown command/])
  await t.rejects(controller.command('M118 A1 action:cancel'), { code: 'DRIVER_LINE_REFUSED' })
  await streaming
  t.strictSame(
    programOf(executed).filter(text => text !== 'G777'),
    lines,
  )
})

t.test('stops feeding when aborted and leaves a controller that obeys', async t => {
  const { controller, executed } = await openBench(t)
  const abort = new AbortController()
  const lines = program(1000)
  const reason = new Error('cancelled')
  const streaming = controller.stream(
    sourceOf(lines, line => {
      if (line === 100) abort.abort(reason)
    }),
    { signal: abort.signal },
  )
  await t.rejects(streaming, reason)
  await controller.command('M400')
  const got = programOf(executed)
  t.ok(got.length <= 100)
  t.strictSame(got, lines.slice(0, got.length))
})

t.test('stops feeding and rejects with the error of the source', async t => {
  const { controller, executed } = await openBench(t)
  const forged = new Error('segment 3 forged')
  const inner = sourceOf(program(1000))
  let pulls = 0
  await t.rejects(
    controller.stream(
      { next: () => (++pulls > 100 ? Promise.reject(forged) : inner.next()) },
      { signal: never },
    ),
    forged,
  )
  await controller.command('M400')
  t.ok(programOf(executed).length <= 100)
})

t.test(
  'refuses a line the wire cannot carry, by its number, and sends nothing after it',
  async t => {
    const { controller, executed } = await openBench(t)
    await t.rejects(
      controller.stream(sourceOf(['G1 X1', 'M117 M110 N500', 'G1 X2']), { signal: never }),
      { code: 'DRIVER_LINE_REFUSED', line: 2 },
    )
    await controller.command('M400')
    t.strictSame(programOf(executed), ['G1 X1'])
  },
)

for (const hasEmergencyParser of [true, false])
  t.test(
    `an emergency stop turns the heaters off, ${hasEmergencyParser ? 'with' : 'without'} the emergency parser`,
    async t => {
      const { controller, sim, heard } = await openBench(t, {
        hasEmergencyParser,
        speed: 1,
        busyIntervalMs: 100,
      })
      const streaming = controller.stream(sourceOf(['M140 S60', 'M109 S210', ...program(50)]), {
        signal: never,
      })
      const rejected = t.rejects(streaming, { code: 'DRIVER_HALTED' })
      await heard('busy')
      t.ok(sim.summary().isHeating)
      await controller.emergencyStop()
      await rejected
      t.match(sim.summary(), { isHeating: false, isHalted: true })
      await t.rejects(controller.command('M105'), { code: 'DRIVER_HALTED' })
    },
  )

t.test('the board survives a host that closes and opens again', async t => {
  const { controller, sim, executed } = await openBench(t)
  await controller.stream(sourceOf(program(20)), { signal: never })
  await controller[Symbol.asyncDispose]()
  const again = await openController(
    { dialect: 'marlin', port: sim.port, baud: 250_000, tuning: QUICK },
    { clock: systemClock, signal: never, onEvent: () => undefined },
  )
  t.teardown(() => again[Symbol.asyncDispose]())
  await again.stream(sourceOf(program(20)), { signal: never })
  t.strictSame(programOf(executed), [...program(20), ...program(20)])
})

t.test('fails to open what is not there, what stays silent, and what is no Marlin', async t => {
  const ports = { clock: systemClock, signal: never, onEvent: () => undefined }
  const tuning = { ...QUICK, handshakeRetryMs: 50, handshakeAttempts: 2 }
  await t.rejects(
    openController({ dialect: 'marlin', port: '/dev/no-such-port', baud: 115_200 }, ports),
    {
      code: 'DRIVER_PORT_OPEN',
    },
  )
  const silent = startSimulatedMarlin()
  t.teardown(() => silent[Symbol.asyncDispose]())
  silent.inflict('silence')
  await t.rejects(
    openController({ dialect: 'marlin', port: silent.port, baud: 115_200, tuning }, ports),
    {
      code: /DRIVER_SILENT|DRIVER_NOT_RECOGNISED/,
    },
  )
})
