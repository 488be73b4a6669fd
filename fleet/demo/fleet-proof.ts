/** What the fleet end can say about the printer afterwards: the telemetry it has, and the proof that no event is missing. */

import { join } from 'node:path'
import { z } from 'zod'
import type { FleetStore } from '../store.ts'
import { readSamples } from '../telemetry.ts'
import { type FleetEnd, until } from './fleet-end.ts'
import type { Tools } from './processes.ts'

/** Extruding below is refused by Marlin (EXTRUDE_MINTEMP). */
const PRINTING_C = 170

const eventSchema = z.looseObject({ unmapped: z.looseObject({ type: z.string() }) })
const foundSchema = z.looseObject({ event: z.int(), size: z.int(), cosignedAt: z.string() })

/** Waits for samples of the print itself. */
export async function concludeTelemetry(
  tools: Tools,
  { store }: FleetEnd,
  serial: string,
): Promise<void> {
  const hot = () =>
    readSamples(store, serial, 0).filter(
      ({ values }) => (values.get('hw.temperature.hotend0') ?? 0) > PRINTING_C,
    )
  await until('telemetry of the print arrives', tools, () => hot().length > 0)
  const all = readSamples(store, serial, 0)
  const hottest = Math.max(...hot().map(({ values }) => values.get('hw.temperature.hotend0') ?? 0))
  tools.report.claim(
    'telemetry of the print arrived at the fleet end',
    all.length > 0 && hot().length > 0,
    `${all.length} samples of ${all.at(-1)?.values.size ?? 0} metrics, hotend up to ${hottest} °C`,
  )
}

export async function concludeLog(
  tools: Tools,
  fleet: FleetEnd,
  serial: string,
  evidence: string,
): Promise<void> {
  const { report } = tools
  const { store } = fleet
  await until('the end of the print is under a cosigned head', tools, () => {
    const done = numberOf(store, serial, 'job.done')
    return done > 0 && (store.log(serial)?.proven ?? 0) >= done
  })
  const seqs = store.items(serial, 'evt', 0, 100_000).map(({ seq }) => seq)
  report.claim(
    'no event is missing between the first and the last',
    seqs.length > 0 && seqs.every((seq, i) => seq === i + 1),
    `${seqs.length} events, numbers 1 to ${seqs.at(-1)}`,
  )
  const done = String(numberOf(store, serial, 'job.done'))
  await fleet.run(['proof', serial, '--event', done, '--out', evidence], true)
  const found = foundSchema.parse(
    JSON.parse(await tools.run('fleet', ['proof', 'verify', evidence, '--json'])),
  )
  report.claim(
    'the end of the print is in the log both ends signed',
    found.event === Number(done) && found.size >= found.event,
    `event ${found.event} of ${found.size}, cosigned ${found.cosignedAt}, verified offline from ${join('.', 'evidence')}`,
  )
  const types = ['command.executed', 'printer.locked', 'command.refused', 'printer.unlocked']
  const missing = types.filter(type => numberOf(store, serial, type) === 0)
  report.claim(
    'lock, refusal and unlock are in it',
    missing.length === 0,
    missing.length === 0 ? types.join(', ') : `missing: ${missing.join(', ')}`,
  )
  const alerts = store.alerts(serial).map(({ code }) => code)
  report.claim(
    'the fleet end was alerted to the second use of the token, and to nothing else',
    alerts.length === 1 && alerts[0] === 'FLEET_TOKEN',
    alerts.join(', ') || 'no alerts',
  )
}

/** Number of the first event of this type; 0 without one. */
function numberOf(store: FleetStore, serial: string, type: string): number {
  const found = store
    .items(serial, 'evt', 0, 100_000)
    .find(({ value }) => eventSchema.parse(value).unmapped.type === type)
  return found?.seq ?? 0
}
