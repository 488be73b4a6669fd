/** Steps 14, 17 and 18 over an opened program: the same iteration for the preflight thread and for the print. */

import {
  CommandReader,
  type Container,
  type ContentKeys,
  createProgramCheck,
  type IndexEntry,
  type Manifest,
  openBody,
  type ProgramListeners,
} from '#mpf/program'
import type { CheckedBlock } from './opened-print.ts'

/** A program whose signed parts have passed steps 2 to 16. */
export interface OpenedProgram {
  readonly container: Container
  readonly manifest: Manifest
  readonly keys: ContentKeys
  readonly index: readonly IndexEntry[]
}

/** See `OpenedPrint.blocks`. */
export async function* checkedBlocks(
  { container, manifest, keys, index }: OpenedProgram,
  signal: AbortSignal,
  listeners?: ProgramListeners,
): AsyncGenerator<CheckedBlock, void, void> {
  const { pol, enc } = manifest.payload
  const program = createProgramCheck(pol, index, enc.body.lines, listeners)
  // 14, 17: each block authenticated and equal to the index before a byte of it is looked at.
  for await (const block of openBody(container, manifest, keys, index, { signal })) {
    // 18: every line inside grammar, allow-list and envelope; the machine state as signed.
    program.check(block)
    yield { text: block.text, commands: () => new CommandReader(block) }
  }
  program.end()
}
