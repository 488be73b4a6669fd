/** Finds out which dialect answers on a port: by its greeting, by M115, by `$I`. Changes nothing on the board. */
import type { Clock } from '#lib/clock.ts'
import type { DialectName } from '../dialect.ts'
import { DriverError } from '../errors.ts'
import { openSerialLink } from '../serial-link.ts'
import { defaultTuning, type Tuning } from '../tuning.ts'

export interface DetectOptions {
  readonly port: string
  readonly baud: number
  readonly clock: Clock
  readonly signal: AbortSignal
  readonly tuning?: Partial<Tuning>
}

// Most particular first: Prusa's name says that it is based on Marlin.
const NAMES: readonly (readonly [RegExp, DialectName])[] = [
  [/^\[FIRMWARE:grblHAL/i, 'grblhal'],
  [/^GrblHAL /i, 'grblhal'],
  [/FIRMWARE_NAME:.*buddy/i, 'buddy'],
  [/FIRMWARE_NAME:.*prusa/i, 'prusa'],
  [/FIRMWARE_NAME: ?klipper/i, 'klipper'],
  [/FIRMWARE_NAME:.*smoothie/i, 'smoothie'],
  [/FIRMWARE_NAME:.*reprapfirmware/i, 'reprap'],
  [/FIRMWARE_NAME:.*marlin/i, 'marlin'],
  [/^\[VER:/, 'grbl'],
]

/** What `$I` and M115 ask; a grbl calls the second an error, all others ignore the first. */
const QUESTIONS = ['\nM115\n', '?$I\n'] as const
/** In check mode a grbl does not say who it is: whoever left it there went away. A soft reset ends it. */
const CHECKING = /^<Check\|/
const SOFT_RESET = '\x18'

/**
 * Asks until something answers by name.
 * @throws DriverError `DRIVER_PORT_OPEN`, `DRIVER_SILENT`, `DRIVER_NOT_RECOGNISED`, `DRIVER_PORT_LOST`; `signal.reason`.
 */
export async function detectDialect(options: DetectOptions): Promise<DialectName> {
  const tuning: Tuning = { ...defaultTuning, ...options.tuning }
  const { port, baud, clock, signal } = options
  const lines: string[] = []
  let lost: unknown
  const link = await openSerialLink(port, baud, {
    onBytes: () => undefined,
    onLine: line => void lines.push(line),
    onBatch: () => undefined,
    onDrain: () => undefined,
    onLost: cause => {
      lost = cause ?? new Error('closed')
    },
  })
  try {
    await clock.sleep(tuning.greetingMs, signal)
    for (let attempt = 0; attempt < tuning.handshakeAttempts; attempt++) {
      // A grbl takes M115 for an error, so it is asked in its own words from then on.
      const isGrbl = lines.some(line => /^(?:Grbl|error:)/i.test(line))
      if (lines.some(line => CHECKING.test(line))) {
        lines.length = 0
        link.write(SOFT_RESET)
      } else link.write(isGrbl ? QUESTIONS[1] : QUESTIONS[0])
      const name = await listen(lines, tuning, options)
      if (name) return name
      if (lost) throw new DriverError('DRIVER_PORT_LOST', `${port}: port closed`, { cause: lost })
    }
    throw nobody(port, lines.length)
  } finally {
    await link.close()
  }
}

async function listen(
  lines: readonly string[],
  tuning: Tuning,
  { clock, signal }: DetectOptions,
): Promise<DialectName | undefined> {
  const endMs = clock.nowMs() + tuning.handshakeRetryMs
  for (;;) {
    const before = lines.length
    await clock.sleep(tuning.quietMs, signal)
    // Named only once all of the answer is there: grblHAL's own line comes after the one it shares with grbl.
    const name = before === lines.length ? nameIn(lines) : undefined
    if (name || clock.nowMs() >= endMs || isRefused(lines, before)) return name
  }
}

function isRefused(lines: readonly string[], count: number): boolean {
  return count === lines.length && lines.some(line => /^error:/.test(line))
}

function nameIn(lines: readonly string[]): DialectName | undefined {
  return NAMES.find(([shape]) => lines.some(line => shape.test(line)))?.[1]
}

function nobody(port: string, lines: number): DriverError {
  return lines > 0
    ? new DriverError('DRIVER_NOT_RECOGNISED', `${port}: ${lines} lines, none names a firmware`)
    : new DriverError('DRIVER_SILENT', `${port}: no byte to any question`)
}
