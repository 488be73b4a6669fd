/** What firmware says in its many versions, line by line: none of it may be taken for something else. */
import t from 'tap'
import type { Dialect } from '../../drivers/dialect.ts'
import { grbl } from '../../drivers/grbl/dialect.ts'
import { klipper } from '../../drivers/klipper/dialect.ts'
import { marlin } from '../../drivers/marlin/dialect.ts'
import { prusa } from '../../drivers/prusa/dialect.ts'
import type { Reply } from '../../drivers/reply.ts'
import { reprap } from '../../drivers/reprap/dialect.ts'
import { isWorking } from '../../drivers/shell/reports.ts'
import { smoothie } from '../../drivers/smoothie/dialect.ts'

const WORDS: readonly (readonly [Dialect, string, Reply['kind']])[] = [
  [marlin, 'ok ', 'ok'],
  [marlin, 'ok N7 P15 B3 ', 'ok'],
  [marlin, 'ok T:25.0 B:24.1', 'okTemperatures'],
  [marlin, 'ok B:24.1 /0.0 T:25.0 /0.0', 'okTemperatures'],
  [marlin, 'wait', 'message'],
  [marlin, 'start', 'start'],
  [marlin, '\xff\x00\xf8start', 'start'],
  [marlin, 'echo:start', 'echo'],
  [marlin, 'N12 G1 X5*33', 'message'],
  [marlin, 'X:1.00 Y:2.00 Z:3.00 I:0.00 J:4.50 E:6.00 Count X:80 Y:160 Z:1200', 'position'],
  [marlin, 'Error:Printer halted. kill() called!', 'fatal'],
  [marlin, 'Printer stopped due to errors. Fix the error and use M999 to restart.', 'fatal'],
  [marlin, 'Error:Printer stopped due to errors. Fix the error and use M999', 'fatal'],
  [marlin, '//action:notification Heating', 'action'],
  [marlin, '// a remark', 'message'],
  [marlin, 'rs 12', 'resend'],
  [prusa, 'T:25.6 E:0 W:?', 'busy'],
  [prusa, 'T:25.6 E:0 B:24.8', 'busy'],
  [prusa, 'rs N12', 'resend'],
  [prusa, 'INT4', 'start'],
  [reprap, 'Error: Bad command: G777\r', 'unknownCommand'],
  [reprap, '{"status":"I","heaters":[25.0]}', 'message'],
  [reprap, 'X:1.000 Y:2.000 Z:3.000 U:0.000 E:4.000 E0:4.0 Count 80 160 1200', 'position'],
  [klipper, '!! Printer is not ready', 'fatal'],
  [klipper, '!! Must home axis first: 0.000 5.000 5.000 [0.000]', 'refused'],
  [klipper, '// Klipper state: Disconnect', 'start'],
  [klipper, '// Klipper state: Not ready', 'fatal'],
  [klipper, 'echo: hello', 'message'],
  [smoothie, 'ALARM: Hard limit +X', 'fatal'],
  [smoothie, 'error:Alarm lock', 'fatal'],
  [smoothie, 'ERROR: Temperature runaway on T, HALT asserted. TURN POWER OFF', 'fatal'],
  [grbl, 'error:20', 'refused'],
  [grbl, 'error: Bad number format', 'refused'],
  [grbl, 'ALARM:14', 'fatal'],
  [grbl, 'ALARM: Hard/soft limit', 'fatal'],
  [grbl, '[MSG:Caution: Unlocked]', 'echo'],
  [grbl, '<Tool|MPos:0.000,0.000,0.000|Bf:35,1023|FS:0,0|H:1|TLR:0|FW:grblHAL|odd>', 'status'],
]

for (const [dialect, line, kind] of WORDS)
  t.test(`${dialect.name}: ${JSON.stringify(line)}`, async t => {
    t.equal(dialect.parseReply(line).kind, kind)
    t.equal(dialect.parseReply(line.endsWith('\r') ? line : `${line}\r`).kind, kind, 'with CR')
  })

t.test('whoever waits for heat or a person is at work, however it says so', async t => {
  for (const [dialect, line] of [
    [marlin, 'echo:busy: paused for user'],
    [marlin, ' T:60.00 /210.00 B:40.00 /60.00 @:127 B@:127 W:?'],
    [prusa, 'T:25.6 E:0 W:?'],
    [klipper, 'B:40.0 /60.0 T0:60.0 /210.0'],
    [grbl, '<Tool|MPos:0.000,0.000,0.000|FS:0,0>'],
    [grbl, '<Door:0|MPos:0.000,0.000,0.000|FS:0,0>'],
  ] as const)
    t.ok(isWorking(dialect.parseReply(line)), `${dialect.name}: ${line}`)
  t.notOk(
    isWorking(marlin.parseReply(' T:60.00 /210.00 @:127')),
    'it reports by itself at any time',
  )
})
