/** Every key of the configuration, its range and its default. Unknown keys are errors. */

import { isAbsolute } from 'node:path'
import { z } from 'zod'

const MIB = 1024 * 1024
/** MPF.md 2.4: no MPF file is larger. */
const MAX_FILE_BYTES = 64 * 1024 * MIB
/** Marlin's MAX_CMD_SIZE (96) less room for the line number and checksum. */
const MARLIN_LINE_BYTES = 96 - 20

const absolutePath = z
  .string()
  .max(4096)
  .refine(path => isAbsolute(path), 'expected an absolute path')
const count = z.int().positive()
const millimetres = z.number().min(-10_000).max(10_000)
const point = z.tuple([millimetres, millimetres, millimetres])
const name = z.string().regex(/^[a-z0-9][a-z0-9-]{0,31}$/, 'expected lower-case letters, digits, -')

/** One command, without comment or line end: a script is the printer's own, but the wire's rules hold for it too. */
const command = z
  .string()
  .max(MARLIN_LINE_BYTES)
  .regex(/^[GMT]\d{1,4}(?: [A-Z](?:-?\d+(?:\.\d+)?)?)*$/, 'expected one command, like "G1 Z5 F600"')
const script = z.array(command).max(64)

/** Motion, modes, heaters, fans, limits of this print. The same list as the file format's own default. */
const words = [
  ...['G0', 'G1', 'G2', 'G3', 'G4', 'G20', 'G21', 'G28', 'G90', 'G91', 'G92'],
  ...['M73', 'M82', 'M83', 'M84', 'M104', 'M105', 'M106', 'M107', 'M109', 'M140', 'M190'],
  ...['M201', 'M203', 'M204', 'M205', 'M221', 'T0', 'T1', 'T2', 'T3'],
]

const limitsMm = z
  .strictObject({ min: point, max: point })
  .refine(limits => limits.min.every((low, axis) => low < (limits.max[axis] ?? low)), {
    message: 'expected every min below its max',
  })

const profile = z.strictObject({
  model: z.string().min(1).max(64),
  nozzleMm: z.number().min(0.05).max(5),
  words: z
    .array(z.string().regex(/^[GMT]\d{1,4}$/, 'expected a command word, like "G1"'))
    .min(1)
    .max(256)
    .default(words),
  limitsMm,
  maxFeedMmPerMin: z.number().positive().max(1_000_000),
  maxExtrusionMmPerMm: z.number().min(0.001).max(100).default(1),
  maxTempC: z.strictObject({
    hotend: z.array(z.number().min(0).max(600)).min(1).max(8),
    bed: z.number().min(0).max(300),
    chamber: z.number().min(0).max(300),
  }),
  maxLineBytes: z.int().min(16).max(256).default(MARLIN_LINE_BYTES),
})

/** One number an axis; what is left out keeps Marlin's own default (Configuration.h of 2.1). */
const axes = (defaults: { x: number; y: number; z: number; e: number }) => {
  const axis = (value: number) => z.number().positive().max(1_000_000).default(value)
  return z.strictObject({
    x: axis(defaults.x),
    y: axis(defaults.y),
    z: axis(defaults.z),
    e: axis(defaults.e),
  })
}
const accelerationMmPerS2 = z.number().positive().max(1_000_000).default(3000)

/** How the controller moves, for expected times and for what the wire must carry: it limits nothing. */
const kinematics = z.strictObject({
  maxFeedMmPerS: axes({ x: 300, y: 300, z: 5, e: 25 }).prefault({}),
  maxAccelerationMmPerS2: axes({ x: 3000, y: 3000, z: 100, e: 10_000 }).prefault({}),
  printAccelerationMmPerS2: accelerationMmPerS2,
  travelAccelerationMmPerS2: accelerationMmPerS2,
  retractAccelerationMmPerS2: accelerationMmPerS2,
  junctionDeviationMm: z.number().min(0.001).max(1).default(0.013),
  /** Given: a controller built with CLASSIC_JERK, which has no junction deviation. */
  jerkMmPerS: axes({ x: 10, y: 10, z: 0.3, e: 5 }).optional(),
  plannerBlocks: z.int().min(2).max(256).default(16),
})

const printer = z.strictObject({
  serial: z.string().regex(/^[A-Za-z0-9._-]{1,64}$/, 'expected letters, digits, ".", "_" or "-"'),
  // 16 bytes leave 2 bits in the last character: only A, Q, g, w encode them canonically.
  tenant: z.string().regex(/^[A-Za-z0-9_-]{21}[AQgw]$/, 'expected 16 bytes in base64url, unpadded'),
  profile,
  kinematics: kinematics.prefault({}),
  scripts: z
    .strictObject({
      start: script.default([]),
      pause: script.default([]),
      resume: script.default([]),
      /** Left out: every heater and fan off. Cancelled and broken prints have that anyway, before their script. */
      end: script.optional(),
      cancel: script.default([]),
      abnormalEnd: script.default([]),
      recover: script.default([]),
    })
    .prefault({}),
  /** The firmware is quicker; these are for the day it fails. */
  safety: z
    .strictObject({
      thermalMarginC: z.number().min(5).max(100).default(20),
      hotendRiseTimeoutMs: z.int().min(5000).max(600_000).default(60_000),
      bedRiseTimeoutMs: z.int().min(5000).max(1_800_000).default(180_000),
      temperatureReportTimeoutMs: z.int().min(5000).max(600_000).default(30_000),
      escalateAfterMs: z.int().min(1000).max(120_000).default(10_000),
      controllerIdleTimeoutMs: z.int().min(60_000).max(86_400_000).default(1_800_000),
      /** An output as a file (sysfs); written when an emergency stop is not confirmed. */
      powerRelay: z.strictObject({ file: absolutePath, cut: z.enum(['0', '1']) }).optional(),
    })
    .prefault({}),
  policy: z
    .strictObject({
      onInterruption: z.enum(['fail', 'ask']).default('ask'),
    })
    .prefault({}),
})

const commandWords = z
  .array(z.string().regex(/^[GM]\d{1,4}$/, 'expected a command word, like "M141"'))
  .max(64)
  .default([])

const controller = z.strictObject({
  name,
  role: z.enum(['motion', 'fibre', 'chamber']),
  /** What the board speaks; 'auto' asks it. */
  dialect: z.enum([
    'auto',
    'marlin',
    'prusa',
    'buddy',
    'grbl',
    'grblhal',
    'klipper',
    'smoothie',
    'reprap',
  ]),
  /** A serial device, or 'simulated': a controller inside the program, for demo and tests. */
  port: z.union([z.literal('simulated'), absolutePath], 'expected an absolute path or "simulated"'),
  baud: z.int().min(9600).max(4_000_000).default(115_200),
  /** RepRapFirmware only: the check its port demands (M575). */
  checksum: z.enum(['xor', 'crc16']).default('xor'),
  reattachWithinMs: z.int().min(0).max(600_000).default(10_000),
  /** Fewer bytes that mean the same, or byte for byte as sealed. */
  compact: z.enum(['auto', 'off']).default('off'),
  /** Before each print the controller's own check mode is given all of it. */
  rehearse: z.boolean().default(false),
  /** Tools that are this controller's own. Only for those beside the motion controller, as the two lists below. */
  tools: z.array(z.int().min(0).max(7)).max(8).default([]),
  commands: commandWords,
  freeCommands: commandWords,
})

const controllers = z
  .array(controller)
  .refine(list => list.filter(({ role }) => role === 'motion').length === 1, {
    message: 'expected exactly one controller with the role "motion"',
  })
  .refine(list => isDistinct(list.map(({ name }) => name)), {
    message: 'expected each name once',
  })
  // Others have no check mode, and what is for a second controller would be carried out there.
  .refine(
    list => list.every(one => !one.rehearse || (list.length === 1 && /^grbl/.test(one.dialect))),
    { message: 'expected rehearse only for grbl or grblhal, and no controller beside it' },
  )
  .refine(list => list.every(isRouted), {
    message:
      'expected tools, commands or freeCommands for every controller but the motion controller',
  })
  .refine(
    list =>
      isDistinct(list.flatMap(({ tools }) => tools)) &&
      isDistinct(list.flatMap(({ commands, freeCommands }) => [...commands, ...freeCommands])),
    { message: 'expected each tool and each command at one controller only' },
  )

/** What is not named for another controller is the motion controller's: it needs no list. */
function isRouted({ role, tools, commands, freeCommands }: z.output<typeof controller>): boolean {
  const isNamed = tools.length + commands.length + freeCommands.length > 0
  return isNamed === (role !== 'motion')
}

function isDistinct(values: readonly unknown[]): boolean {
  return new Set(values).size === values.length
}

const spool = z
  .strictObject({
    maxBytes: count.default(4096 * MIB),
    maxFileBytes: count.max(MAX_FILE_BYTES).default(1024 * MIB),
    reserveBytes: z
      .int()
      .min(0)
      .default(256 * MIB),
  })
  .refine(limits => limits.maxFileBytes <= limits.maxBytes, {
    message: 'expected maxFileBytes not above maxBytes',
  })

const usb = z.strictObject({
  mountDirectories: z.array(absolutePath).max(8).default([]),
  autoStart: z.enum(['ask', 'start']).default('ask'),
  pollIntervalMs: z.int().min(20).max(60_000).default(1000),
})

/** Where the courier leaves files for the core: treated exactly like a stick. */
const intake = z.strictObject({ dropDirectory: absolutePath.optional() })

/** No other scheme exists here: there is no way to write down an unencrypted connection. */
const endpoint = z
  .string()
  .max(256)
  .regex(
    /^mqtts:\/\/[A-Za-z0-9.-]{1,253}(?::\d{1,5})?$/,
    'expected mqtts://host or mqtts://host:port',
  )

/** The courier's slice; without it the printer has no cloud. */
const cloud = z.strictObject({
  endpoints: z.array(endpoint).min(1).max(8),
  /** The only certification authorities the broker's certificate may lead to. */
  caFile: absolutePath.default('/etc/mpfd/cloud-ca.pem'),
  /** Holds the identity's two slots: key and certificate each. */
  identityDirectory: absolutePath.default('/var/lib/mpfd-cloud/identity'),
  stateDirectory: absolutePath.default('/var/lib/mpfd-cloud'),
  region: name.default('local'),
  /** Where certificates are renewed (RFC 7030). */
  enrolUrl: z
    .string()
    .max(256)
    .regex(/^https:\/\/[^\s]+$/, 'expected an https URL')
    .optional(),
  tier: z.enum(['off', 'essential', 'full']).default('full'),
  sampleIntervalMs: z.int().min(1000).max(600_000).default(10_000),
  batchSamples: z.int().min(1).max(120).default(6),
  eventStoreBytes: z
    .int()
    .min(65_536)
    .default(128 * MIB),
  telemetryStoreBytes: z
    .int()
    .min(65_536)
    .default(64 * MIB),
})

const control = z.strictObject({
  // sun_path holds 108 bytes with its terminator (unix(7)).
  socket: absolutePath.max(107).default('/run/mpfd/control.sock'),
  /** Octal, as chmod takes it; others than owner and group never have access. */
  mode: z
    .string()
    .regex(/^0[0-7][0-7]0$/, 'expected four octal digits, the last 0, like "0660"')
    .default('0660')
    .transform(digits => Number.parseInt(digits, 8)),
})

const trust = z.strictObject({
  bundleFile: absolutePath.default('/etc/mpfd/trust-bundle.json'),
})

const keys = z.strictObject({
  printerKeyFile: absolutePath.default('/var/lib/mpfd/keys/printer-key.pem'),
  /** The key for post-quantum hybrid grants; without it only P-384 grants open. */
  hybridKeyFile: absolutePath.optional(),
})

const log = z.strictObject({
  level: z.enum(['debug', 'info', 'warn', 'error', 'silent']).default('info'),
})

/** The whole file. Only `printer` and `controllers` have no default: they are what makes a printer this printer. */
export const configSchema = z.strictObject({
  printer,
  controllers,
  stateDirectory: absolutePath.default('/var/lib/mpfd'),
  spool: spool.prefault({}),
  usb: usb.prefault({}),
  intake: intake.prefault({}),
  control: control.prefault({}),
  trust: trust.prefault({}),
  keys: keys.prefault({}),
  log: log.prefault({}),
  cloud: cloud.optional(),
})

type DeepReadonly<T> = T extends readonly unknown[] | object
  ? { readonly [K in keyof T]: DeepReadonly<T[K]> }
  : T

/** The configuration as the programs see it: every key present, nothing writable. Pass slices of it, not all of it. */
export type Config = DeepReadonly<z.output<typeof configSchema>>
