/** What a controller says before it is known, and what is told of it where nobody understands it. */
import type { DialectName } from '../dialect.ts'
import { DriverError } from '../errors.ts'
import { parseFields } from '../marlin/replies.ts'
import { isOpenReply } from './flight-recorder.ts'

/** Lines kept: a boot says fewer, and whoever floods us gets no more. */
const MAX_LINES = 256
const PRINTABLE = /^[ -~]*[!-~][ -~]*$/
const NAME = 'FIRMWARE_NAME:'
/** What a message tells. */
const TOLD_LINES = 3
const TOLD_CHARS = 60

/** Each different line, and how often it was said. */
export class FirstWords {
  readonly #times = new Map<string, number>()
  /** Lines heard, repeated ones included. */
  count = 0

  hear(line: string): void {
    const text = line.endsWith('\r') ? line.slice(0, -1) : line
    const times = this.#times.get(text) ?? 0
    const [oldest] = this.#times.keys()
    if (times === 0 && this.#times.size === MAX_LINES && oldest !== undefined)
      this.#times.delete(oldest)
    this.#times.set(text, times + 1)
    this.count++
  }

  forget(): void {
    this.#times.clear()
  }

  /** The different lines, in the order in which they were first said. */
  get lines(): readonly string[] {
    return [...this.#times.keys()]
  }

  /** What it calls itself, once it said so twice: a damaged letter makes another name of none. */
  get name(): string | undefined {
    for (const [text, times] of this.#times) {
      const at = text.indexOf(NAME)
      if (at < 0 || times < 2 || !PRINTABLE.test(text)) continue
      const { FIRMWARE_NAME = '', FIRMWARE_VERSION = '' } = parseFields(text.slice(at))
      return shortened(`${FIRMWARE_NAME.replace(/,$/, '')} ${FIRMWARE_VERSION}`.trim())
    }
    return undefined
  }

  /** Why it was given up: `wanted` are the dialects it could have been. */
  unrecognised(path: string, wanted: readonly DialectName[]): DriverError {
    if (this.count === 0)
      return new DriverError('DRIVER_SILENT', `${path}: no byte to any question`)
    const expected = wanted.length === 1 ? `not ${wanted[0]}` : `none of ${wanted.join(', ')}`
    return new DriverError('DRIVER_NOT_RECOGNISED', `${path} is ${expected}: ${this.#told()}`)
  }

  #told(): string {
    if (this.name !== undefined) return `it calls itself "${this.name}"`
    const texts = this.lines.filter(text => PRINTABLE.test(text)).map(redacted)
    if (texts.length === 0) return `it says nothing readable in ${this.count} lines`
    const told = [...new Set(texts)].slice(-TOLD_LINES).map(text => `"${shortened(text)}"`)
    return `it says ${told.join(', ')} in ${this.count} lines`
  }
}

/** What a firmware did not understand of a print before ours is the print's: quoted text and figures are left out. */
function redacted(text: string): string {
  return isOpenReply(text) ? text : text.replace(/"[^"]*"?/g, '…').replace(/\d/g, '#')
}

function shortened(text: string): string {
  return text.length > TOLD_CHARS ? `${text.slice(0, TOLD_CHARS)}…` : text
}
