/** The words sent to Marlin 2: frames numbered, checksummed lines and refuses what the wire cannot carry safely. Pure. */
import type { Codec } from '../dialect.ts'
import { DriverError } from '../errors.ts'
import { MARK_MODULUS } from '../window/go-back-n.ts'

/** Longest line Marlin keeps, `N…*cs` included: MAX_CMD_SIZE 96 less its terminator (Marlin Configuration_adv.h). */
export const MAX_FRAME_CHARS = 95

const SPACE = 0x20
const TILDE = 0x7e
const ASTERISK = 0x2a
const SEMICOLON = 0x3b
const QUOTE = 0x22
const BACKSLASH = 0x5c

// Marlin resets its line counter wherever a numbered line contains `M110`, a comment for the display included;
// M118 forges host actions; M112 kills (emergency parser). All three belong to the driver, never to a program.
const RESERVED_ANYWHERE = /M11[028]/
// The parser skips spaces and leading zeros after the letter: `M 0118` is M118.
const RESERVED_SPELLINGS = /^M *0*11[028](?!\d)/

/**
 * Says why a program line cannot go on the wire, or `undefined` when it can. `text` is one command without terminator.
 */
function refusalOf(text: string): string | undefined {
  const first = text.charCodeAt(0)
  if (!(first >= 0x41 && first <= 0x5a)) return 'does not start with an upper-case letter'
  if (first === 0x4e) return 'carries its own line number'
  for (let i = 0; i < text.length; i++) {
    const refusal = characterRefusal(text.charCodeAt(i))
    if (refusal !== undefined) return `${refusal} at column ${i + 1}`
  }
  if (text.includes('M') && (RESERVED_ANYWHERE.test(text) || RESERVED_SPELLINGS.test(text)))
    return 'contains M110, M112 or M118'
  return undefined
}

function characterRefusal(code: number): string | undefined {
  if (code < SPACE || code > TILDE) return `byte 0x${code.toString(16)}`
  if (code === ASTERISK) return 'an asterisk'
  if (code === SEMICOLON) return 'a semicolon'
  // Marlin treats both as string syntax while it reads the line (gcode/queue.cpp process_stream_char).
  if (code === QUOTE || code === BACKSLASH) return 'string syntax'
  return undefined
}

/**
 * Frames a command the driver itself issues: `N<n> <text>*<checksum>\n`.
 * @throws DriverError `DRIVER_LINE_REFUSED` when the frame is longer than {@link MAX_FRAME_CHARS}.
 */
export function frameCommand(n: number, text: string): string {
  const body = `N${n} ${text}`
  const checksum = checksumOf(body)
  const frame = `${body}*${checksum}\n`
  if (frame.length > MAX_FRAME_CHARS + 1)
    throw new DriverError(
      'DRIVER_LINE_REFUSED',
      `framed line is ${frame.length - 1} characters, at most ${MAX_FRAME_CHARS}`,
    )
  return frame
}

/** XOR of all characters before the asterisk. */
export function checksumOf(body: string): number {
  let checksum = 0
  for (let i = 0; i < body.length; i++) checksum ^= body.charCodeAt(i)
  return checksum
}

/** Puts one line on the wire; `n` is its number in order. */
export type Frame = (n: number, text: string) => string

/**
 * `frame` for lines of a program.
 * @throws DriverError `DRIVER_LINE_REFUSED`: length, control characters, bytes over 0x7e, `;`, `*`, string syntax,
 * a line number of its own, a lower-case start, or M110/M112/M118 anywhere in it.
 */
export function checked(frame: Frame): Frame {
  return (n, text) => {
    const refusal = refusalOf(text)
    if (refusal !== undefined) throw new DriverError('DRIVER_LINE_REFUSED', `line ${refusal}`)
    return frame(n, text)
  }
}

export const frameProgramLine: Frame = checked(frameCommand)

/**
 * The text of a mark: an M118 whose echo names the numbered line it came from, so that a firmware without ADVANCED_OK
 * tells exactly how far it has executed. Short, because the receive ring is; begun by a letter, because it may be sent to who turns out
 * to be no Marlin: Teacup reads `M118 ~2` as M1182 and keeps a byte of it, and to grbl `~` means to go on after a feed hold.
 */
export function markText(n: number): string {
  return `M118 q${n % MARK_MODULUS}`
}

/** Sets the firmware's line counter to 0 (`N0 M110 N0*125`). */
export const RESET_NUMBERING = frameCommand(0, 'M110 N0')

/** Commands the emergency parser takes from the receive interrupt, ahead of the queue (Marlin src/feature/e_parser.h). */
export function isEmergencyCommand(text: string): boolean {
  return /^M(?:108|112|410|876)(?!\d)/.test(text)
}

/** True for an M105, whose acknowledgement carries temperatures and so cannot be taken for another's. */
export function isTemperatureQuery(text: string): boolean {
  return /^M105(?!\d)/.test(text)
}

export const marlinCodec: Codec = {
  frameCommand,
  frameProgramLine,
  frameRequest: frameProgramLine,
  acknowledgedBy: text => (isTemperatureQuery(text) ? 'temperatures' : 'ok'),
  isEmergencyCommand,
  isEmergencyBare: false,
  lineBreak: '\n',
}
