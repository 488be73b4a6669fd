/** What the print engine is handed. */

import type { Clock } from '#lib/clock.ts'
import type { OpenJob } from '../admission/open-job.ts'
import type { Journal } from '../journal/journal.ts'
import type { Machine } from './machine.ts'
import type { PrintScripts } from './scripts.ts'

export interface PrintEngineOptions {
  readonly journal: Journal
  readonly machine: Machine
  readonly clock: Clock
  readonly scripts: PrintScripts
  /** The controller's own check mode is given the program before each print. */
  readonly isRehearsed: boolean
  /** What becomes of a print that was cut off. */
  readonly onInterruption: 'fail' | 'ask'
  /** Highest Z of the machine. */
  readonly heightMm: number
  /** Runs the cheap checks again, with the time, revocations and uses of now. */
  readonly openJob: OpenJob
  /** Told of each change a client may want to see. */
  readonly onChange: () => void
  /** Told once a job has ended and its file is no longer needed. */
  readonly onEnded: (job: string) => void
  /** Takes the promise of a print's end; a rejection is a fault of the core. */
  readonly keep: (running: Promise<void>) => void
  /** Throws when the printer may start no print at all: locked, retired. */
  readonly expectStartAllowed?: () => void
}
