/** The only place mpfctl writes: what kind of terminal it is, and how a display is repainted in place. */

import type { Style } from './render/text.ts'

export interface Terminal {
  write(text: string): void
  writeError(text: string): void
  /** May move the cursor: a terminal, and not a dumb one. */
  readonly isLive: boolean
  /** Read each time: the window may be resized. */
  readonly style: Style
}

/** What a terminal is made of, so that tests can make one. */
export interface TerminalParts {
  readonly stdout: { write(text: string): unknown; isTTY?: boolean; columns?: number }
  readonly stderr: { write(text: string): unknown }
  readonly env: Readonly<Record<string, string | undefined>>
}

const UNKNOWN_COLUMNS = 100

export function createTerminal({ stdout, stderr, env }: TerminalParts): Terminal {
  const isLive = stdout.isTTY === true && env.TERM !== 'dumb'
  // no-color.org: set and not empty.
  const hasColour = isLive && (env.NO_COLOR ?? '') === ''
  const locale = env.LC_ALL || env.LC_CTYPE || env.LANG || ''
  const isUnicode = /utf-?8/i.test(locale)
  return {
    write: text => void stdout.write(text),
    writeError: text => void stderr.write(text),
    isLive,
    get style() {
      return { columns: columnsOf(stdout), hasColour, isUnicode }
    },
  }
}

function columnsOf(stdout: TerminalParts['stdout']): number {
  if (stdout.isTTY !== true) return Number.POSITIVE_INFINITY
  return stdout.columns === undefined || stdout.columns === 0 ? UNKNOWN_COLUMNS : stdout.columns
}

const ERASE_TO_LINE_END = '\x1b[K'
const ERASE_BELOW = '\x1b[J'

/** Lines that replace themselves. */
export interface LivePainter {
  /** Shows these lines where the last ones were. */
  paint(lines: readonly string[]): void
  /** Puts a line above the display, to stay. */
  printAbove(line: string): void
}

export function createLivePainter(terminal: Terminal): LivePainter {
  let shown: readonly string[] = []
  const homeOf = (count: number): string => (count === 0 ? '' : `\x1b[${count}A\r`)
  const body = (lines: readonly string[]): string =>
    lines.map(line => `${line}${ERASE_TO_LINE_END}\n`).join('')
  return {
    paint(lines) {
      terminal.write(`${homeOf(shown.length)}${body(lines)}${ERASE_BELOW}`)
      shown = lines
    },
    printAbove(line) {
      terminal.write(`${homeOf(shown.length)}${body([line, ...shown])}${ERASE_BELOW}`)
    },
  }
}
