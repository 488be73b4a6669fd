/** Every command of mpfctl, in the order of the manual. */

import type { Command } from './command.ts'
import { events } from './commands/events.ts'
import { explain } from './commands/explain.ts'
import { jobs } from './commands/jobs.ts'
import { preview } from './commands/preview.ts'
import { print } from './commands/print.ts'
import { report } from './commands/report.ts'
import { respond } from './commands/respond.ts'
import { status } from './commands/status.ts'
import { cancel, pause, resume, stop } from './commands/steer.ts'
import { telemetry } from './commands/telemetry.ts'
import { watch } from './commands/watch.ts'

export const COMMANDS: readonly Command[] = [
  status,
  jobs,
  report,
  preview,
  print,
  pause,
  resume,
  cancel,
  stop,
  respond,
  watch,
  events,
  telemetry,
  explain,
]
