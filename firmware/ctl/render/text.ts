/** Words and numbers as a terminal shows them: pure, and safe whatever a file on a stick is called. */

/** What the terminal can show. */
export interface Style {
  /** Cells a line may take; infinite when it is not a terminal. */
  readonly columns: number
  readonly hasColour: boolean
  readonly isUnicode: boolean
}

export type Tone = 'good' | 'warn' | 'bad' | 'dim' | 'strong'

/** A piece of a line. */
export interface Span {
  readonly text: string
  readonly tone?: Tone | undefined
}

const TONES: Readonly<Record<Tone, string>> = {
  good: '32',
  warn: '33',
  bad: '31',
  dim: '2',
  strong: '1',
}

/** Controls, bidirectional overrides, line separators, lone surrogates. */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu
const WIDE =
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}/u
const COMBINING = /\p{M}/u

/** The text with everything that could move a cursor or turn the reading direction replaced: names come from strangers. */
export function printable(text: string): string {
  return text.replace(UNSAFE, '?')
}

/** JSON on one line, in which nothing can act on a terminal. */
export function jsonLine(value: unknown): string {
  const escaped = JSON.stringify(value).replace(UNSAFE, unsafe =>
    [...Array(unsafe.length).keys()]
      .map(index => `\\u${unsafe.charCodeAt(index).toString(16).padStart(4, '0')}`)
      .join(''),
  )
  return `${escaped}\n`
}

/** Cells a text takes on a terminal. */
export function cellsOf(text: string): number {
  let cells = 0
  for (const character of text) cells += cellsOfOne(character)
  return cells
}

function cellsOfOne(character: string): number {
  if (COMBINING.test(character)) return 0
  return WIDE.test(character) ? 2 : 1
}

/** At most `cells` cells of the text; a cut is marked. */
export function fit(text: string, cells: number, style: Style): string {
  if (cellsOf(text) <= cells) return text
  const mark = style.isUnicode ? '…' : '~'
  let kept = ''
  let used = 1
  for (const character of text) {
    used += cellsOfOne(character)
    if (used > cells) break
    kept += character
  }
  return cells < 1 ? '' : kept + mark
}

/** The text and as many spaces as make it `cells` wide. */
export function pad(text: string, cells: number): string {
  return text + ' '.repeat(Math.max(0, cells - cellsOf(text)))
}

/** One line of spans: made safe, cut to the width, toned. The last column stays free, or erasing the rest would eat it. */
export function lineOf(spans: readonly Span[], style: Style): string {
  let left = style.columns - 1
  let line = ''
  for (const { text, tone } of spans) {
    if (left <= 0) break
    const shown = fit(printable(text), left, style)
    left -= cellsOf(shown)
    line += style.hasColour && tone ? `\x1b[${TONES[tone]}m${shown}\x1b[0m` : shown
  }
  return line.trimEnd()
}

/** A progress bar of `cells` cells, brackets included. */
export function bar(percent: number, cells: number, style: Style): string {
  const inner = Math.max(0, cells - 2)
  const done = Math.round((Math.min(100, Math.max(0, percent)) / 100) * inner)
  const [full, empty] = style.isUnicode ? ['█', '░'] : ['#', '-']
  return `[${(full ?? '').repeat(done)}${(empty ?? '').repeat(inner - done)}]`
}

/** 121044 as 121,044. */
export function grouped(value: number): string {
  return Math.round(value)
    .toString()
    .replace(/\B(?=(\d{3})+$)/g, ',')
}

const BYTE_UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const

/** 12884902 as 12.3 MiB. */
export function bytes(sizeBytes: number): string {
  let size = sizeBytes
  let unit = 0
  while (size >= 1024 && unit < BYTE_UNITS.length - 1) {
    size /= 1024
    unit++
  }
  return `${unit === 0 ? size : size.toFixed(1)} ${BYTE_UNITS[unit]}`
}

/** Seconds as `2 h 05 min`, `12 min 30 s`, `45 s`. */
export function duration(totalS: number): string {
  const seconds = Math.max(0, Math.round(totalS))
  const minutes = Math.floor(seconds / 60)
  const hours = Math.floor(minutes / 60)
  if (hours > 0) return `${hours} h ${two(minutes % 60)} min`
  if (minutes > 0) return `${minutes} min ${two(seconds % 60)} s`
  return `${seconds} s`
}

/** Wall time in the local zone, as `2026-11-22 22:10:03`. */
export function localTime(atMs: number): string {
  const at = new Date(atMs)
  if (Number.isNaN(at.getTime())) return '?'
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`
  return `${day} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`
}

function two(value: number): string {
  return value.toString().padStart(2, '0')
}
