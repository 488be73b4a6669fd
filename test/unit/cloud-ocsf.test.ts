/** Every event has its OCSF row; a record proves its event and carries no name of a file. */
import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { test } from 'tap'
import type { EventView } from '#lib/control-protocol.ts'
import type {} from '#lib/courier-protocol.ts'
import { COURIER_EVENTS } from '#lib/courier-protocol.ts'
import { type OcsfRecord, ocsfRecord, syslogLine } from '../../firmware/cloud/ocsf.ts'
import { OCSF_ROWS } from '../../firmware/cloud/ocsf-table.ts'
import { EVENTS } from '../../firmware/core/journal/events.ts'

const DEVICE = { serial: 'T-1', tenant: 't', model: 'M', version: '1' }
const EVENT: EventView = {
  sequence: 7,
  atMs: Date.UTC(2026, 10, 22),
  type: 'intake.plaintext_refused',
  severity: 'warning',
  job: null,
  code: 'INTAKE_PLAINTEXT',
  message: 'not a "sealed" print file]',
  detail: { name: 'secret-part.gcode' },
  hash: 'ab'.repeat(32),
  clock: 'rtc',
}

test('every event of the core has a row', async t => {
  const missing = Object.keys(EVENTS).filter(type => !(type in OCSF_ROWS))
  t.same(missing, [])
  for (const type of COURIER_EVENTS) t.ok(type in EVENTS, type)
})

const { default: Ajv2020 } = await import('ajv/dist/2020.js')
const schema = JSON.parse(
  readFileSync(new URL('../vectors/ocsf/ocsf-1.8.0.schema.json', import.meta.url), 'utf8'),
)
const ajv = new Ajv2020.Ajv2020({ allErrors: true, allowUnionTypes: true }).addSchema(
  schema,
  'ocsf',
)

/** What OCSF 1.8.0 has against a record; empty when nothing. */
function faults(record: OcsfRecord): readonly string[] {
  const isValid = ajv.getSchema(`ocsf#/$defs/${record.class_uid}`)
  if (!isValid) return [`no class ${record.class_uid}`]
  if (isValid(record)) return []
  return (isValid.errors ?? []).map(({ instancePath, message, params }) =>
    [instancePath, message, JSON.stringify(params)].join(' '),
  )
}

/** Detail as docs/events.md has it, text for each member; numbers where the core writes numbers. */
const NUMBERS = /^(?:sizeBytes|count|notAfterMs|days|from|to)$/
const detailOf = (members: readonly string[]) =>
  Object.fromEntries(members.map(name => [name, NUMBERS.test(name) ? 5 : `a ${name}`]))

test('the record of every event is valid OCSF 1.8.0, with its detail and without', async t => {
  const table = await readFile('docs/events.md', 'utf8')
  for (const type of Object.keys(EVENTS)) {
    const [, members = ''] =
      new RegExp(`^\\| \`${type}\` \\|[^|]*\\|[^|]*\\|(.*)\\|$`, 'm').exec(table) ?? []
    const names = members.replace(/\(.*?\)/g, '').split(',')
    const detail = detailOf(names.map(name => name.trim()).filter(name => name !== ''))
    const whole = { ...EVENT, type, detail, job: 'j-1', code: 'A_CODE' }
    t.same(faults(ocsfRecord(whole, DEVICE)), [], type)
    const bare = { ...EVENT, type, detail: {}, job: null, code: null }
    t.same(faults(ocsfRecord(bare, DEVICE)), [], `${type}, bare`)
  }
})

test('the schema refuses a record that lacks what its class requires, or has what OCSF has not', async t => {
  const record = ocsfRecord(EVENT, DEVICE)
  const { file: _, ...lacking } = record
  t.match(faults(lacking as OcsfRecord), [/required property 'file'/])
  t.match(faults({ ...record, colour: 'red' }), [/additional properties/])
  t.match(faults({ ...record, activity_id: 15 }), [/allowed values/])
})

test('type ids are class times 100 plus activity, as OCSF has them', async t => {
  const record = ocsfRecord(EVENT, DEVICE)
  t.match(record, { class_uid: 1001, type_uid: 100114, category_uid: 1, severity_id: 3 })
  t.match(record.metadata, { version: '1.8.0', sequence: 7 })
  t.match(
    record.metadata.uid,
    /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
  )
})

test('the name of a file does not leave the printer', async t => {
  t.notMatch(JSON.stringify(ocsfRecord(EVENT, DEVICE)), /secret-part/)
})

test('a certificate that ends within a day is worse than one that ends within a week', async t => {
  const severityAt = (type: string, days: number) => {
    const detail = { notAfterMs: EVENT.atMs + days * 86_400_000, days }
    return ocsfRecord({ ...EVENT, type, detail }, DEVICE).severity_id
  }
  for (const type of ['cloud.certificate_ending', 'cloud.certificate_failed']) {
    t.same(
      [30, 7, 1.01, 1, 0, -3].map(days => severityAt(type, days)),
      [3, 3, 3, 4, 4, 4],
    )
    t.equal(ocsfRecord({ ...EVENT, type, detail: {} }, DEVICE).severity_id, 3)
  }
})

test('the RFC 5424 line has facility 13 and escaped data', async t => {
  const line = syslogLine(ocsfRecord({ ...EVENT, code: 'A"]' }, DEVICE), 'T-1')
  t.match(
    line,
    /^<108>1 2026-11-22T00:00:00\.000Z T-1 mpfd - intake\.plaintext_refused \[ocsf@32473 /,
  )
  t.match(line, /code="A\\"\\\]"/)
})
