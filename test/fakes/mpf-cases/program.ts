/** Cases of the program: words, envelope, machine state. */
import { BLOCKS } from '../mpf-forge-program.ts'
import { PROFILE } from '../mpf-world.ts'
import { type Case, fault, flip, modal, put, set } from './case.ts'

/** A program whose last lines are wrong. */
function program(name: `${'MPF_GCODE' | 'MPF_ENVELOPE'}/${string}`, lines: string): Case {
  return fault(name, { blocks: [...BLOCKS.slice(0, 2), `G90\nG1 X100 Y100 Z10 F3000\n${lines}\n`] })
}

/** A program that uses words its publisher signed and its printer takes beyond the usual ones. */
function programWith(
  words: readonly string[],
  name: `MPF_ENVELOPE/${string}`,
  lines: string,
): Case {
  const all = [...PROFILE.words, ...words]
  return fault(
    name,
    {
      blocks: [...BLOCKS.slice(0, 2), `G90\nG1 X100 Y100 Z10 F3000\n${lines}\n`],
      manifest: put('pol.words', all),
    },
    { reader: { profile: { ...PROFILE, words: all } } },
  )
}

const gcode = (name: string, lines: string) => program(`MPF_GCODE/${name}`, lines)
const envelope = (name: string, lines: string) => program(`MPF_ENVELOPE/${name}`, lines)

const WORDS_NEVER = [
  ...['M16', 'M28', 'M29', 'M30', 'M32', 'M33', 'M34', 'M81', 'M92', 'M98', 'M108', 'M110', 'M112'],
  ...[
    'M117',
    'M118',
    'M206',
    'M211',
    'M218',
    'M301',
    'M302',
    'M303',
    'M304',
    'M305',
    'M410',
    'M413',
  ],
  ...[
    'M500',
    'M501',
    'M502',
    'M503',
    'M504',
    'M510',
    'M524',
    'M569',
    'M575',
    'M600',
    'M851',
    'M906',
  ],
  ...['M928', 'M997', 'M999', 'G5', 'G27', 'G30', 'G38', 'G53', 'G54', 'T4', 'T99'],
]

export const PROGRAM: readonly Case[] = [
  ...WORDS_NEVER.map(word => gcode(`word-${word}`, word)),
  gcode('word-not-signed', 'M220 S100'),
  gcode('m302-allows-cold-extrusion', 'M302 P1'),
  gcode('m118-host-action', 'M118 A1 action:cancel'),
  gcode('m110-line-number', 'M110 N0'),
  gcode('m28-writes-a-file', 'M28 x.gco'),
  gcode('lower-case-word', 'g1 X1'),
  gcode('lower-case-parameter', 'G1 x1'),
  gcode('line-number', 'N12 G1 X1'),
  gcode('checksum', 'G1 X1*57'),
  gcode('checksum-after-a-space', 'G1 X1 *57'),
  gcode('line-number-as-a-parameter', 'G1 X1 N5'),
  gcode('block-delete', '/G1 X1'),
  gcode('parenthesis-comment', 'G1 X1 (move)'),
  gcode('two-commands', 'G1 X1 G1 X2'),
  gcode('two-commands-glued', 'G1X1M112'),
  gcode('second-tool-word', 'G1 X1 T1'),
  gcode('quoted-string', 'M104 S"200"'),
  gcode('carriage-return', 'G1 X1\r'),
  gcode('carriage-return-inside', 'G1 X1\rM112'),
  gcode('nul', 'G1 X1\0'),
  gcode('nul-in-a-comment', 'G1 X1 ;a\0'),
  gcode('tab', 'G1\tX1'),
  gcode('vertical-tab', 'G1 X1\v'),
  gcode('escape', ';\x1b[2J'),
  gcode('delete', ';\x7f'),
  gcode('non-ascii', 'G1 X1\xb5'),
  gcode('non-ascii-in-a-comment', '; \xe9'),
  gcode('byte-order-mark', '\xef\xbb\xbfG1 X1'),
  gcode('line-of-257-bytes', `;${'x'.repeat(256)}`),
  gcode('command-of-77-bytes', `G1 X1${' '.repeat(70)}Y1`),
  gcode('command-of-97-bytes', `G1 X1${' '.repeat(90)}Y1`),
  gcode('word-without-number', 'G X1'),
  gcode('word-of-four-digits', 'G0001 X1'),
  gcode('word-with-a-part', 'G1.1 X1'),
  gcode('parameter-twice', 'G1 X1 X2'),
  gcode('parameter-of-another-word', 'G1 X1 S100'),
  gcode('axis-without-number', 'G1 X'),
  gcode('two-points', 'G1 X1.2.3'),
  gcode('two-signs', 'G1 X--1'),
  gcode('sign-only', 'G1 X-'),
  gcode('point-only', 'G1 X.'),
  gcode('exponent', 'G1 X1E5'),
  gcode('exponent-with-sign', 'G1 X1E+5'),
  gcode('hexadecimal', 'G1 Y0X10'),
  gcode('ten-digits', 'G1 X1234567890'),
  gcode('comma', 'G1 X1,5'),
  gcode('infinity', 'G1 XINF'),
  gcode('arc-without-centre', 'G2 X110 Y100'),
  gcode('arc-by-radius', 'G2 X110 Y100 R5'),
  gcode('arc-of-too-many-turns', 'G2 X110 Y100 I5 P101'),
  gcode('arc-around-its-own-start', 'G2 X110 Y100 I0 J0'),
  gcode('g92-moves-the-envelope', 'G92 X0'),
  gcode('g92-without-axis', 'G92'),
  gcode('g92-without-number', 'G92 E'),
  gcode('negative-feed', 'G1 X1 F-100'),
  gcode('tool-without-number', 'M104 T S250'),
  gcode('temperature-without-number', 'M104 S'),
  gcode('negative-tool', 'M104 T-1 S200'),
  gcode('half-a-tool', 'M104 T0.5 S100'),
  gcode('fifth-tool', 'M104 T4 S10'),
  gcode('half-a-fan', 'M106 P0.5'),
  gcode('negative-fan', 'M107 P-1'),
  gcode('feed-below-zero-and-x-too-far', 'G1 X999 F-1'),
  gcode('flow-above-1000', 'M221 S1001'),
  gcode('flow-of-another-tool', 'M221 T1 S200'),
  gcode('idle-time-without-number', 'M84 S'),
  gcode('tool-left-with-a-flow-above-100', 'M221 S101\nT1'),
  gcode('only-a-number', '123'),
  gcode('percent-sign', '%'),
  gcode('shell', '$(reboot)'),
  gcode('printer-extension', 'SET_HEATER_TEMPERATURE HEATER=extruder TARGET=400'),
  envelope('hotend-too-hot', 'M104 S251'),
  envelope('hotend-too-hot-by-a-tenth', 'M104 S250.01'),
  envelope('hotend-too-hot-waiting', 'M109 R251'),
  envelope('second-hotend-too-hot', 'M104 T1 S221'),
  envelope('active-second-hotend-too-hot', 'T1\nM104 S221'),
  envelope('third-hotend', 'M104 T2 S1'),
  envelope('bed-too-hot', 'M140 S100.1'),
  envelope('bed-too-hot-waiting', 'M190 R101'),
  envelope('temperature-beyond-16-bits', 'M104 S6553.7'),
  envelope('x-too-far', 'G1 X200.001'),
  envelope('y-below-zero', 'G1 Y-0.001'),
  envelope('z-below-the-bed', 'G0 Z-0.0001'),
  envelope('z-too-high', 'G1 Z201'),
  envelope('relative-steps-out', 'G91\nG1 X60\nG1 X60'),
  envelope('inches', 'G20\nG1 X8'),
  envelope('feed-too-high', 'G1 X1 F12001'),
  envelope('feed-too-high-in-inches', 'G20\nG1 F473'),
  envelope('filament-beyond-any-spool', 'G1 E562949954'),
  envelope('filament-beyond-any-spool-by-g92', 'G92 E-562949954'),
  envelope('filament-beyond-any-spool-by-steps', 'G92 E562949953\nM83\nG1 E1'),
  envelope('filament-above-travel', 'G92 E0\nG1 X101 E1.001'),
  envelope('filament-above-travel-relative', 'M83\nG1 X103 Y104 E5.001'),
  envelope('filament-above-travel-in-z', 'M83\nG1 Z10.1 E0.2'),
  envelope('filament-above-travel-in-inches', 'G20\nM83\nG91\nG1 X0.1 E0.11'),
  envelope('filament-above-travel-by-flow', 'M221 S200\nM83\nG1 X101 E0.51'),
  envelope('filament-above-travel-by-unretracting-under-way', 'M83\nG1 E-5\nG1 X101 E5'),
  envelope('filament-on-a-nanometre', 'M83\nG1 X100.000001 E0.01'),
  envelope('filament-above-an-arc', 'M83\nG3 X100 Y102 I0 J1 E3.142'),
  envelope('filament-above-a-full-circle', 'M83\nG2 I0 J1 E6.284'),
  envelope('filament-above-an-arc-and-its-rise', 'M83\nG2 I0 J1 Z11 E6.363'),
  envelope('filament-on-a-circle-a-float-cannot-see', 'M83\nG3 Y100.001 I-10 J0 E0.01'),
  envelope('filament-on-a-circle-almost-closed', 'M83\nG2 Y100.001 I-10 J0 E0.01'),
  envelope('filament-above-the-shorter-radius', 'M83\nG3 X99 Y100 I-10 J0 E10'),
  programWith(['M220'], 'MPF_ENVELOPE/feed-factor-above-100', 'M220 S101'),
  programWith(['M207'], 'MPF_ENVELOPE/retraction-lifts', 'M207 S1 Z0.2'),
  programWith(['M207'], 'MPF_ENVELOPE/retraction-presses-down', 'M207 S1 Z-5'),
  programWith(['M207'], 'MPF_ENVELOPE/retraction-too-fast', 'M207 S1 F12001'),
  programWith(['M208'], 'MPF_ENVELOPE/recovery-too-fast', 'M208 F12001'),
  envelope('relative-from-unknown', 'G28 X\nG91\nG1 X1'),
  envelope('relative-from-unknown-after-homing-all', 'G28\nG91\nG1 Z1'),
  envelope('relative-from-a-released-axis', 'M84 X\nG91\nG1 X1'),
  envelope('relative-after-releasing-all', 'M84\nG91\nG1 Z1'),
  envelope('arc-from-a-released-axis', 'M84 Y\nG2 X110 Y100 I5'),
  envelope('arc-from-unknown', 'G28 X Y\nG2 X110 Y100 I5'),
  envelope('arc-bulges-right', 'G1 X195 Y90\nG3 X195 Y110 I0 J10'),
  envelope('arc-bulges-below-zero', 'G1 X90 Y5\nG3 X110 Y5 I10 J0'),
  envelope('arc-turns-once-more-outside', 'G1 X9 Y10\nG3 X4 Y15 I-5 J0 P1'),
  envelope('full-circle-out', 'G1 X150 Y150\nG2 I60'),
  envelope('full-circle-a-float-cannot-see', 'G1 X200 Y100\nG3 X200 Y100.00001 I-150 J0'),
  envelope('full-circle-of-a-far-centre', 'G1 X100 Y100\nG3 X100 Y100.05 I-99999999 J0'),
  envelope(
    'arc-ends-inside-its-own-circle',
    'G1 X150 Y100\nG3 X149.9 Y150 I0 J50.001\nG1 X190 Y20\nG3 X190 Y70 I-1 J50',
  ),
  envelope('arc-spirals-out', 'G1 X190 Y100\nG3 X189 Y101 I-1 J50'),
  envelope('helix-too-high', 'G2 X110 Y100 I5 Z201'),
]

/** A file whose publisher signed that no axis is ever commanded. */
const still = (name: string, lines: string) =>
  fault(`MPF_ENVELOPE/${name}`, {
    blocks: [`G28\n${lines}\n`],
    manifest: payload => {
      put('pol.minUm', [1, 1, 1])(payload)
      put('pol.maxUm', [0, 0, 0])(payload)
    },
  })

export const STILL: readonly Case[] = [
  still('axis-never-commanded-to-0', 'G1 X0'),
  still('axis-never-commanded-to-1-um', 'G1 Y0.001'),
  still('axis-never-commanded-between', 'G1 Z0.0005'),
]

export const MODAL: readonly Case[] = [
  ...(
    [
      ['x', 7],
      ['y', 15],
      ['z', 23],
      ['e', 31],
      ['feed', 35],
      ['hotend', 37],
      ['bed', 45],
      ['chamber', 47],
      ['fan', 48],
      ['tool', 49],
      ['modes', 51],
      ['flow', 53],
    ] as const
  ).map(([name, at]) => fault(`MPF_MODAL/${name}`, { entries: modal(1, flip(at)) })),
  fault('MPF_MODAL/first-block-hot-already', { entries: modal(0, set(37, 100)) }),
  fault('MPF_MODAL/last-block', { entries: modal(2, flip(7)) }),
]
