/** Telemetry batches as samples by name: the dictionary of birth over the columns of a batch. */

import { z } from 'zod'
import type { FleetStore } from './store.ts'

const value = z.number().nullable()
const batchSchema = z.looseObject({
  t0: z.number(),
  dt: z.array(z.number()),
  /** A column, or one value for all samples. */
  c: z.array(z.union([value, z.array(value)])),
})
const birthSchema = z.looseObject({ dictionary: z.array(z.tuple([z.string(), z.string()])) })

export interface Sample {
  readonly atMs: number
  /** Only metrics that had a value. */
  readonly values: ReadonlyMap<string, number>
}

const MAX_BATCHES = 1000

/** Names of the metrics with their units, as the printer announced them; none before its birth. */
export function dictionaryOf(
  store: FleetStore,
  device: string,
): readonly (readonly [string, string])[] {
  return birthSchema.safeParse(store.fact(device, 'birth')).data?.dictionary ?? []
}

/** Samples of the batches after number `after`, oldest first, of at most 1,000 batches. */
export function readSamples(store: FleetStore, device: string, after: number): readonly Sample[] {
  const dictionary = dictionaryOf(store, device)
  return store
    .items(device, 'tele', after, MAX_BATCHES)
    .flatMap(item => samplesOf(item.value, dictionary))
}

/** The samples of one batch; none when it is not one. */
export function samplesOf(
  body: unknown,
  dictionary: readonly (readonly [string, string])[],
): readonly Sample[] {
  const batch = batchSchema.safeParse(body).data
  if (!batch) return []
  let atMs = batch.t0
  return [0, ...batch.dt].map((step, i) => {
    atMs += step
    const values = new Map<string, number>()
    for (const [column, [name]] of dictionary.entries()) {
      const cell = batch.c[column]
      const found = Array.isArray(cell) ? cell[i] : cell
      if (typeof found === 'number') values.set(name, found)
    }
    return { atMs, values }
  })
}
