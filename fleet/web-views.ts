/** What the web page is told of printers: rows of the list, and one in detail. Pure. */

import { z } from 'zod'
import type { Alert, FleetStore } from './store.ts'
import { readSamples } from './telemetry.ts'

const stateSchema = z.looseObject({
  online: z.boolean().default(false),
  state: z.string().default('unknown'),
  percent: z.number().default(0),
})
const eventSchema = z.looseObject({
  message: z.string(),
  unmapped: z.looseObject({ type: z.string() }),
})

export interface ListRow {
  readonly device: string
  readonly status: string
  readonly percent: number
  readonly events: number
  readonly proven: number
  readonly alerts: number
}

export function listOf(store: FleetStore): readonly ListRow[] {
  return store.overview().map(({ device, state, events, proven, alerts }) => {
    const parsed = stateSchema.safeParse(JSON.parse(state)).data
    const status = parsed?.online ? parsed.state : 'away'
    return { device, status, percent: parsed?.percent ?? 0, events, proven, alerts }
  })
}

export function changedRows(
  last: ReadonlyMap<string, ListRow>,
  rows: readonly ListRow[],
): readonly ListRow[] {
  return rows.filter(row => JSON.stringify(row) !== JSON.stringify(last.get(row.device)))
}

const ALERTS_SHOWN = 5

/** The newest alerts of a printer, or of the fleet end itself, newest first. */
export function newestAlerts(store: FleetStore, device: string): readonly Alert[] {
  return store.alerts(device).slice(-ALERTS_SHOWN).toReversed()
}

const PLOTTED = ['hw.temperature.hotend0', 'hw.temperature.bed', 'mpf.job.percent']
const BATCHES_SHOWN = 120
const EVENTS_SHOWN = 50

/** The newest samples, events and the state of the proof of one printer. */
export function detailOf(store: FleetStore, device: string) {
  const log = store.log(device)
  const contiguous = store.contiguous(device, 'evt')
  const first = store.contiguous(device, 'tele') - BATCHES_SHOWN
  return {
    device,
    samples: readSamples(store, device, Math.max(0, first)).map(({ atMs, values }) => [
      atMs,
      Object.fromEntries([...values].filter(([name]) => PLOTTED.includes(name))),
    ]),
    events: store
      .items(device, 'evt', Math.max(0, contiguous - EVENTS_SHOWN), EVENTS_SHOWN)
      .map(({ seq, value }) => {
        const event = eventSchema.safeParse(value).data
        return { seq, type: event?.unmapped.type ?? '?', message: event?.message ?? '' }
      }),
    alerts: newestAlerts(store, device),
    contiguous,
    proven: log?.proven ?? 0,
    cosigned: log?.note !== null && log !== undefined,
    missing: missingEvents(store, device, contiguous),
  }
}

/** The first events that have not come although later ones have; null when there is no gap. */
function missingEvents(
  store: FleetStore,
  device: string,
  contiguous: number,
): readonly [number, number] | null {
  const [next] = store.items(device, 'evt', contiguous, 1)
  return next ? [contiguous + 1, next.seq - 1] : null
}
