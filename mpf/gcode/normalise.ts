/** Raw slicer output to the lines MPF seals (SPEC 6.1): LF, printable comments, bounded length. Commands are never altered, only dropped on request. */

import { MpfError } from '../errors.ts'
import { MAX_BLOCK_BYTES, MAX_LINE_BYTES } from '../limits.ts'

const LF = 10
const CR = 13
const TAB = 9
const SPACE = 32
const SEMICOLON = 59
const QUESTION = 63
const TILDE = 126

/** What a writer changed, so that it can say so. */
export interface NormaliseReport {
  carriageReturns: number
  tabs: number
  /** Bytes of comments that were not printable ASCII and became `?`. */
  commentBytes: number
  /** Comments cut to the line limit. */
  cutComments: number
  /** Lines whose command was dropped because its word was to be stripped, by word. */
  readonly stripped: Map<string, number[]>
}

export function createNormaliseReport(): NormaliseReport {
  return { carriageReturns: 0, tabs: 0, commentBytes: 0, cutComments: 0, stripped: new Map() }
}

/**
 * Cuts chunks of raw text into normalised lines, each ending in LF. An empty or missing last line adds nothing.
 * @throws MpfError MPF_GCODE for a line longer than a block
 * @param strip words as `wordOf` says them whose whole line becomes an empty one, so that line numbers stay the slicer's
 */
export async function* normaliseLines(
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  report: NormaliseReport,
  strip: ReadonlySet<string> = new Set(),
): AsyncGenerator<Buffer, void, void> {
  let line = 0
  for await (const raw of rawLines(chunks)) {
    line++
    yield normaliseLine(raw, line, report, strip)
  }
}

async function* rawLines(
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): AsyncGenerator<Buffer, void, void> {
  let rest: Buffer = Buffer.alloc(0)
  for await (const chunk of chunks) {
    const bytes = rest.length === 0 ? Buffer.from(chunk) : Buffer.concat([rest, chunk])
    let from = 0
    for (let lf = bytes.indexOf(LF); lf >= 0; lf = bytes.indexOf(LF, from)) {
      yield bytes.subarray(from, lf + 1)
      from = lf + 1
    }
    rest = bytes.subarray(from)
    if (rest.length > MAX_BLOCK_BYTES) throw new MpfError('MPF_GCODE', 'a line longer than a block')
  }
  if (rest.length > 0) yield Buffer.concat([rest, Uint8Array.of(LF)])
}

/**
 * What to call a line's command: `M117` (without leading zeros and suffix), or the name of a Klipper macro in capitals.
 * Undefined for a line without one.
 */
export function wordOf(line: string): string | undefined {
  const [, letter, number, name] =
    /^ *(?:([A-Z])0*([0-9]+)(?![0-9_])|([A-Z_][A-Z0-9_]*))/i.exec(line) ?? []
  return letter === undefined ? name?.toUpperCase() : `${letter.toUpperCase()}${number}`
}

const PLAIN = /^[\x20-\x7e]*\n$/

function normaliseLine(
  raw: Buffer,
  line: number,
  report: NormaliseReport,
  strip: ReadonlySet<string>,
): Buffer {
  const text = raw.toString('latin1')
  const word = strip.size > 0 ? wordOf(text) : undefined
  if (word !== undefined && strip.has(word)) {
    report.stripped.set(word, [...(report.stripped.get(word) ?? []), line])
    return Buffer.of(LF)
  }
  if (raw.length <= MAX_LINE_BYTES && PLAIN.test(text)) return raw
  return repairLine(raw, report)
}

/**
 * Line ends and white space everywhere; odd bytes and length only inside the comment. What then still is wrong is refused later:
 * in a command, and a CR alone in a comment, behind which commands would vanish (text of an old Mac is one line).
 */
function repairLine(raw: Buffer, report: NormaliseReport): Buffer {
  const bytes: number[] = []
  let isComment = false
  for (const [i, byte] of raw.subarray(0, -1).entries()) {
    if (byte === SEMICOLON) isComment = true
    if (byte === CR && i === raw.length - 2) report.carriageReturns++
    else if (byte === TAB) {
      report.tabs++
      bytes.push(SPACE)
    } else if (isComment && byte !== CR && (byte < SPACE || byte > TILDE)) {
      report.commentBytes++
      bytes.push(QUESTION)
    } else bytes.push(byte)
  }
  if (
    bytes.length > MAX_LINE_BYTES &&
    bytes.indexOf(SEMICOLON) >= 0 &&
    bytes.indexOf(SEMICOLON) < MAX_LINE_BYTES
  ) {
    report.cutComments++
    bytes.length = MAX_LINE_BYTES
  }
  return Buffer.from([...bytes, LF])
}
