/** In front of a firmware that is none of ours: it is named, and nothing but questions is sent to it. */
import t, { type Test } from 'tap'
import { systemClock } from '#lib/clock.ts'
import { type ControllerConfig, openController } from '../../drivers/index.ts'
import type { Tuning } from '../../drivers/tuning.ts'
import { never, QUICK } from '../fakes/drivers-bench.ts'
import { foreignBoard } from '../fakes/drivers-foreign.ts'

/** All at once: they wait more than they work. */
t.jobs = 9
const ALONGSIDE = { buffered: true }
const TUNING: Partial<Tuning> = { ...QUICK, handshakeRetryMs: 100, handshakeAttempts: 4 }

/** What opening ends with, which is an error. */
async function refusal(
  dialect: ControllerConfig['dialect'],
  port: string,
  tuning: Partial<Tuning> = {},
): Promise<{ readonly code?: string; readonly message: string }> {
  const config = { dialect, port, baud: 250_000, tuning: { ...TUNING, ...tuning } }
  const ports = { clock: systemClock, signal: never, onEvent: () => undefined }
  return openController(config, ports).then(
    async controller => {
      await controller[Symbol.asyncDispose]()
      return { message: `opened as ${controller.identity.dialect}` }
    },
    (error: Error) => error,
  )
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
  t.test(`asked who it is, ${name} is told by its name`, ALONGSIDE, async t => {
    const board = foreignBoard(t, line => (line === 'M115' ? [words, 'ok'] : ['ok']))
    const { code, message } = await refusal('auto', board.port)
    t.equal(code, 'DRIVER_NOT_RECOGNISED')
    t.ok(message.startsWith(`it calls itself "${name}" and is none of marlin, prusa, `), message)
    t.strictSame(new Set(board.received), new Set(['', 'M115']))
  })

t.test('a Marlin of a machine called Prusa is a Marlin', ALONGSIDE, async t => {
  const words =
    'FIRMWARE_NAME:Marlin 1.1.9 (Github) PROTOCOL_VERSION:1.0 MACHINE_TYPE:Prusa i3 EXTRUDER_COUNT:1'
  const board = foreignBoard(t, line => {
    if (/M115/.test(line)) return [words, 'ok']
    return [/M105/.test(line) ? 'ok T:20.0 /0.0' : 'ok']
  })
  t.match(await refusal('auto', board.port), { message: 'opened as marlin' })
})

t.test(
  'told to be a Marlin, what answers otherwise is told by what it says',
  ALONGSIDE,
  async t => {
    const repetier = foreignBoard(t, line => {
      if (/M115/.test(line)) return [FOREIGN['Repetier_1.0.4'], 'ok']
      return [/M105/.test(line) ? 'ok T:20.0 /0 B:21.0 /0' : 'ok']
    })
    t.match(await refusal('marlin', repetier.port), {
      code: 'DRIVER_NOT_RECOGNISED',
      message: `it calls itself "Repetier_1.0.4" and is not marlin (${repetier.port})`,
    })
    const grbl = foreignBoard(t, line => [line === '' ? 'ok' : 'error:20'])
    t.match(await refusal('marlin', grbl.port), {
      code: 'DRIVER_NOT_RECOGNISED',
      message: /^it says "ok", "error:20" in \d+ lines and is not marlin/,
    })
    const noise = foreignBoard(t, () => ['\xf8\x80\xfe'])
    t.match(await refusal('marlin', noise.port), {
      code: 'DRIVER_NOT_RECOGNISED',
      message: /^it says nothing readable in \d+ lines and is not marlin/,
    })
  },
)

t.test('a grbl that does not know $I is none of ours', ALONGSIDE, async t => {
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

for (const dialect of ['prusa', 'auto'] as const)
  t.test(
    `a printer whose wizard is answered while it is opened is opened (${dialect})`,
    async t => {
      const printer = wizard(t)
      const opening = refusal(dialect, printer.board.port)
      for (let said = 0; said < 5; said++) {
        printer.board.say('echo:busy: paused for user')
        await systemClock.sleep(100)
      }
      printer.isAnswered = true
      t.match(await opening, { message: 'opened as prusa' })
      const { board } = wizard(t)
      const waiting = refusal(dialect, board.port, { bootMs: 200 })
      board.say('echo:busy: paused for user')
      t.match(await waiting, { code: 'DRIVER_PAUSED_FOR_USER' })
    },
  )
