/** One printer as a Sparkplug device: its tags, their values now, and what changed since they were told. */

import { z } from 'zod'
import type { FleetStore, OverviewRow, StoredItem } from '../store.ts'
import { dictionaryOf, readSamples, type Sample, samplesOf } from '../telemetry.ts'
import type { Reading, Tag, TagValue } from './edge-node.ts'

const stateSchema = z.looseObject({
  online: z.boolean().default(false),
  session: z.int().default(0),
  state: z.string().default('unknown'),
  job: z.string().nullable().default(null),
  percent: z.number().default(0),
})
const birthSchema = z.looseObject({
  model: z.string().nullable().default(null),
  core: z.string().nullable().default(null),
})
const clockSchema = z.looseObject({ ts: z.number() })

const OWN_TAGS: readonly Tag[] = [
  { name: 'Properties/Model', datatype: 'String' },
  { name: 'Properties/Firmware', datatype: 'String' },
  { name: 'State', datatype: 'String' },
  { name: 'Job', datatype: 'String' },
  { name: 'Percent', datatype: 'Double', unit: '%' },
  { name: 'Log/Events', datatype: 'Int64' },
  { name: 'Log/Proven', datatype: 'Int64' },
  { name: 'Log/Alerts', datatype: 'Int64' },
]
/** What a printer sends later than this after it was measured was held back while it was offline. */
const LATE_MS = 300_000
/** A message stays far below what brokers take: a batch of a minute at 1 Hz is some 50 kB here. */
const MAX_BATCHES = 10

export interface PrinterState {
  readonly isOnline: boolean
  /** One life of its courier. */
  readonly session: number
}

export function stateOf(row: OverviewRow): PrinterState {
  const { online, session } = stateSchema.parse(JSON.parse(row.state))
  return { isOnline: online, session }
}

/** Metrics by the tags they become: a dot is a level for a host; a metric that is also a level is its `value`. */
export function tagNames(metrics: readonly string[]): ReadonlyMap<string, string> {
  return new Map(
    metrics.map(name => {
      const isLevel = metrics.some(other => other.startsWith(`${name}.`))
      return [name, `${name}${isLevel ? '.value' : ''}`.replaceAll('.', '/')]
    }),
  )
}

export class PrinterFeed {
  readonly #store: FleetStore
  readonly #device: string
  #dictionary: ReturnType<typeof dictionaryOf> = []
  #names: ReadonlyMap<string, string> = new Map()
  /** The newest batch that was looked at. */
  #after: number
  #bornAtMs = 0
  #current = new Map<string, TagValue>()
  #historical = new Map<string, TagValue>()

  /** Telemetry of before now is not told. */
  constructor(store: FleetStore, device: string) {
    this.#store = store
    this.#device = device
    this.#after = store.contiguous(device, 'tele')
  }

  /** Every tag, and its value now. */
  birth(
    row: OverviewRow,
    atMs: number,
  ): { readonly tags: readonly Tag[]; readonly readings: readonly Reading[] } {
    const [store, device] = [this.#store, this.#device]
    this.#dictionary = dictionaryOf(store, device)
    this.#names = tagNames(this.#dictionary.map(([name]) => name))
    const newest = readSamples(store, device, store.contiguous(device, 'tele') - 1).at(-1)
    const measured = this.#valuesOf(newest)
    const { model, core } = birthSchema.parse(store.fact(device, 'birth') ?? {})
    const own = new Map([
      ...ownValues(row),
      ['Properties/Model', model],
      ['Properties/Firmware', core],
    ])
    this.#bornAtMs = newest?.atMs ?? 0
    this.#current = new Map([...own, ...measured])
    this.#historical = new Map()
    const units = this.#dictionary.map(([name, unit]): Tag => {
      return { name: this.#names.get(name) ?? name, datatype: 'Double', unit }
    })
    return {
      tags: [...OWN_TAGS, ...units],
      readings: [
        { atMs: newest?.atMs ?? atMs, isHistorical: false, values: measured },
        { atMs, isHistorical: false, values: own },
      ],
    }
  }

  /** Whether what has come since is measured by another dictionary than that of the birth. */
  hasOtherDictionary({ batches }: OverviewRow): boolean {
    const [store, device] = [this.#store, this.#device]
    if (batches === this.#after) return false
    return JSON.stringify(dictionaryOf(store, device)) !== JSON.stringify(this.#dictionary)
  }

  /** What changed since the last look, oldest first. */
  changes(row: OverviewRow, atMs: number): readonly Reading[] {
    const items = this.#newItems(row.batches)
    const lateMs = items.length > 0 ? Math.max(this.#bornAtMs, this.#lateMs()) : 0
    const readings = items
      .flatMap(({ value }) => samplesOf(value, this.#dictionary))
      .map(sample => this.#change(this.#valuesOf(sample), sample.atMs, sample.atMs <= lateMs))
    readings.push(this.#change(ownValues(row), atMs, false))
    return readings.filter(({ values }) => values.size > 0)
  }

  /** Without a gap: what has come before its time waits. */
  #newItems(upTo: number): readonly StoredItem[] {
    if (upTo === this.#after) return []
    const page = this.#store.items(this.#device, 'tele', this.#after, MAX_BATCHES)
    const items = page.filter(({ seq }) => seq <= upTo)
    this.#after = page.length < MAX_BATCHES ? upTo : (items.at(-1)?.seq ?? upTo)
    return items
  }

  /** By the printer's own clock, as it was when it last sent something. */
  #lateMs(): number {
    const clock = clockSchema.safeParse(this.#store.fact(this.#device, 'clock')).data
    return (clock?.ts ?? 0) - LATE_MS
  }

  #change(values: ReadonlyMap<string, TagValue>, atMs: number, isHistorical: boolean): Reading {
    const last = isHistorical ? this.#historical : this.#current
    const changed = new Map([...values].filter(([name, value]) => last.get(name) !== value))
    for (const [name, value] of changed) last.set(name, value)
    return { atMs, isHistorical, values: changed }
  }

  #valuesOf(sample: Sample | undefined): ReadonlyMap<string, TagValue> {
    return new Map([...this.#names].map(([name, tag]) => [tag, sample?.values.get(name) ?? null]))
  }
}

function ownValues(row: OverviewRow): ReadonlyMap<string, TagValue> {
  const { state, job, percent } = stateSchema.parse(JSON.parse(row.state))
  return new Map<string, TagValue>([
    ['State', state],
    ['Job', job],
    ['Percent', percent],
    ['Log/Events', row.events],
    ['Log/Proven', row.proven],
    ['Log/Alerts', row.alerts],
  ])
}
