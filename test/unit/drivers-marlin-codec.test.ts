/** The words to and from Marlin 2. */
import t from 'tap'
import {
  frameCommand,
  frameProgramLine,
  markText,
  RESET_NUMBERING,
} from '../../drivers/marlin/codec.ts'
import { parseReply } from '../../drivers/marlin/replies.ts'

t.test('frames a numbered line with its checksum', async t => {
  t.equal(RESET_NUMBERING, 'N0 M110 N0*125\n')
  t.equal(frameProgramLine(5, 'G1 X10'), 'N5 G1 X10*84\n')
  t.equal(
    frameProgramLine(5, 'M117 layer 3 of 40'),
    `N5 M117 layer 3 of 40*${checksum('N5 M117 layer 3 of 40')}\n`,
  )
})

t.test('frames the longest line Marlin keeps and refuses one character more', async t => {
  const fits = `M117 ${'x'.repeat(83)}`
  const frame = frameProgramLine(10, fits)
  t.ok(frame.length - 1 <= 95)
  t.throws(() => frameProgramLine(10, `${fits}${'x'.repeat(96 - frame.length + 1)}xx`), {
    code: 'DRIVER_LINE_REFUSED',
  })
  t.throws(() => frameProgramLine(1_000_000, fits), { code: 'DRIVER_LINE_REFUSED' })
})

const REFUSED: Readonly<Record<string, string>> = {
  'an empty line': '',
  'a line feed': 'G1 X1\nM112',
  'a carriage return': 'G1 X1\rM104 S300',
  'a backspace': 'G1 X1\b2',
  'a byte over 0x7e': 'M117 caf\u00e9',
  'a delete character': 'M117 \u007f',
  'a comment': 'G1 X1 ;fast',
  'a checksum of its own': 'G1 X1*55',
  'a line number of its own': 'N5 G1 X1',
  'a lower-case command': 'g1 X1',
  'a leading space': ' G1 X1',
  'a host command': '$X',
  'a quoted string': 'M117 "x',
  'a backslash': 'M117 \\;',
  'M110 as a command': 'M110 N500',
  'M110 in a message': 'M117 see M110 N500',
  'M112 as a command': 'M112',
  'M112 in a message': 'M117 M112',
  'M118, which forges host actions': 'M118 A1 action:cancel',
  'M118 spelt with a space': 'M 118 action:cancel',
  'M118 spelt with zeros': 'M00118 action:cancel',
}
for (const [what, text] of Object.entries(REFUSED))
  t.test(`refuses ${what}`, async t => {
    t.throws(() => frameProgramLine(1, text), { code: 'DRIVER_LINE_REFUSED' })
  })

t.test('lets the neighbours of reserved words pass', async t => {
  for (const text of ['M11', 'M111 S0', 'M113 S2', 'M1', 'G112', 'T0', 'M117 112'])
    t.equal(frameProgramLine(1, text), frameCommand(1, text))
})

t.test('parses what a Marlin says', async t => {
  const cases: readonly (readonly [string, object])[] = [
    ['ok', { kind: 'ok', line: undefined, queueFree: undefined }],
    ['ok\r', { kind: 'ok', line: undefined }],
    ['ok N12 P15 B3', { kind: 'ok', line: 12, plannerFree: 15, queueFree: 3 }],
    ['ok P15 B3', { kind: 'ok', line: undefined, queueFree: 3 }],
    [
      'ok T:21.5 /210.0 B:60 /60',
      {
        kind: 'okTemperatures',
        temperatures: {
          hotend: { currentC: 21.5, targetC: 210 },
          bed: { currentC: 60, targetC: 60 },
        },
      },
    ],
    [' T:19.37 /0.00 B:18.20 /0.00 @:0 B@:0', { kind: 'temperatures', isWaiting: false }],
    [
      'T:180.2 /210.0 T1:20 /0 C:30 /40 W:?',
      {
        kind: 'temperatures',
        isWaiting: true,
        temperatures: {
          hotend: { currentC: 180.2, targetC: 210 },
          hotend1: { currentC: 20, targetC: 0 },
          chamber: { currentC: 30, targetC: 40 },
        },
      },
    ],
    ['Resend: 6', { kind: 'resend', from: 6 }],
    ['rs N6', { kind: 'resend', from: 6 }],
    ['Error:checksum mismatch, Last Line: 5', { kind: 'linkError', lastLine: 5 }],
    [
      'Error:Line Number is not Last Line Number+1, Last Line: 5',
      { kind: 'linkError', lastLine: 5 },
    ],
    ['Error:No Checksum with line number, Last Line: 5', { kind: 'linkError', lastLine: 5 }],
    ['Error:checksuM mismatch, Last Line: 5', { kind: 'linkError', lastLine: 5 }],
    ['Error:checksum mismatch, Last Lin: 5', { kind: 'linkError', lastLine: undefined }],
    ['Error:Printer halted. kill() called!', { kind: 'fatal' }],
    ['Error:Thermal Runaway, system stopped! Heater_ID: E0', { kind: 'fatal' }],
    ['echo:M112 Shutdown', { kind: 'echo' }],
    ['!! printer stopped', { kind: 'fatal' }],
    ['echo:busy: processing', { kind: 'busy', reason: 'processing' }],
    ['echo:Unknown command: "X0.1 F12000"', { kind: 'unknownCommand', text: 'X0.1 F12000' }],
    [
      'X:1.00 Y:-2.50 Z:0.20 E:3.00 Count X:80 Y:-200 Z:80',
      { kind: 'position', position: { x: 1, y: -2.5, z: 0.2, e: 3 } },
    ],
    ['start', { kind: 'start' }],
    ['//action:paused', { kind: 'action', action: 'paused' }],
    ['Cap:EMERGENCY_PARSER:1', { kind: 'capability', name: 'EMERGENCY_PARSER', isPresent: true }],
    ['q64', { kind: 'mark', tag: 64 }],
    [
      'FIRMWARE_NAME:Marlin 2.1.2 (Oct  1) SOURCE_CODE_URL:github.com/x MACHINE_TYPE:My Printer UUID:ab-cd',
      {
        kind: 'firmware',
        fields: {
          FIRMWARE_NAME: 'Marlin 2.1.2 (Oct  1)',
          MACHINE_TYPE: 'My Printer',
          UUID: 'ab-cd',
        },
      },
    ],
  ]
  for (const [line, expected] of cases) t.match(parseReply(line), expected, line)
})

t.test('takes a damaged acknowledgement for none', async t => {
  for (const line of ['oj', 'okok', 'ok N1z P15 B3', 'ok N5 P15', 'oK', 'ok N5 P15 B', 'okN5'])
    t.not(parseReply(line).kind, 'ok', line)
})

t.test('gives marks a tag that fits the receive ring', async t => {
  t.equal(markText(64), 'M118 q64')
  t.equal(markText(1_234_567), 'M118 q4567')
})

function checksum(text: string): number {
  return Buffer.from(text).reduce((sum, byte) => sum ^ byte, 0)
}
