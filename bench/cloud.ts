/** Rows C1 to C5 and W1: one printer and a fleet, over Debian's Mosquitto with the shipped configuration. */

import { hasMosquitto } from '../test/fakes/cloud-broker.ts'
import { costRows } from './cloud-cost.ts'
import { eventRows } from './cloud-events.ts'
import { fileRows } from './cloud-files.ts'
import { ingestRows } from './cloud-ingest.ts'
import { stormRows } from './cloud-storm.ts'
import type { BenchPart } from './row.ts'
import { wearRows } from './wear.ts'

export const cloudBench: BenchPart = {
  name: 'cloud',
  async *rows(context) {
    if (!hasMosquitto) {
      context.say('cloud: mosquitto is not installed: rows C1 to C5 are not measured')
      return
    }
    yield* eventRows(context)
    yield* costRows(context)
    yield* wearRows(context)
    yield* fileRows(context)
    yield* stormRows(context)
    yield* ingestRows(context)
  },
}
