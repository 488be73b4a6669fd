/** The acknowledgement models of those that number their lines beside Marlin: each fact of each protocol alone. */
import t from 'tap'
import { marlin } from '../../drivers/marlin/dialect.ts'
import { buddy, prusa } from '../../drivers/prusa/dialect.ts'
import { markOf } from '../../drivers/shell/mark.ts'
import { smoothie } from '../../drivers/smoothie/dialect.ts'
import { settle } from '../../drivers/window/acknowledge.ts'
import { isRewound, takeRewound } from '../../drivers/window/send-window.ts'
import { moves, say, windowOf } from '../fakes/drivers-window.ts'

t.test('MK3 goes back to a line it had acknowledged, when it asks without an error', async t => {
  const window = windowOf(prusa, ...moves(8))
  say(prusa, window, ...new Array<string>(8).fill('ok'))
  t.equal(window.acked, 8)
  t.strictSame(say(prusa, window, 'Resend: 5', 'ok'), ['resend', 'nothing'])
  settle(window)
  t.equal(window.acked, 4)
  t.equal(takeRewound(window)?.n, 5)
})

t.test('MK3 without a UUID ends no line before its first capability', async t => {
  const said = [
    'FIRMWARE_NAME:Prusa-Firmware 3.14.1 based on Marlin FIRMWARE_URL:https://github.com/prusa3d/Prusa-Firmware PROTOCOL_VERSION:1.0 MACHINE_TYPE:Prusa i3 MK3S EXTRUDER_COUNT:1Cap:AUTOREPORT_TEMP:1',
    'Cap:EXTENDED_M20:1',
    'ok',
  ]
  t.match(prusa.identification.identityOf(said.map(prusa.parseReply)), {
    machine: 'Prusa i3 MK3S',
    capabilities: { AUTOREPORT_TEMP: true, EXTENDED_M20: true },
  })
})

t.test(
  'a Marlin that announces nothing is counted by its temperatures, not by an echo',
  async t => {
    const identify = (...said: string[]) => {
      const window = windowOf(marlin)
      const replies = said.map(marlin.parseReply)
      const identity = marlin.identification.identityOf(replies)
      if (identity) marlin.identification.learn(identity, window, replies)
      return markOf(window.rules, 7)?.text
    }
    const old =
      'FIRMWARE_NAME:Marlin 1.0.2 PROTOCOL_VERSION:1.0 MACHINE_TYPE:Mendel EXTRUDER_COUNT:1'
    t.equal(identify(old), 'M105')
    t.equal(identify('FIRMWARE_NAME:Marlin 1.1.9 (Github)', 'Cap:EEPROM:0'), 'M118 q7')
  },
)

t.test('Marlin asking without an error for an acknowledged line is asked again', async t => {
  const window = windowOf(marlin, ...moves(8))
  say(marlin, window, ...new Array<string>(8).fill('ok'))
  t.strictSame(say(marlin, window, 'Resend: 5'), ['probe'])
})

t.test('a board that asks for line 1 in the middle of a print has restarted', async t => {
  for (const dialect of [marlin, prusa, smoothie]) {
    const window = windowOf(dialect, ...moves(20))
    say(dialect, window, ...new Array<string>(20).fill('ok'))
    const verdicts = say(dialect, window, 'Error:checksum mismatch, Last Line: 0', 'Resend: 1')
    t.notOk(verdicts.includes('resend'), dialect.name)
    t.ok(verdicts.includes('restarted'), dialect.name)
  }
})

t.test('Buddy may leave the ok after a Resend out: an ok too few, never one too many', async t => {
  const window = windowOf(buddy, ...moves(4))
  say(buddy, window, 'Error:checksum mismatch, Last Line: 2', 'Resend: 3', 'ok', 'ok')
  t.equal(window.acked, 1)
  t.equal(buddy.stop.bytes(9), '\nM112\n', 'a numbered M112 would hide from it')
})

t.test('Smoothie asks by rs without any ok, once for each stale line', async t => {
  const window = windowOf(smoothie, ...moves(4))
  t.strictSame(say(smoothie, window, 'rs N2', 'rs N2', 'rs N2', 'ok'), [
    'resend',
    'nothing',
    'nothing',
    'acked',
  ])
  settle(window)
  t.ok(isRewound(window))
  t.equal(takeRewound(window)?.n, 2)
})

t.test('Smoothie halted, and positions on its acknowledgement', async t => {
  t.equal(smoothie.parseReply('!!').kind, 'fatal')
  t.match(smoothie.parseReply('ok C: X:1.0000 Y:2.0000 Z:3.0000 E:4.0000'), {
    kind: 'ok',
    report: { kind: 'position', position: { x: 1, y: 2, z: 3, e: 4 } },
  })
  t.equal(smoothie.parseReply('ok - ignored').kind, 'ok')
})
