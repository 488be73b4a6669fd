/** One event of the core as an OCSF 1.8.0 record, with what proves it: entry text and chain hash. Pure; the fleet end maps again and compares. */

import type { EventView } from '#lib/control-protocol.ts'
import { canonicalEntry, entryOfView } from '#lib/event-chain.ts'
import { syslogText } from '#lib/syslog.ts'
import { objectsOf } from './ocsf-objects.ts'
import { OCSF_CLASS, OCSF_ROWS, type OcsfRow } from './ocsf-table.ts'

/** Of which printer the records speak. */
export interface OcsfDevice {
  readonly serial: string
  readonly tenant: string
  readonly model: string
  readonly version: string
}

const UNKNOWN: OcsfRow = { e: '', class: 6008, activity: 99, severity: 2 }
const DEVICE_TYPE_OTHER = 99

/** A record: JSON with members in a fixed order, so that both ends make the same bytes of the same event. */
export interface OcsfRecord {
  readonly class_uid: number
  readonly type_uid: number
  readonly severity_id: number
  readonly time: number
  readonly metadata: { readonly sequence: number; readonly [name: string]: unknown }
  readonly unmapped: {
    readonly type: string
    /** The hash chain's canonical text of the event: the leaf of the log's tree. */
    readonly entry: string
    readonly hash: string
    readonly [name: string]: unknown
  }
  readonly [name: string]: unknown
}

export function ocsfRecord(event: EventView, device: OcsfDevice): OcsfRecord {
  const row = OCSF_ROWS[event.type] ?? UNKNOWN
  const classUid = row.class === 'mpf.print' ? 0 : row.class
  return {
    activity_id: row.activity,
    category_uid: Math.floor(classUid / 1000),
    class_uid: classUid,
    class_name: row.class === 'mpf.print' ? 'mpf.print' : OCSF_CLASS[row.class],
    type_uid: classUid * 100 + row.activity,
    severity_id: severityOf(row, event),
    time: event.atMs,
    message: event.message,
    ...(row.status !== undefined && { status_id: row.status }),
    ...(event.code !== null && { status_code: event.code }),
    ...(row.disposition !== undefined && { disposition_id: row.disposition }),
    ...(row.action !== undefined && { action_id: row.action }),
    ...objectsOf(row, event, device),
    device: {
      uid: device.serial,
      type_id: DEVICE_TYPE_OTHER,
      type: '3D printer',
      model: device.model,
    },
    metadata: {
      version: '1.8.0',
      uid: recordId(event),
      sequence: event.sequence,
      log_name: `mpfd/log/${device.serial}`,
      tenant_uid: device.tenant,
      product: { name: 'mpfd', version: device.version },
      profiles: ['host', 'datetime', 'security_control'],
    },
    unmapped: {
      type: event.type,
      e: row.e,
      clk: event.clock ?? '',
      ...(event.job !== null && { job: event.job }),
      ...(event.detail.drill === true && { drill: true }),
      detail: withoutNames(event.detail),
      entry: canonicalEntry(entryOfView(event)),
      hash: event.hash,
    },
  }
}

const DAY_MS = 86_400_000

/** What ends within a day is worse than what ends some time. */
function severityOf({ severity, onLastDay }: OcsfRow, { atMs, detail }: EventView): number {
  const { notAfterMs } = detail
  const isLastDay = typeof notAfterMs === 'number' && notAfterMs - atMs <= DAY_MS
  return isLastDay ? (onLastDay ?? severity) : severity
}

/** A UUIDv7 (RFC 9562) that both ends derive: the event's time and its hash. */
function recordId(event: EventView): string {
  const time = Math.max(0, Math.trunc(event.atMs)).toString(16).padStart(12, '0').slice(-12)
  const hash = event.hash.padEnd(32, '0')
  const variant = ((Number.parseInt(hash.slice(3, 4), 16) & 0x3) | 0x8).toString(16)
  return `${time.slice(0, 8)}-${time.slice(8)}-7${hash.slice(0, 3)}-${variant}${hash.slice(4, 7)}-${hash.slice(7, 19)}`
}

/** docs/events.md: the name of a file on a stick is for display at the printer. The entry text binds it by its digest. */
function withoutNames(detail: EventView['detail']): EventView['detail'] {
  return Object.fromEntries(Object.entries(detail).filter(([key]) => key !== 'name'))
}

/** OCSF severity to RFC 5424 severity. */
const SYSLOG_SEVERITY: readonly number[] = [6, 6, 5, 4, 3, 2, 1]

/** One line of RFC 5424: the record's main fields as structured data. Lossy by design. */
export function syslogLine(record: OcsfRecord, serial: string): string {
  const data = {
    class: record.class_uid,
    type: record.type_uid,
    seq: record.metadata.sequence,
    event: record.unmapped.type,
    code: String(record.status_code ?? '-'),
    hash: record.unmapped.hash,
  }
  return syslogText({
    severity: SYSLOG_SEVERITY[record.severity_id] ?? 5,
    atMs: record.time,
    ...{ hostname: serial, app: 'mpfd', messageId: record.unmapped.type },
    ...{ element: 'ocsf', data, message: String(record.message) },
  })
}
