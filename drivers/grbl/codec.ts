/** The words sent to grbl: bare lines, because it checks nothing, and none that its receive interrupt would take. Pure. */
import type { Codec } from '../dialect.ts'
import { DriverError } from '../errors.ts'

/** LINE_BUFFER_SIZE 80 less its terminator (grbl/protocol.h). */
const MAX_GRBL_CHARS = 79
/** grblHAL keeps 256. */
const MAX_GRBLHAL_CHARS = 255

// Taken from the receive interrupt wherever they stand: status, hold, resume, reset, and everything above 0x7f.
const REALTIME = /[?!~]/
const PRINTABLE = /^[ -~]*$/
// Written to EEPROM with interrupts off: bytes of the lines behind them would be lost (grbl/doc/markdown/interface.md).
const STORED = /^G *0*(?:10(?!\d)|28\.1|30\.1)/
const OPERATOR = /^\$[A-Z$#]{1,3}$/

/** Says why a program line cannot go on the wire, or `undefined` when it can. */
export function grblRefusalOf(text: string): string | undefined {
  if (!/^[A-Z]/.test(text)) return 'does not start with an upper-case letter'
  if (text.startsWith('N')) return 'carries its own line number'
  if (!PRINTABLE.test(text)) return 'holds a byte that is not printable'
  if (REALTIME.test(text)) return 'holds a realtime character'
  if (/[;()*%$]/.test(text)) return 'holds a comment, a checksum or a system command'
  if (STORED.test(text)) return 'writes the EEPROM'
  return undefined
}

/** `isNumbered`: every line carries its number, so that status reports name it. */
export function grblCodec({ isNumbered }: { readonly isNumbered: boolean }): Codec {
  const maxChars = isNumbered ? MAX_GRBLHAL_CHARS : MAX_GRBL_CHARS
  const frame = (n: number, text: string): string => {
    const line = isNumbered && !text.startsWith('$') ? `N${n}${text}` : text
    if (line.length > maxChars)
      throw new DriverError(
        'DRIVER_LINE_REFUSED',
        `line is ${line.length} characters, at most ${maxChars}`,
      )
    return `${line}\n`
  }
  const frameProgramLine = (n: number, text: string): string => {
    const refusal = grblRefusalOf(text)
    if (refusal !== undefined) throw new DriverError('DRIVER_LINE_REFUSED', `line ${refusal}`)
    return frame(n, text)
  }
  return {
    frameCommand: frame,
    frameProgramLine,
    frameRequest: (n, text) => (OPERATOR.test(text) ? frame(n, text) : frameProgramLine(n, text)),
    acknowledgedBy: () => 'ok',
    isEmergencyCommand: () => false,
    isEmergencyBare: false,
    // An empty line is acknowledged, so none is ever sent.
    lineBreak: '',
  }
}
