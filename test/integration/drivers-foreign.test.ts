/** In front of a firmware that is none of ours: it is named, and nothing but questions is sent to it. */
import t, { type Test } from 'tap'
import { type Clock, systemClock } from '#lib/clock.ts'
import { type ControllerConfig, type ControllerEvent, openController } from '../../drivers/index.ts'
import type { Tuning } from '../../drivers/tuning.ts'
import { never, QUICK } from '../fakes/drivers-bench.ts'
import { foreignBoard } from '../fakes/drivers-foreign.ts'
import { leapingClock } from '../fakes/link-clock.ts'

const PROBES = { probeBusyAfterMs: 50, maxProbeAfterMs: 50 }
/** Patient: what is meant to end for want of an answer ends by {@link impatient}. */
const TUNING: Partial<Tuning> = {
  ...QUICK,
  ...PROBES,
  handshakeRetryMs: 100,
  handshakeAttempts: 200,
}

/** What opening ends with, which is an error. */
async function refusal(
  dialect: ControllerConfig['dialect'],
  port: string,
  clock: Clock = systemClock,
  tuning = TUNING,
): Promise<{ readonly code?: string; readonly message: string }> {
  const config = { dialect, port, baud: 250_000, tuning }
  const ports = { clock, signal: never, onEvent: () => undefined }
  return openController(config, ports).then(
    async controller => {
      await controller[Symbol.asyncDispose]()
      return { message: `opened as ${controller.identity.dialect}` }
    },
    (error: Error) => error,
  )
}

/** A clock on which the longest boot is over once the board was asked so often. */
function impatient(answer: (line: string) => readonly string[], afterLines = 8) {
  const clock = leapingClock()
  let lines = 0
  return {
    clock,
    answer: (line: string) => {
      if (++lines === afterLines) clock.leap(60_000)
      return answer(line)
    },
  }
}

/** As their sources print it. */
const FOREIGN = {
  'Repetier_1.0.4':
    'FIRMWARE_NAME:Repetier_1.0.4 COMPILED:Nov 23 2026 FIRMWARE_URL:https://github.com/repetier/Repetier-Firmware/ PROTOCOL_VERSION:1.0 MACHINE_TYPE:Mendel EXTRUDER_COUNT:1 REPETIER_PROTOCOL:3',
  Teacup:
    'ok FIRMWARE_NAME:Teacup FIRMWARE_URL:http://github.com/traumflug/Teacup_Firmware/ PROTOCOL_VERSION:1.0 MACHINE_TYPE:Mendel EXTRUDER_COUNT:1 TEMP_SENSOR_COUNT:1 HEATER_COUNT:1',
  Sprinter:
    'FIRMWARE_NAME:Sprinter FIRMWARE_URL:http%%3A/github.com/kliment/Sprinter/ PROTOCOL_VERSION:1.0 MACHINE_TYPE:Mendel EXTRUDER_COUNT:1',
  'RepRapFirmware for Duet 1.21':
    'FIRMWARE_NAME: RepRapFirmware for Duet FIRMWARE_VERSION: 1.21 ELECTRONICS: Duet 0.6 FIRMWARE_DATE: 2018-03-21',
}

for (const [name, words] of Object.entries(FOREIGN))
  t.test(`asked who it is, ${name} is told by its name`, async t => {
    const board = foreignBoard(t, line => (line === 'M115' ? [words, 'ok'] : ['ok']))
    const { code, message } = await refusal('auto', board.port)
    t.equal(code, 'DRIVER_NOT_RECOGNISED')
    t.ok(message.startsWith(`it calls itself "${name}" and is none of marlin, prusa, `), message)
    t.strictSame(new Set(board.received), new Set(['', 'M115']))
  })

t.test('a Marlin of a machine called Prusa is a Marlin', async t => {
  const words =
    'FIRMWARE_NAME:Marlin 1.1.9 (Github) PROTOCOL_VERSION:1.0 MACHINE_TYPE:Prusa i3 EXTRUDER_COUNT:1'
  const board = foreignBoard(t, line => {
    if (/M115/.test(line)) return [words, 'ok']
    return [/M105/.test(line) ? 'ok T:20.0 /0.0' : 'ok']
  })
  t.match(await refusal('auto', board.port), { message: 'opened as marlin' })
})

// Recorded on Marlin 1.0.2 with a broken sensor: it takes moves up as ever and makes none; words it does not know are acknowledged in silence.
t.test('a Marlin that has stopped is known for one, and prints nothing', async t => {
  const board = foreignBoard(t, line => {
    if (/M115/.test(line))
      return ['FIRMWARE_NAME:Marlin 1.0.2 PROTOCOL_VERSION:1.0 MACHINE_TYPE:Mendel', 'ok']
    if (/M105/.test(line)) return ['ok T:499.5 /0.0 @:0']
    if (/G1 /.test(line)) return ['Printer stopped due to errors. Fix the error and use M999', 'ok']
    return line === '' ? [] : ['ok']
  })
  board.say('Error:0', ': Extruder switched off. MAXTEMP triggered !')
  const config = { dialect: 'auto', port: board.port, baud: 250_000, tuning: TUNING } as const
  const ports = { clock: systemClock, signal: never, onEvent: () => undefined }
  await using controller = await openController(config, ports)
  const lines = [1, 2, 3].map(line => ({ line, text: `G1 X${line}` }))
  await t.rejects(controller.stream({ next: () => lines.shift() }, { signal: never }), {
    code: 'DRIVER_HALTED',
    message: /^Printer stopped due to errors/,
  })
})

t.test('a Marlin that was killed while it booted tells why', async t => {
  const boot = ['start', 'Error:MINTEMP triggered', 'Error:Printer halted. kill() called!']
  let lines = 0
  const { answer, clock } = impatient(() => (lines++ === 0 ? boot : []))
  const refused = await refusal('auto', foreignBoard(t, answer).port, clock)
  t.match(refused, { code: 'DRIVER_HALTED', message: 'Error:MINTEMP triggered' })
})

t.test('told to be a Marlin, what answers otherwise is told by what it says', async t => {
  const repetier = foreignBoard(t, line => {
    if (/M115/.test(line)) return [FOREIGN['Repetier_1.0.4'], 'ok']
    return [/M105/.test(line) ? 'ok T:20.0 /0 B:21.0 /0' : 'ok']
  })
  const grbl = impatient(line => [line === '' ? 'ok' : 'error:20'])
  const noise = impatient(() => ['\xf8\x80\xfe'])
  const refusals = await Promise.all([
    refusal('marlin', repetier.port),
    refusal('marlin', foreignBoard(t, grbl.answer).port, grbl.clock),
    refusal('marlin', foreignBoard(t, noise.answer).port, noise.clock),
  ])
  const code = 'DRIVER_NOT_RECOGNISED'
  t.match(refusals, [
    {
      code,
      message: `it calls itself "Repetier_1.0.4" and does not answer as marlin does (${repetier.port})`,
    },
    {
      code,
      message: /^it says "ok", "error:20" in \d+ lines and does not answer as marlin does/,
    },
    { code, message: /^it says nothing readable in \d+ lines and does not answer as marlin does/ },
  ])
})

t.test('who is not known yet is probed with nothing it could misread', async t => {
  const { answer, clock } = impatient(line => (line === '' ? [] : ['ok']))
  const board = foreignBoard(t, answer)
  const { code } = await refusal('marlin', board.port, clock)
  t.equal(code, 'DRIVER_NOT_RECOGNISED')
  t.ok(
    board.received.some(line => line.startsWith('N2 ')),
    'it was probed',
  )
  const questions = /^(?:N\d+ (?:M105|M118 q\d+)\*\d+|N0 M110 N0\*125|M115|\$I)?$/
  t.strictSame(
    board.received.filter(line => !questions.test(line)),
    [],
  )
})

t.test('a Klipper that is not ready is not opened, and tells why', async t => {
  // Recorded on Klipper v0.13: to M105 and M115 all is well.
  const klipper = (...reason: readonly string[]) =>
    foreignBoard(t, line => {
      if (line === 'STATUS')
        return [...reason.slice(1), '// Klipper state: Not ready', ...reason.slice(0, 1), 'ok']
      return [line === 'M115' ? 'ok FIRMWARE_NAME:Klipper FIRMWARE_VERSION:v0.13.0' : 'ok T:0']
    })
  const down = klipper("!! MCU 'mcu' shutdown: Timer too close", '// Printer is shutdown')
  const wrong = klipper(
    "!! Option 'pitch' is not valid in section 'stepper_x'",
    '// Printer is halted',
  )
  // It may become ready, so it is asked to the end.
  const tuning = { ...TUNING, handshakeAttempts: 10 }
  const refusals = [
    refusal('auto', down.port, systemClock, tuning),
    refusal('klipper', wrong.port, systemClock, tuning),
  ]
  t.match(await Promise.all(refusals), [
    { code: 'DRIVER_HALTED', message: "!! MCU 'mcu' shutdown: Timer too close" },
    {
      code: 'DRIVER_HALTED',
      message: "not ready: Option 'pitch' is not valid in section 'stepper_x'",
    },
  ])
})

t.test(
  'a Klipper that shuts down in use is asked why; one that restarts is told as that',
  async t => {
    const answers: Record<string, readonly string[]> = {
      STATUS: ['// Klipper state: Ready', 'ok'],
      M115: ['ok FIRMWARE_NAME:Klipper FIRMWARE_VERSION:v0.13.0'],
    }
    const lost = async (said: string) => {
      const board = foreignBoard(t, line => answers[line] ?? ['ok T:20.0 /0.0'])
      const ended = Promise.withResolvers<unknown>()
      const config = {
        dialect: 'klipper',
        port: board.port,
        baud: 250_000,
        tuning: TUNING,
      } as const
      const onEvent = (event: ControllerEvent): void => {
        if (event.kind === 'lost') ended.resolve(event.error)
      }
      const ports = { clock: systemClock, signal: never, onEvent }
      const controller = await openController(config, ports)
      answers.STATUS = ['// Klipper state: Not ready', "!! Lost communication with MCU 'mcu'", 'ok']
      board.say(said)
      const error = await ended.promise
      await controller[Symbol.asyncDispose]()
      answers.STATUS = ['// Klipper state: Ready', 'ok']
      return error
    }
    const message = "!! Lost communication with MCU 'mcu'"
    t.match(await lost('// Klipper state: Shutdown'), { code: 'DRIVER_HALTED', message })
    t.match(await lost('// Klipper state: Disconnect'), { code: 'DRIVER_RESET' })
  },
)

t.test('a grbl that does not know $I is none of ours', async t => {
  const board = foreignBoard(t, line => [line === '' ? 'ok' : 'error:3'])
  t.match(await refusal('grbl', board.port), { code: 'DRIVER_NOT_RECOGNISED' })
})

/** An MK3 that takes nothing before its wizard is answered. */
function wizard(t: Test) {
  const board = foreignBoard(t, line => {
    if (!state.isAnswered || line === '') return []
    if (/M115/.test(line)) return ['FIRMWARE_NAME:Prusa-Firmware 3.14.1 based on Marlin', 'ok']
    return [/M105/.test(line) ? 'ok T:20.0 /0.0' : 'ok']
  })
  const state = { isAnswered: false, board }
  return state
}

t.test('a printer whose wizard is answered while it is opened is opened', async t => {
  const clock = leapingClock()
  const [printer, unknown, unattended] = [wizard(t), wizard(t), wizard(t)]
  const opening = Promise.all([
    refusal('prusa', printer.board.port),
    refusal('auto', unknown.board.port),
    refusal('prusa', unattended.board.port, clock),
  ])
  for (let said = 0; said < 3; said++) {
    for (const { board } of [printer, unknown, unattended]) board.say('echo:busy: paused for user')
    await systemClock.sleep(100)
  }
  printer.isAnswered = true
  unknown.isAnswered = true
  clock.leap(60_000)
  t.match(await opening, [
    { message: 'opened as prusa' },
    { message: 'opened as prusa' },
    { code: 'DRIVER_PAUSED_FOR_USER' },
  ])
})
