/** What the courier may ask of the core: the signed log head, a hold of the intake, a signed command, a report. */

import type { EventView } from '#lib/control-protocol.ts'
import type { ExecuteCommand } from './commands/execute.ts'
import type { CommandLedger } from './commands/ledger.ts'
import type { ControlHandlers } from './control/methods.ts'
import type { Journal } from './journal/journal.ts'
import type { LogSigner } from './log-signer.ts'

export interface CourierParts {
  readonly journal: Journal
  readonly ledger: CommandLedger
  readonly signer: LogSigner
  readonly execute: ExecuteCommand
  /** What the courier says is wrong. */
  readonly alarms: Set<string>
  readonly signal: AbortSignal
}

type CourierHandlers = Pick<
  ControlHandlers,
  | ('log.checkpoint' | 'log.segment' | 'intake.hold')
  | ('command.execute' | 'cloud.alarms' | 'cloud.report')
>

export function createCourierOperations(parts: CourierParts): CourierHandlers {
  const { journal, ledger, signer, execute, alarms, signal } = parts
  return {
    'log.checkpoint': () => signer.checkpoint(signal),
    'log.segment': range => signer.segment(range),
    'intake.hold': ({ isHeld }) => {
      // Recorded first: cut off in between it is asked for again, and told twice rather than never.
      if (ledger.isSet('intake-held') !== isHeld) recordHold(journal, isHeld)
      ledger.set('intake-held', isHeld)
      return { isHeld }
    },
    'command.execute': ({ envelope }) => execute(Buffer.from(envelope, 'base64')),
    'cloud.alarms': ({ codes }) => {
      alarms.clear()
      for (const code of codes) alarms.add(code)
      return { codes }
    },
    'cloud.report': ({ type, code, message, detail }) => {
      const event = journal.record({ type, code, message, ...(detail && { detail }) })
      return { sequence: event.sequence }
    },
  }
}

function recordHold(journal: Journal, isHeld: boolean): EventView {
  if (!isHeld) return journal.record({ type: 'intake.released', message: 'new jobs are accepted' })
  const code = 'INTAKE_EVENTS_FULL'
  return journal.record({
    type: 'intake.held',
    code,
    message: 'the store of unsent events is full',
  })
}
