/** What the classes of OCSF require beside what every record has: which file, device, entity, endpoint or call the event is about. Pure. */

import type { EventView } from '#lib/control-protocol.ts'
import type { OcsfDevice } from './ocsf.ts'
import type { OcsfRow } from './ocsf-table.ts'

type Objects = Readonly<Record<string, unknown>>
type Maker = (event: EventView, device: OcsfDevice, row: OcsfRow) => Objects

const SELF = { app_name: 'mpfd' }
const REGULAR_FILE = 1
const SHA_256 = 3
const OTHER = 99
const COMPLIANCE_PASS = 1
const COMPLIANCE_FAIL = 3

const MAKERS: Readonly<Record<string, Maker>> = {
  1001: event => ({ actor: SELF, file: fileOf(event) }),
  1008: (_event, { serial }) => ({ log_name: `mpfd/log/${serial}` }),
  1010: event => ({
    actor: SELF,
    peripheral_device: { name: text(event.detail.controller) ?? peripheralOf(event.type) },
  }),
  2003: (event, _device, row) => ({
    finding_info: findingOf(event),
    compliance: {
      control: row.e,
      status_id: row.severity === 1 ? COMPLIANCE_PASS : COMPLIANCE_FAIL,
    },
  }),
  2004: event => ({ finding_info: findingOf(event) }),
  3003: (_event, { serial }) => ({ user: { uid: serial }, privileges: ['print'] }),
  3004: (event, { serial }) => ({ entity: entityOf(event, serial) }),
  4001: event => ({ dst_endpoint: { name: text(event.detail.endpoint) ?? 'broker' } }),
  6002: () => ({ app: { name: 'mpfd' } }),
  6003: event => ({
    actor: { user: { uid: text(event.detail.issuer) ?? 'unknown' } },
    api: { operation: text(event.detail.verb) ?? text(event.detail.topic) ?? 'unknown' },
    src_endpoint: { name: 'broker' },
  }),
}

/** The objects the event's class requires. */
export function objectsOf(row: OcsfRow, event: EventView, device: OcsfDevice): Objects {
  return MAKERS[row.class]?.(event, device, row) ?? {}
}

function findingOf(event: EventView): Objects {
  return { uid: event.hash.slice(0, 32), title: event.type }
}

/** Named by the job or the offer: the name on a stick does not leave the printer. */
function fileOf({ job, detail }: EventView): Objects {
  const sha256 = text(detail.sha256)
  return {
    name: job ?? text(detail.offer) ?? 'unnamed',
    type_id: REGULAR_FILE,
    ...(typeof detail.sizeBytes === 'number' && { size: detail.sizeBytes }),
    ...(sha256 !== undefined && { hashes: [{ algorithm_id: SHA_256, value: sha256 }] }),
  }
}

function peripheralOf(type: string): string {
  return type.startsWith('intake.') ? 'stick' : 'motion controller'
}

function entityOf({ type, detail }: EventView, serial: string): Objects {
  const [kind] = type.split('.')
  const isKey = kind === 'key'
  const isCertificate = type.startsWith('cloud.certificate')
  const uid = text(isKey ? detail.keyId : isCertificate ? detail.serial : undefined) ?? serial
  const entity = isKey ? 'key' : isCertificate ? 'certificate' : '3D printer'
  return { uid, type: entity, type_id: OTHER }
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}
