/** Alarms on the printer itself, connected or not: raised above (or below) one value, cleared past another, never flapping between. Pure. */

export interface Threshold {
  readonly metric: string
  readonly kind: 'above' | 'below'
  readonly raiseAt: number
  readonly clearAt: number
  /** It matters for security or for the records: an event as well. */
  readonly isSecurity: boolean
}

/** IEC 62443-4-2 CR 2.9 (room for records), CR 7.2 (resources); wear and heat before they cost a print. */
export const THRESHOLDS: readonly Threshold[] = [
  limit('system.filesystem.free', 'below', 512 * 2 ** 20, 768 * 2 ** 20, true),
  limit('hw.emmc.wear', 'above', 80, 70, true),
  limit('hw.temperature.cpu', 'above', 85, 75, false),
  limit('system.memory.available', 'below', 64 * 2 ** 20, 96 * 2 ** 20, false),
  limit('system.psi.io.some_10s', 'above', 60, 30, false),
  limit('mpf.outbox.events', 'above', 50_000, 10_000, true),
]

export interface Alarm {
  readonly metric: string
  readonly state: 'raised' | 'cleared'
  readonly value: number
  readonly limit: number
  readonly isSecurity: boolean
}

export interface AlarmEngine {
  /** Looks at one sample; answers what changed. Metrics that have no value keep their state. */
  look(values: ReadonlyMap<string, number | null>): readonly Alarm[]
}

export function createAlarmEngine(thresholds: readonly Threshold[]): AlarmEngine {
  const raised = new Set<string>()
  return {
    look: values =>
      thresholds.flatMap(threshold => {
        const alarm = judge(threshold, values.get(threshold.metric) ?? null, raised)
        if (alarm?.state === 'raised') raised.add(alarm.metric)
        if (alarm?.state === 'cleared') raised.delete(alarm.metric)
        return alarm ? [alarm] : []
      }),
  }
}

function judge(
  threshold: Threshold,
  value: number | null,
  raised: ReadonlySet<string>,
): Alarm | undefined {
  if (value === null) return undefined
  const { metric, kind, raiseAt, clearAt, isSecurity } = threshold
  const isRaised = raised.has(metric)
  const at = isRaised ? clearAt : raiseAt
  const isBeyond = kind === 'above' ? value > at : value < at
  if (isBeyond === isRaised) return undefined
  return { metric, state: isBeyond ? 'raised' : 'cleared', value, limit: at, isSecurity }
}

function limit(
  metric: string,
  kind: Threshold['kind'],
  raiseAt: number,
  clearAt: number,
  isSecurity: boolean,
): Threshold {
  return { metric, kind, raiseAt, clearAt, isSecurity }
}
