/** Finds out which dialect answers on a port: by its greeting, by M115, by `$I`. Changes nothing on the board. */
import type { Clock } from '#lib/clock.ts'
import type { Dialect } from '../dialect.ts'
import { DriverError } from '../errors.ts'
import { openSerialLink } from '../serial-link.ts'
import { defaultTuning, type Tuning } from '../tuning.ts'
import { FirstWords } from './first-words.ts'

export interface DetectOptions {
  /** The rows it may be one of. */
  readonly dialects: readonly Dialect[]
  readonly port: string
  readonly baud: number
  readonly clock: Clock
  readonly signal: AbortSignal
  readonly tuning?: Partial<Tuning>
}

/** What `$I` and M115 ask; a grbl calls the second an error, all others ignore the first. */
const QUESTIONS = ['\nM115\n', '?$I\n'] as const
/** In check mode a grbl does not say who it is: whoever left it there went away. A soft reset ends it. */
const CHECKING = /^<Check\|/
const SOFT_RESET = '\x18'

/**
 * Asks until what answers is one of the dialects, by their own identification, or calls itself something else.
 * @throws DriverError `DRIVER_PORT_OPEN`, `DRIVER_SILENT`, `DRIVER_PAUSED_FOR_USER`, `DRIVER_NOT_RECOGNISED`, `DRIVER_PORT_LOST`; `signal.reason`.
 */
export async function detectDialect(options: DetectOptions): Promise<Dialect> {
  const tuning: Tuning = { ...defaultTuning, ...options.tuning }
  const { port, baud, clock, signal, dialects } = options
  const wanted = dialects.map(({ name }) => name)
  const words = new FirstWords({ path: port, wanted, clock, tuning })
  let lost: unknown
  const link = await openSerialLink(port, baud, {
    onBytes: () => undefined,
    onLine: line => words.hear(line),
    onBatch: () => undefined,
    onDrain: () => undefined,
    onLost: cause => {
      lost = cause ?? new Error('closed')
    },
  })
  try {
    await clock.sleep(tuning.greetingMs, signal)
    while (words.patienceMs > 0 && words.name === undefined) {
      link.write(questionTo(words))
      const found = await listen(words, tuning, options)
      if (found) return found
      if (lost) throw new DriverError('DRIVER_PORT_LOST', `${port}: port closed`, { cause: lost })
    }
    throw words.giveUp()
  } finally {
    await link.close()
  }
}

function questionTo(words: FirstWords): string {
  const { lines } = words
  if (lines.some(line => CHECKING.test(line))) {
    words.forget()
    return SOFT_RESET
  }
  // A grbl takes M115 for an error, so it is asked in its own words from then on; `Error:` is what a Marlin says.
  return lines.some(line => /^(?:[Gg]rbl|error:)/.test(line)) ? QUESTIONS[1] : QUESTIONS[0]
}

async function listen(
  words: FirstWords,
  tuning: Tuning,
  { clock, signal, dialects }: DetectOptions,
): Promise<Dialect | undefined> {
  const endMs = clock.nowMs() + tuning.handshakeRetryMs
  for (;;) {
    const before = words.count
    await clock.sleep(tuning.quietMs, signal)
    // Named only once all of the answer is there: grblHAL's own line comes after the one it shares with grbl.
    const isQuiet = before === words.count
    const found = isQuiet ? dialectOf(words, dialects) : undefined
    if (found || clock.nowMs() >= endMs || (isQuiet && isForeign(words))) return found
  }
}

function dialectOf(words: FirstWords, dialects: readonly Dialect[]): Dialect | undefined {
  const { lines } = words
  return dialects.find(({ parseReply, identification }) =>
    identification.identityOf(lines.map(parseReply)),
  )
}

/** It has answered in words that are not ours: asked again, or in other words, at once. */
function isForeign({ lines }: FirstWords): boolean {
  return lines.some(line => /^error:|FIRMWARE_NAME:/.test(line))
}
