/** Where an interrupted print goes on, read from the verified blocks around its last acknowledged line. */

import { blockOfLine, CommandReader, type ModalState, modalAfter, openBody } from '#mpf'
import type { OpenedProgram } from './checked-blocks.ts'

/** Where an interrupted print goes on. */
export interface ResumePoint {
  /** The last line taken as executed. */
  readonly line: number
  /** The machine as the program left it there. */
  readonly modal: ModalState
}

export interface OpenedBody extends OpenedProgram {
  readonly signal: AbortSignal
}

/** See `OpenedPrint.resumePoint`. @throws MpfError by code; `signal.reason`. */
export async function findResumePoint(
  body: OpenedBody,
  line: number,
  backOff: number,
): Promise<ResumePoint> {
  const { container, manifest, keys, index, signal } = body
  const last = blockOfLine(index, line)
  const { pol } = manifest.payload
  let candidates: readonly ResumePoint[] = []
  const options = { fromBlock: Math.max(0, last - 1), signal }
  for await (const block of openBody(container, manifest, keys, index, options)) {
    const reader = new CommandReader(block)
    const lines: number[] = []
    for (let next = reader.next(); next && next.line <= line; next = reader.next())
      lines.push(next.line)
    // One more than is gone back: the point is after a command.
    const kept = lines
      .slice(-backOff - 1)
      .map(at => ({ line: at, modal: modalAfter(pol, index, block, at) }))
    if (block.index === last) kept.push({ line, modal: modalAfter(pol, index, block, line) })
    block.text.fill(0)
    candidates = [...candidates, ...kept]
    if (block.index === last) break
  }
  const end = candidates.at(-1)
  if (!end) throw new RangeError('a file without blocks') // decodeIndex refuses one
  const within = candidates.slice(-backOff - 2, -1)
  // Only as far back as the height has stayed the same up to the end.
  const first = within.findLastIndex(({ modal }) => modal.zNm !== end.modal.zNm) + 1
  return backOff === 0 ? end : (within[first] ?? end)
}
