/** A board on a real pseudo-terminal whose firmware is none of ours: it answers each line as it is told to. */
import type { Test } from 'tap'
import { createLineSplitter } from '../../drivers/line-splitter.ts'
import { openPty } from '../../drivers/sim/pty.ts'

export interface ForeignBoard {
  readonly port: string
  /** Every line it was sent. */
  readonly received: readonly string[]
  say(...lines: readonly string[]): void
}

export function foreignBoard(
  t: Test,
  answer: (line: string) => readonly string[] = () => [],
): ForeignBoard {
  const pty = openPty()
  t.teardown(() => pty.close())
  const received: string[] = []
  const say = (...lines: readonly string[]): void =>
    pty.write(Buffer.from(lines.map(line => `${line}\n`).join(''), 'latin1'))
  pty.onData(
    createLineSplitter(line => {
      received.push(line)
      say(...answer(line))
    }),
  )
  return { port: pty.path, received, say }
}
