/** A window of any dialect without a wire: what was sent, what is said, and what the model makes of it. */
import type { Dialect } from '../../drivers/dialect.ts'
import { append, createWindow, type SendWindow } from '../../drivers/window/send-window.ts'

export type Window = SendWindow<undefined>

/** A window with `texts` in flight. */
export function windowOf(dialect: Dialect, ...texts: string[]): Window {
  const window = createWindow<undefined>(dialect.tuning, dialect.rules)
  for (const text of texts) send(dialect, window, text)
  return window
}

/** Puts one line in flight; its number. */
export function send({ codec }: Dialect, window: Window, text: string): number {
  const frame = codec.frameCommand(window.next, text)
  const by = text.startsWith('M118') ? 'mark' : codec.acknowledgedBy(text)
  return append(window, { text, frame, by }, undefined).n
}

/** What the model answers to each of `lines`. */
export function say(dialect: Dialect, window: Window, ...lines: string[]): string[] {
  return lines.map(line => dialect.hear(window, dialect.parseReply(line)).kind)
}

/** So many moves, each to another place. */
export function moves(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `G1 X${i}`)
}

/** The same for tests of one dialect. */
export function modelOf(dialect: Dialect): {
  readonly windowOf: (...texts: string[]) => Window
  readonly send: (window: Window, text: string) => number
  readonly say: (window: Window, ...lines: string[]) => string[]
} {
  return {
    windowOf: (...texts) => windowOf(dialect, ...texts),
    send: (window, text) => send(dialect, window, text),
    say: (window, ...lines) => say(dialect, window, ...lines),
  }
}
