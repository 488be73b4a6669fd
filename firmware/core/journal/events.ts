/** The catalogue of event types: what may be recorded, how severe it is, and when it happens. docs/events.md mirrors it. */

import type { EventView } from '#lib/control-protocol.ts'

export type EventSeverity = EventView['severity']

interface EventKind {
  readonly severity: EventSeverity
  /** When it is recorded: one sentence of docs/events.md. */
  readonly when: string
}

export const EVENTS = {
  'core.started': { severity: 'info', when: 'The core is up and its control socket answers.' },
  'core.stopped': { severity: 'info', when: 'The core ended in order.' },
  'intake.plaintext_refused': {
    severity: 'warning',
    when: 'An unsealed print file was found on a stick and left alone.',
  },
  'intake.refused': {
    severity: 'warning',
    when: 'A file named like a print file is a link, a device, empty or too large.',
  },
  'intake.interrupted': {
    severity: 'warning',
    when: 'A file could not be copied to its end: the stick went away or the file changed.',
  },
  'intake.duplicate': {
    severity: 'notice',
    when: 'The bytes of a file are already in the queue; no second job was made.',
  },
  'intake.spool_refused': {
    severity: 'warning',
    when: 'The spool had no room for a file, or could not be written.',
  },
  'spool.adopted': {
    severity: 'notice',
    when: 'A complete file in the spool had no job after a restart; a job was made for it.',
  },
  'spool.removed': {
    severity: 'notice',
    when: 'A leftover in the spool was removed at start.',
  },
  'job.received': { severity: 'info', when: 'A file was copied into the spool.' },
  'job.admitted': { severity: 'info', when: 'Every check passed; the job may be printed.' },
  'admission.refused': {
    severity: 'warning',
    when: 'A check failed; the job will not be printed.',
  },
  'job.waiting': {
    severity: 'notice',
    when: 'A job that was to start by itself did not: its code says why. It stays `ready` and waits for a person.',
  },
  'job.rehearsed': {
    severity: 'info',
    when: "The controller took every line of the program in its check mode; nothing moved, and the print's own start follows.",
  },
  'job.rehearsal_failed': {
    severity: 'warning',
    when: 'The rehearsal did not lead to a print; nothing moved and no use was charged. A job that the controller did not take is `refused`; any other stays `ready`.',
  },
  'job.started': {
    severity: 'notice',
    when: 'The use was charged and the first line is about to be sent.',
  },
  'job.paused': {
    severity: 'notice',
    when: 'The print was paused and the controller has drained.',
  },
  'job.resumed': { severity: 'notice', when: 'The print goes on.' },
  'job.pause_failed': {
    severity: 'warning',
    when: 'A pause could not be carried out; the print goes on.',
  },
  'job.resume_failed': {
    severity: 'warning',
    when: 'A resume could not be carried out; the print stays paused.',
  },
  'job.interrupted': {
    severity: 'error',
    when: 'The core, the power or the controller went away in the middle of the print; it may be resumed or cancelled.',
  },
  'job.continued': {
    severity: 'notice',
    when: 'An interrupted print goes on: the same use, from the last line known to be executed.',
  },
  'job.done': { severity: 'notice', when: 'The controller executed the last line.' },
  'job.cancelled': { severity: 'notice', when: 'A person cancelled the job.' },
  'job.failed': { severity: 'error', when: 'A fault ended the job.' },
  'printer.stopped': { severity: 'critical', when: 'A person pressed the emergency stop.' },
  'printer.power_cut': {
    severity: 'critical',
    when: 'No controller said that it halted: the safety relay was opened, or could not be.',
  },
  'printer.connected': {
    severity: 'info',
    when: 'The motion controller was opened and identified.',
  },
  'printer.unavailable': {
    severity: 'warning',
    when: 'The motion controller could not be opened; it is tried again. Once for each reason.',
  },
  'printer.lost': { severity: 'error', when: 'The motion controller went away.' },
  'printer.safe_stop': {
    severity: 'notice',
    when: 'The abnormal-end script was carried out: heaters off, head parked.',
  },
  'printer.held': {
    severity: 'error',
    when: 'One of several controllers went away; the others were switched off.',
  },
  'printer.safe_stop_failed': {
    severity: 'critical',
    when: 'The abnormal-end script could not be carried out; its message says whether heaters may be on.',
  },
  'printer.end_failed': {
    severity: 'critical',
    when: 'The end script after an executed print could not be carried out; heaters may be on.',
  },
  'printer.asks': {
    severity: 'notice',
    when: 'The controller wants a person: a pause with a reason, or a prompt.',
  },
  'printer.answered': {
    severity: 'notice',
    when: "A person answered the controller's prompt.",
  },
  'printer.action_ignored': {
    severity: 'warning',
    when: 'The controller said an action that it did not announce, or that nobody acts on; nothing was done.',
  },
  'printer.suspicious': {
    severity: 'error',
    when: 'The controller sent what no line of ours explains: noise, a fault, or somebody on the wire.',
  },
  'printer.detached': {
    severity: 'warning',
    when: 'The port went away in use and is being looked for; the print is held.',
  },
  'printer.reattached': {
    severity: 'notice',
    when: 'The port is back and the controller had not restarted; the print goes on with nothing lost.',
  },
  'printer.flight_kept': {
    severity: 'info',
    when: 'After a fault the last lines of the wire, without program text, were kept in the state directory.',
  },
  'printer.thermal_fault': {
    severity: 'critical',
    when: 'A heater does not do what it was told, or its sensor is not to be believed; the print is stopped safely.',
  },
  'printer.thermal_stop': {
    severity: 'critical',
    when: 'Heat went on after a safe stop, or nobody can say that it did not: the emergency stop was sent.',
  },
  'clock.jumped': {
    severity: 'warning',
    when: 'The wall clock is more than 25 hours ahead of anything known; it is used but not taken into the floor.',
  },
  'clock.confirmed': { severity: 'notice', when: 'The wall clock fits what is known again.' },
  'trust.changed': { severity: 'warning', when: 'A newer trust bundle was taken over.' },
  'trust.refused': {
    severity: 'error',
    when: 'A changed trust bundle is malformed, or not newer than the one believed.',
  },
  'intake.held': {
    severity: 'error',
    when: 'The store of unsent events is full: no new job is accepted.',
  },
  'intake.released': { severity: 'notice', when: 'New jobs are accepted again.' },
  'grant.stored': { severity: 'info', when: 'A grant came apart from its file and was stored.' },
  'grant.refused': {
    severity: 'warning',
    when: 'A file named like a grant is not one.',
  },
  'command.executed': { severity: 'notice', when: 'A signed command was carried out.' },
  'command.refused': {
    severity: 'error',
    when: 'A command was refused: its signature, role, printer, time or counter is not right.',
  },
  'command.failed': {
    severity: 'warning',
    when: 'A good command could not be carried out in the state the printer is in.',
  },
  'printer.locked': { severity: 'warning', when: 'The printer was locked: it starts no print.' },
  'printer.unlocked': { severity: 'warning', when: 'The printer was unlocked.' },
  'printer.wiped': {
    severity: 'critical',
    when: 'The printer key was destroyed and the spool emptied.',
  },
  'key.wrapped': {
    severity: 'notice',
    when: 'A private key that was installed in the clear was wrapped and its plain file overwritten.',
  },
  'key.created': { severity: 'warning', when: 'The printer made itself a new private key.' },
  'key.destroyed': {
    severity: 'critical',
    when: 'A private key and what wrapped it were destroyed.',
  },
  'printer.retired': { severity: 'critical', when: 'The printer was taken out of service.' },
  'printer.reused': { severity: 'critical', when: 'A retired printer was put into service again.' },
  'policy.changed': {
    severity: 'notice',
    when: 'A signed command changed a policy, or set it to what it was.',
  },
  'policy.weakened': {
    severity: 'error',
    when: 'A signed command set a policy to a weaker value.',
  },
  'config.reloaded': {
    severity: 'notice',
    when: 'A signed command had the configuration read again.',
  },
  'hold.changed': {
    severity: 'notice',
    when: 'A signed command put what the printer keeps on hold as evidence, or released it.',
  },
  'log.exported': {
    severity: 'notice',
    when: 'A signed command asked for a stretch of the event log.',
  },
  'drill.held': { severity: 'notice', when: 'An exercise was held by signed command.' },
  'cloud.connected': { severity: 'info', when: 'The courier opened a session with a broker.' },
  'cloud.disconnected': { severity: 'info', when: 'The session with the broker ended.' },
  'cloud.refused': {
    severity: 'warning',
    when: 'TLS or the broker refused the connection, or the courier refused the broker.',
  },
  'cloud.taken_over': {
    severity: 'error',
    when: 'Another client took over the session: the identity is used twice.',
  },
  'cloud.acl_refused': { severity: 'warning', when: 'The broker refused a message.' },
  'cloud.forged': {
    severity: 'error',
    when: 'A message from the broker is not signed by whom it must be signed by.',
  },
  'cloud.telemetry_lost': {
    severity: 'notice',
    when: 'Telemetry was dropped to keep within its store, or because the store took nothing.',
  },
  'cloud.certificate_renewed': {
    severity: 'info',
    when: 'A new client certificate proved itself and replaced the old one.',
  },
  'cloud.certificate_failed': {
    severity: 'warning',
    when: 'The client certificate could not be renewed.',
  },
  'cloud.certificate_ending': {
    severity: 'warning',
    when: 'The client certificate ends within 30, 14, 7 or 1 days and is not renewed yet.',
  },
  'cloud.transfer_started': { severity: 'info', when: 'A signed job offer was accepted.' },
  'cloud.transfer_finished': {
    severity: 'info',
    when: 'Every block of an offered file arrived and was verified.',
  },
  'cloud.transfer_refused': {
    severity: 'warning',
    when: 'An offer or a block of an offered file is not what was signed.',
  },
  'cloud.transfer_cancelled': {
    severity: 'notice',
    when: 'An offered job was cancelled by its publisher, or ran out of time.',
  },
  'cloud.alarm': {
    severity: 'warning',
    when: 'A measured value crossed a threshold that matters for security.',
  },
  'cloud.store_failed': {
    severity: 'error',
    when: 'The outbox cannot be written: nothing new leaves, and events wait in this log.',
  },
  'cloud.store_recovered': {
    severity: 'notice',
    when: 'The outbox is written again; what waited follows.',
  },
} as const satisfies Record<string, EventKind>

export type EventType = keyof typeof EVENTS

/** What an event carries besides its type: numbers, ids and codes. Never program text, never a key. */
export interface EventEntry {
  readonly type: EventType
  readonly job?: string | undefined
  readonly code?: string | undefined
  /** Lower case, facts. */
  readonly message: string
  readonly detail?: Readonly<Record<string, string | number | boolean | null>>
}
