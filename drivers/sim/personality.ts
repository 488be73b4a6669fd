/** What tells one firmware from the next on the wire: greeting, line rules, refusals, acknowledgements. Pure data and small functions. */
import type { DialectName } from '../dialect.ts'
import type { Firmware } from './firmware.ts'

/** How lines are taken in. */
export interface LineRules {
  /** `sequence`: numbers and checksums both count; `checksum`: only the checksum, damaged lines vanish; `none`: neither. */
  readonly numbering: 'sequence' | 'checksum' | 'none'
  /** The last number and the one before it are dropped without a word. */
  readonly toleratesDuplicates: boolean
  /** A refused line takes the whole receive ring with it. */
  readonly flushesOnError: boolean
  /** A checksum without a number is an error: closes the hole a cut line leaves. */
  readonly refusesBareChecksum: boolean
  readonly acknowledgesEmptyLines: boolean
  readonly maxChars: number
  /** Bytes taken from the receive interrupt. */
  readonly realtime: string
}

export interface Personality {
  readonly lines: LineRules
  readonly greeting: readonly string[]
  readonly firmwareName: string
  /** Lines told for a refused line; `count` numbers the refusals. */
  refusal(reason: string, lastLine: number, count: number): readonly string[]
  /** What answers a word nobody knows; acknowledged after it unless `isAcknowledgement`. */
  unknown(text: string): { readonly lines: readonly string[]; readonly isAcknowledgement: boolean }
  /** A move is acknowledged before there is room for it in the planner. */
  readonly isAcknowledgedBeforePlan: boolean
  readonly hasBusyLines: boolean
  /** Homing ends with a position nobody asked for. */
  readonly reportsHoming: boolean
  /** Words that answer on the acknowledgement itself. */
  readonly answersOnOk: readonly string[]
  /** M114 begins so. */
  readonly positionPrefix: string
  readonly positionDecimals: number
  /** `$C` has it parse without doing, until a reset; `identifies`: it says who it is all the same. */
  readonly checkMode?: { readonly identifies: boolean }
  /** Words this firmware does not have at all. */
  readonly missing: RegExp
  /** What a kill says. */
  halted(reason: string | undefined): readonly string[]
  /** What a halted board still says to a line. */
  haltedReply(line: string): readonly string[]
  identify(firmware: Firmware): void
}

const MARLIN_LINES: LineRules = {
  numbering: 'sequence',
  toleratesDuplicates: true,
  flushesOnError: true,
  refusesBareChecksum: false,
  acknowledgesEmptyLines: false,
  maxChars: 95,
  realtime: '',
}

function marlinIdentity(firmware: Firmware): void {
  const { personality } = firmware
  firmware.answer(
    'M115',
    `FIRMWARE_NAME:${personality.firmwareName} SOURCE_CODE_URL:github.com/MarlinFirmware/Marlin PROTOCOL_VERSION:1.0 MACHINE_TYPE:Simulated Printer EXTRUDER_COUNT:1 UUID:cede2a2f-41a2-4748-9b12-c55c62f367ff`,
  )
  if (personality.answersOnOk.includes('M115')) return
  for (const capability of capabilitiesOf(firmware)) firmware.reply(capability)
}

/** Built without a UUID: the line is not ended before the first capability. */
function prusaIdentity(firmware: Firmware): void {
  const [first, ...others] = capabilitiesOf(firmware)
  firmware.reply(
    `FIRMWARE_NAME:${firmware.personality.firmwareName} FIRMWARE_URL:https://github.com/prusa3d/Prusa-Firmware PROTOCOL_VERSION:1.0 MACHINE_TYPE:Prusa i3 MK3S EXTRUDER_COUNT:1${first}`,
  )
  for (const capability of others) firmware.reply(capability)
}

function capabilitiesOf({ options }: Firmware): readonly string[] {
  const capabilities = {
    AUTOREPORT_TEMP: options.hasAutoreport,
    EMERGENCY_PARSER: options.hasEmergencyParser,
    HOST_ACTION_COMMANDS: true,
    THERMAL_PROTECTION: true,
    SDCARD: false,
    MEATPACK: options.hasMeatPack,
  }
  return Object.entries(capabilities).map(([name, isPresent]) => `Cap:${name}:${isPresent ? 1 : 0}`)
}

const marlin: Personality = {
  lines: MARLIN_LINES,
  greeting: [
    'start',
    'echo:Marlin 2.1.2.1',
    'echo: Last Updated: 2022-12-16 | Author: (simulated)',
  ],
  firmwareName: 'Marlin 2.1.2.1 (Sim)',
  refusal: (reason, lastLine) => [
    `Error:${reason}, Last Line: ${lastLine}`,
    `Resend: ${lastLine + 1}`,
    'ok',
  ],
  unknown: text => ({ lines: [`echo:Unknown command: "${text}"`], isAcknowledgement: false }),
  isAcknowledgedBeforePlan: false,
  hasBusyLines: true,
  reportsHoming: true,
  answersOnOk: [],
  positionPrefix: '',
  positionDecimals: 2,
  missing: /^(?:\$I|STATUS)$/,
  halted: reason => [
    ...(reason === undefined ? [] : [reason]),
    'Error:Printer halted. kill() called!',
    '//action:poweroff',
  ],
  haltedReply: () => [],
  identify: marlinIdentity,
}

const PRUSA_LINES = { ...MARLIN_LINES, toleratesDuplicates: false, refusesBareChecksum: true }

const prusa: Personality = {
  ...marlin,
  lines: PRUSA_LINES,
  greeting: ['start', 'echo: 3.13.3-7094'],
  firmwareName: 'Prusa-Firmware 3.13.3 based on Marlin (Sim)',
  identify: prusaIdentity,
}

const buddy: Personality = {
  ...marlin,
  lines: { ...MARLIN_LINES, toleratesDuplicates: false },
  greeting: ['start'],
  firmwareName: 'Prusa-Firmware-Buddy 6.0.1 (Sim)',
  // The acknowledgement belongs to the slot the line would have had, and is left out when that one is empty.
  refusal: (reason, lastLine, count) =>
    marlin.refusal(reason, lastLine, count).slice(0, 2 + (count % 2)),
}

const smoothie: Personality = {
  ...marlin,
  lines: {
    ...MARLIN_LINES,
    toleratesDuplicates: false,
    flushesOnError: false,
    maxChars: 132,
    realtime: '\x18',
  },
  greeting: ['Smoothie', 'ok'],
  firmwareName: 'Smoothieware (Sim), FIRMWARE_URL:http%3A//smoothieware.org, X-GRBL_MODE:0',
  refusal: (_reason, lastLine) => [`rs N${lastLine + 1}`],
  unknown: () => ({ lines: ['ok - ignored'], isAcknowledgement: true }),
  isAcknowledgedBeforePlan: true,
  hasBusyLines: false,
  reportsHoming: false,
  answersOnOk: ['M114'],
  positionPrefix: 'C: ',
  halted: reason => [reason ?? 'HALTED, M999 or $X to exit HALT state'],
  haltedReply: () => ['!!'],
}

const reprap: Personality = {
  ...marlin,
  lines: { ...MARLIN_LINES, numbering: 'checksum', flushesOnError: false, maxChars: 256 },
  greeting: [],
  firmwareName: 'RepRapFirmware for Simulation FIRMWARE_VERSION: 3.4.6',
  unknown: text => ({ lines: [`Error: Bad command: ${text}`], isAcknowledgement: false }),
  hasBusyLines: false,
  reportsHoming: false,
  positionDecimals: 3,
  halted: reason => [
    ...(reason === undefined ? [] : [reason]),
    'Emergency Stop! Reset the controller to continue.',
  ],
}

const KLIPPER = 'Klipper FIRMWARE_VERSION:v0.12.0-sim'

/** As if all were well to M105 and M115; any other word tells why it is not, and STATUS that it is not (klippy/gcode.py). */
function klipperShutdown(line: string): readonly string[] {
  if (line === 'M105') return ['ok T:0']
  if (line === 'M115') return [`ok FIRMWARE_NAME:${KLIPPER}`]
  const reason = ['!! Shutdown due to M112 command', 'ok']
  return line === 'STATUS' ? ['// Klipper state: Not ready', ...reason] : reason
}

const klipper: Personality = {
  ...marlin,
  lines: {
    ...MARLIN_LINES,
    numbering: 'none',
    flushesOnError: false,
    acknowledgesEmptyLines: true,
    maxChars: 4096,
  },
  greeting: ['// Klipper state: Ready'],
  firmwareName: KLIPPER,
  unknown: text => ({ lines: [`// Unknown command:"${text}"`], isAcknowledgement: false }),
  hasBusyLines: false,
  reportsHoming: false,
  answersOnOk: ['M115'],
  missing: /^\$I$/,
  // The reason is what it answers from then on.
  halted: () => ['// Klipper state: Shutdown'],
  haltedReply: klipperShutdown,
}

const grbl: Personality = {
  ...klipper,
  lines: { ...klipper.lines, maxChars: 79, realtime: '?!~\x18' },
  greeting: ['', "Grbl 1.1h ['$' for help]"],
  firmwareName: 'Grbl',
  unknown: () => ({ lines: ['error:20'], isAcknowledgement: true }),
  answersOnOk: [],
  // No heaters, so no words for them.
  missing: /^(?:M(?:[1-9]\d\d|2\d)|T0|STATUS)$/,
  halted: () => ['ALARM:3'],
  haltedReply: () => ['error:9'],
  checkMode: { identifies: false },
  identify: ({ options, reply }) => {
    reply('[VER:1.1h.20190830:]')
    reply(`[OPT:V,15,${options.ringBytes + 1}]`)
  },
}

const grblhal: Personality = {
  ...grbl,
  lines: { ...grbl.lines, maxChars: 255 },
  checkMode: { identifies: true },
  greeting: ['', "GrblHAL 1.1f ['$' or '$HELP' for help]"],
  identify: firmware => {
    firmware.reply('[VER:1.1f.20240328:]')
    firmware.reply(`[OPT:VNMGPH,35,${firmware.options.ringBytes + 1},3,0]`)
    firmware.reply('[FIRMWARE:grblHAL]')
  },
}

/** Every firmware the simulator can be. */
export const PERSONALITIES: Readonly<Record<DialectName, Personality>> = {
  marlin,
  prusa,
  buddy,
  grbl,
  grblhal,
  klipper,
  smoothie,
  reprap,
}

/** Buffers a real board of the kind has. */
export const BUFFERS: Readonly<
  Record<DialectName, { readonly ringBytes: number; readonly bufferLines: number }>
> = {
  marlin: { ringBytes: 127, bufferLines: 4 },
  prusa: { ringBytes: 127, bufferLines: 4 },
  buddy: { ringBytes: 255, bufferLines: 8 },
  grbl: { ringBytes: 127, bufferLines: 1 },
  grblhal: { ringBytes: 1023, bufferLines: 1 },
  klipper: { ringBytes: 4095, bufferLines: 20 },
  smoothie: { ringBytes: 255, bufferLines: 1 },
  reprap: { ringBytes: 511, bufferLines: 1 },
}
