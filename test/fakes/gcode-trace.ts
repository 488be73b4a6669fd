/** What a program does to the model of the machine: two programs are the same when their traces are. */
import { NO_LIMITS } from '../../mpf/gcode/limits.ts'
import { Machine } from '../../mpf/gcode/machine.ts'
import { encodeModal } from '../../mpf/gcode/modal.ts'

export interface Trace {
  /** Every move's end, filament and feed, and the state after the last line. */
  readonly moves: readonly (readonly number[])[]
  readonly state: string
}

export function trace(lines: readonly string[]): Trace {
  const moves: number[][] = []
  const refuse = (code: string, line: number, problem: string) => {
    throw new Error(`${code} ${problem}: ${lines[line - 1]}`)
  }
  const machine = new Machine(NO_LIMITS, refuse, {
    isWidening: true,
    onMove: (from, to, eNm, feed) => moves.push([...from, ...to, eNm, feed]),
  })
  if (lines.length > 0) machine.run(Buffer.from(`${lines.join('\n')}\n`))
  return { moves, state: Buffer.from(encodeModal(machine.modal())).toString('hex') }
}
