/** The metrics: name, unit, tier, and how each is read from what the core and the kernel tell. Pure; the dictionary goes out with birth. */

import type { JobProgress, LinkView, PrinterView } from '#lib/control-protocol.ts'
import type { HostReading } from './host.ts'

export interface MetricSources {
  readonly view: PrinterView | undefined
  readonly host: HostReading
  /** Events, alarms and answers not yet acknowledged; bytes of the outbox. */
  readonly outbox: { readonly events: number; readonly bytes: number }
}

/** Null where this printer or this moment has no such value. */
type Read = (from: MetricSources) => number | null

interface Metric {
  readonly name: string
  readonly unit: string
  readonly tier: 'essential' | 'full'
  readonly read: Read
}

const STATES: readonly (string | undefined)[] = [
  ...['offline', 'idle', 'printing', 'paused', 'interrupted', 'wiped'],
]
const CLOCKS: readonly (string | undefined)[] = [
  ...['unknown', 'floor', 'rtc', 'holdover', 'synced'],
]

const essential = (name: string, unit: string, read: Read): Metric => ({
  ...{ name, unit, read, tier: 'essential' },
})
const full = (name: string, unit: string, read: Read): Metric => ({
  ...{ name, unit, read, tier: 'full' },
})
const controller = (from: MetricSources) => from.view?.controllers[0]
const heater = (name: string, field: 'currentC' | 'targetC'): Read => {
  return from => controller(from)?.temperatures[name]?.[field] ?? null
}
const progress = (field: Exclude<keyof JobProgress, 'phase'>): Read => {
  return from => from.view?.job?.progress[field] ?? null
}
const okToNext = (field: keyof LinkView['okToNextMs']): Read => {
  return from => controller(from)?.link?.okToNextMs[field] ?? null
}
const link = (field: Exclude<keyof LinkView, 'okToNextMs'>): Read => {
  return from => controller(from)?.link?.[field] ?? null
}
/** The share of a percentage. */
const share = (read: Read): Read => {
  return from => {
    const percent = read(from)
    return percent === null ? null : percent / 100
  }
}

/** OpenTelemetry names where it has one, `mpf.*` otherwise. The order is the order of values in every sample. */
export const METRICS: readonly Metric[] = [
  essential('mpf.state', '', from => STATES.indexOf(from.view?.state)),
  essential('mpf.job.percent', '%', progress('percent')),
  essential('mpf.job.layer', '1', progress('layer')),
  full('mpf.job.layers', '1', progress('layers')),
  full('mpf.job.line', '1', progress('line')),
  full('mpf.job.lines', '1', progress('lines')),
  full('mpf.job.time_left', 's', progress('timeLeftS')),
  full('mpf.job.feed', 'mm/min', progress('feedMmPerMin')),
  full('hw.fan.speed_ratio', '1', share(progress('fanPercent'))),
  essential('mpf.controller.connected', '1', from => Number(controller(from)?.connected ?? 0)),
  essential('hw.temperature.hotend0', 'Cel', heater('hotend', 'currentC')),
  essential('hw.temperature.hotend0.target', 'Cel', heater('hotend', 'targetC')),
  full('hw.temperature.hotend1', 'Cel', heater('hotend1', 'currentC')),
  full('hw.temperature.hotend1.target', 'Cel', heater('hotend1', 'targetC')),
  essential('hw.temperature.bed', 'Cel', heater('bed', 'currentC')),
  essential('hw.temperature.bed.target', 'Cel', heater('bed', 'targetC')),
  full('hw.temperature.chamber', 'Cel', heater('chamber', 'currentC')),
  full('hw.temperature.chamber.target', 'Cel', heater('chamber', 'targetC')),
  full('mpf.wire.lines', '1', from => controller(from)?.linesSent ?? null),
  essential('mpf.wire.resends', '1', from => controller(from)?.resends ?? null),
  full('mpf.wire.in_flight', '1', from => controller(from)?.inFlightLines ?? null),
  full('mpf.wire.window', '1', from => controller(from)?.windowLines ?? null),
  full('mpf.wire.ok_to_next.p50', 'ms', okToNext('p50')),
  full('mpf.wire.ok_to_next.p99', 'ms', okToNext('p99')),
  full('mpf.wire.ok_to_next.p999', 'ms', okToNext('p999')),
  full('mpf.wire.utilization', '1', link('wireUtilisation')),
  essential('mpf.wire.stalls', '1', link('stalls')),
  full('mpf.wire.reattachments', '1', link('reattachments')),
  full('mpf.wire.sent', 'By', link('bytesSent')),
  full('mpf.wire.received', 'By', link('bytesReceived')),
  full('mpf.wire.saved', 'By', link('savedBytes')),
  full('mpf.planner.free', '1', link('plannerFree')),
  full('mpf.planner.blocks', '1', link('plannerBlocks')),
  full('mpf.queue.ready', '1', from => from.view?.queue.ready ?? null),
  full('mpf.queue.received', '1', from => from.view?.queue.received ?? null),
  full('mpf.spool.used', 'By', from => from.view?.spool.usedBytes ?? null),
  full('mpf.events.last', '1', from => from.view?.events.lastSequence ?? null),
  full('mpf.outbox.events', '1', from => from.outbox.events),
  full('mpf.outbox.bytes', 'By', from => from.outbox.bytes),
  full('mpf.clock.quality', '', from => CLOCKS.indexOf(from.view?.clock.quality)),
  essential('system.cpu.utilization', '1', from => from.host.cpuBusy),
  full('system.cpu.load_1m', '1', from => from.host.load1m),
  essential('system.memory.available', 'By', from => from.host.memoryAvailableBytes),
  full('system.memory.total', 'By', from => from.host.memoryTotalBytes),
  full('system.psi.cpu.some_10s', '%', from => from.host.psiCpu),
  full('system.psi.memory.some_10s', '%', from => from.host.psiMemory),
  full('system.psi.io.some_10s', '%', from => from.host.psiIo),
  essential('system.filesystem.free', 'By', from => from.host.diskFreeBytes),
  full('system.disk.written', 'By', from => from.host.diskWrittenBytes),
  essential('hw.emmc.wear', '%', from => from.host.emmcWearPercent),
  essential('hw.temperature.cpu', 'Cel', from => from.host.cpuTempC),
  full('system.network.received', 'By', from => from.host.networkReceivedBytes),
  full('system.network.sent', 'By', from => from.host.networkSentBytes),
  essential('system.network.errors', '1', from => from.host.networkErrors),
  full('process.memory.rss', 'By', from => from.host.ownRssBytes),
  full('process.cpu.time', 's', from => from.host.ownCpuS),
  essential('system.uptime', 's', from => from.host.uptimeS),
]

export type Tier = 'off' | 'essential' | 'full'

/** The metrics of a tier, in order. */
export function metricsOf(tier: Tier): readonly Metric[] {
  if (tier === 'off') return []
  return tier === 'full' ? METRICS : METRICS.filter(metric => metric.tier === 'essential')
}

/** What birth announces; its hash names it in every batch. */
export function dictionaryOf(tier: Tier): readonly (readonly [string, string])[] {
  return metricsOf(tier).map(({ name, unit }) => [name, unit])
}

/** Three decimals are more than any of these sensors has. */
export function sampleOf(tier: Tier, from: MetricSources): readonly (number | null)[] {
  return metricsOf(tier).map(({ read }) => {
    const value = read(from)
    return value === null || !Number.isFinite(value) ? null : Math.round(value * 1000) / 1000
  })
}

export interface TelemetryBatch {
  /** When the first sample was taken, and the milliseconds from each sample to the next. */
  readonly t0: number
  readonly dt: readonly number[]
  /** One column a metric; a value, null, or one value for all samples when it did not change. */
  readonly c: readonly (number | null | readonly (number | null)[])[]
}

/** Samples by column, so that what hardly changes costs hardly anything. */
export function batchOf(
  samples: readonly { readonly atMs: number; readonly values: readonly (number | null)[] }[],
): TelemetryBatch {
  const [first] = samples
  const columns = first?.values.map((_, i) => samples.map(({ values }) => values[i] ?? null)) ?? []
  return {
    t0: first?.atMs ?? 0,
    dt: samples.slice(1).map(({ atMs }, i) => atMs - (samples[i]?.atMs ?? atMs)),
    c: columns.map(column =>
      column.every(value => value === column[0]) ? (column[0] ?? null) : column,
    ),
  }
}
