/** What else the preflight thread can find out while it checks every line: what a print will take, or what it looks like. */

import {
  type Kinematics,
  PreviewDrawer,
  type PreviewOptions,
  type PrintEstimate,
  PrintEstimator,
  type ProgramListeners,
} from '#mpf/program'
import type { CheckedBlock } from './opened-print.ts'

/** One question a run of the preflight answers besides its verdict. */
export type Study =
  | { readonly kind: 'estimate'; readonly kinematics: Kinematics }
  | { readonly kind: 'preview'; readonly options: PreviewOptions }

/** The answer. `samples` are commands of the program, in order within each of its blocks: for measuring, never for keeping. */
export type Findings =
  | {
      readonly kind: 'estimate'
      readonly estimate: PrintEstimate
      readonly samples: readonly (readonly string[])[]
    }
  | { readonly kind: 'preview'; readonly svg: string }

/** A study under way, in the thread. */
export interface RunningStudy {
  readonly listeners: ProgramListeners
  /** Before a checked block is zeroed. */
  sample(block: CheckedBlock): void
  /** Once every block has passed. */
  finish(): Findings
}

const SAMPLED_BLOCKS = 8
const SAMPLED_COMMANDS = 64

export function startStudy(study: Study): RunningStudy {
  if (study.kind === 'preview') {
    const drawer = new PreviewDrawer(study.options)
    return {
      listeners: drawer.listeners,
      sample: () => undefined,
      finish: () => ({ kind: 'preview', svg: drawer.finish() }),
    }
  }
  const estimator = new PrintEstimator(study.kinematics)
  const samples: string[][] = []
  return {
    listeners: estimator.listeners,
    sample(block) {
      if (samples.length < SAMPLED_BLOCKS) samples.push(firstCommands(block))
    },
    finish: () => ({ kind: 'estimate', estimate: estimator.finish(), samples }),
  }
}

function firstCommands(block: CheckedBlock): string[] {
  const commands = block.commands()
  const texts: string[] = []
  while (texts.length < SAMPLED_COMMANDS) {
    const command = commands.next()
    if (!command) break
    texts.push(command.text)
  }
  return texts
}
