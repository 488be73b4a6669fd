/** Which OCSF 1.8.0 class, activity and severity each event of the core is (CLOUD 3.4). A test fails when an event lacks its row. */

/** Class ids of OCSF 1.8.0 used here. */
export const OCSF_CLASS = {
  1001: 'File System Activity',
  1008: 'Event Log Activity',
  1010: 'Peripheral Activity',
  2003: 'Compliance Finding',
  2004: 'Detection Finding',
  3003: 'Authorize Session',
  3004: 'Entity Management',
  4001: 'Network Activity',
  5019: 'Device Config State Change',
  6002: 'Application Lifecycle',
  6003: 'API Activity',
  6008: 'Application Error',
} as const
export type OcsfClass = keyof typeof OCSF_CLASS

export interface OcsfRow {
  /** The line of CLOUD 3.4 it stands for. */
  readonly e: string
  /** 'mpf.print': no OCSF class fits; our own schema. */
  readonly class: OcsfClass | 'mpf.print'
  readonly activity: number
  /** 1 informational, 2 low, 3 medium, 4 high, 5 critical, 6 fatal. */
  readonly severity: 1 | 2 | 3 | 4 | 5 | 6
  /** Instead of `severity`, once the event's `notAfterMs` is a day away or less. */
  readonly onLastDay?: OcsfRow['severity']
  /** 1 success, 2 failure. */
  readonly status?: 1 | 2
  /** OCSF disposition: 2 blocked, 25 rejected. */
  readonly disposition?: number
  /** OCSF action: 2 denied. */
  readonly action?: number
}

const print = (severity: OcsfRow['severity']): OcsfRow => ({
  e: 'E20',
  class: 'mpf.print',
  activity: 99,
  severity,
})

export const OCSF_ROWS: Readonly<Record<string, OcsfRow>> = {
  'core.started': { e: 'E01', class: 6002, activity: 3, severity: 1 },
  'core.stopped': { e: 'E01', class: 6002, activity: 4, severity: 1 },
  'intake.plaintext_refused': { e: 'E19', class: 1001, activity: 14, severity: 3, disposition: 2 },
  'intake.refused': { e: 'E19', class: 1001, activity: 14, severity: 3, disposition: 2 },
  'intake.interrupted': { e: 'E14', class: 1010, activity: 2, severity: 3 },
  'intake.duplicate': { e: 'E16', class: 1001, activity: 1, severity: 1 },
  'intake.spool_refused': { e: 'E36', class: 2003, activity: 1, severity: 3 },
  'intake.held': { e: 'E36', class: 2003, activity: 1, severity: 3 },
  'intake.released': { e: 'E36', class: 2003, activity: 3, severity: 1 },
  'spool.adopted': { e: 'E02', class: 6008, activity: 1, severity: 3 },
  'spool.removed': { e: 'E02', class: 6008, activity: 1, severity: 3 },
  'job.received': { e: 'E16', class: 1001, activity: 1, severity: 1 },
  'job.admitted': { e: 'E18', class: 1001, activity: 11, severity: 1 },
  'admission.refused': { e: 'E17', class: 2004, activity: 1, severity: 4, disposition: 25 },
  'job.waiting': print(1),
  'job.rehearsed': print(1),
  'job.rehearsal_failed': print(3),
  'job.started': print(1),
  'job.paused': print(1),
  'job.resumed': print(1),
  'job.done': print(1),
  'job.cancelled': print(2),
  'job.failed': print(3),
  'printer.stopped': print(4),
  'printer.power_cut': print(5),
  'printer.connected': { e: 'E13', class: 1010, activity: 1, severity: 1 },
  'printer.unavailable': { e: 'E14', class: 1010, activity: 2, severity: 3 },
  'printer.lost': { e: 'E14', class: 1010, activity: 2, severity: 3 },
  'printer.safe_stop': print(2),
  'printer.safe_stop_failed': print(5),
  'printer.end_failed': print(4),
  'printer.asks': print(2),
  'printer.answered': print(1),
  'printer.action_ignored': print(3),
  'printer.suspicious': { e: 'E14', class: 2004, activity: 1, severity: 4 },
  'printer.detached': { e: 'E14', class: 1010, activity: 2, severity: 3 },
  'printer.reattached': { e: 'E13', class: 1010, activity: 1, severity: 2 },
  'job.pause_failed': print(3),
  'job.resume_failed': print(3),
  'job.interrupted': print(3),
  'job.continued': print(2),
  'printer.flight_kept': { e: 'E02', class: 6008, activity: 1, severity: 2 },
  'printer.thermal_fault': print(5),
  'printer.thermal_stop': print(5),
  'clock.confirmed': { e: 'E35', class: 5019, activity: 1, severity: 2 },
  'clock.jumped': { e: 'E35', class: 5019, activity: 1, severity: 3 },
  'trust.changed': { e: 'E28', class: 5019, activity: 1, severity: 4 },
  'trust.refused': { e: 'E17', class: 2004, activity: 1, severity: 4, disposition: 25 },
  'grant.stored': { e: 'E34', class: 3003, activity: 1, severity: 1 },
  'grant.refused': { e: 'E17', class: 2004, activity: 1, severity: 3, disposition: 25 },
  'command.executed': { e: 'E30', class: 6003, activity: 3, severity: 1, status: 1 },
  'command.refused': { e: 'E31', class: 6003, activity: 3, severity: 4, status: 2, action: 2 },
  'command.failed': { e: 'E30', class: 6003, activity: 3, severity: 2, status: 2 },
  'printer.held': { e: 'E20', class: 'mpf.print', activity: 99, severity: 4 },
  'printer.locked': { e: 'E38', class: 3004, activity: 9, severity: 3 },
  'printer.unlocked': { e: 'E38', class: 3004, activity: 8, severity: 3 },
  'printer.wiped': { e: 'E39', class: 3004, activity: 7, severity: 4 },
  'key.wrapped': { e: 'E21', class: 3004, activity: 3, severity: 1 },
  'key.created': { e: 'E21', class: 3004, activity: 1, severity: 4 },
  'key.destroyed': { e: 'E21', class: 3004, activity: 4, severity: 4 },
  'printer.retired': { e: 'E39', class: 3004, activity: 7, severity: 4 },
  'printer.reused': { e: 'E05', class: 3004, activity: 6, severity: 4 },
  'policy.changed': { e: 'E28', class: 5019, activity: 1, severity: 1 },
  'policy.weakened': { e: 'E28', class: 5019, activity: 1, severity: 4 },
  'config.reloaded': { e: 'E28', class: 5019, activity: 1, severity: 1 },
  'hold.changed': { e: 'E47', class: 5019, activity: 1, severity: 2 },
  'log.exported': { e: 'E37', class: 1008, activity: 3, severity: 2 },
  'drill.held': { e: 'E43', class: 2003, activity: 2, severity: 1 },
  'cloud.connected': { e: 'E09', class: 4001, activity: 1, severity: 1 },
  'cloud.disconnected': { e: 'E09', class: 4001, activity: 2, severity: 1 },
  'cloud.refused': { e: 'E10', class: 4001, activity: 4, severity: 3, status: 2 },
  'cloud.taken_over': { e: 'E11', class: 2004, activity: 1, severity: 4 },
  'cloud.acl_refused': { e: 'E12', class: 4001, activity: 5, severity: 3, status: 2 },
  'cloud.forged': { e: 'E31', class: 6003, activity: 3, severity: 4, status: 2, action: 2 },
  'cloud.telemetry_lost': { e: 'E36', class: 2003, activity: 1, severity: 2 },
  'cloud.certificate_renewed': { e: 'E07', class: 3004, activity: 3, severity: 1 },
  'cloud.certificate_failed': { e: 'E08', class: 2003, activity: 1, severity: 3, onLastDay: 4 },
  'cloud.certificate_ending': { e: 'E08', class: 2003, activity: 1, severity: 3, onLastDay: 4 },
  'cloud.transfer_started': { e: 'E16', class: 1001, activity: 1, severity: 1 },
  'cloud.transfer_finished': { e: 'E16', class: 1001, activity: 1, severity: 1 },
  'cloud.transfer_refused': { e: 'E17', class: 2004, activity: 1, severity: 4, disposition: 25 },
  'cloud.transfer_cancelled': { e: 'E16', class: 1001, activity: 4, severity: 1 },
  'cloud.alarm': { e: 'E36', class: 2003, activity: 1, severity: 3 },
  'cloud.store_failed': { e: 'E36', class: 2003, activity: 1, severity: 4 },
  'cloud.store_recovered': { e: 'E36', class: 2003, activity: 3, severity: 1 },
}
