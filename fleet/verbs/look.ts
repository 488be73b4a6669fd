/** Verbs that show what was received: `fleet watch`, `fleet events`. */

import { setTimeout as wait } from 'node:timers/promises'
import { type OcsfRecord, syslogLine } from '#cloud'
import { readSegment } from '../segments.ts'
import type { FleetStore } from '../store.ts'
import { openStore, say, usage, type Verb } from '../verb.ts'
import { renderFleet } from '../watch.ts'

const REFRESH_MS = 1000
const PAGE = 500

export const watch: Verb = {
  summary: 'show what was received, again and again',
  synopsis: ['watch [SERIAL] [--once]'],
  description: `One block a printer: what it does, how far its log is proven, its temperatures, its newest events, alerts.

  --once   show it one time and end`,
  run: async (values, [serial], signal) => {
    using store = openStore(values)
    do {
      process.stdout.write(`${values.once ? '' : '\x1b[2J\x1b[H'}${renderFleet(store, serial)}`)
      if (!values.once) await wait(REFRESH_MS, undefined, { signal }).catch(() => undefined)
    } while (!values.once && !signal.aborted)
  },
}

export const events: Verb = {
  summary: 'print the events of a printer, one a line',
  synopsis: ['events SERIAL [--syslog | --segments]'],
  description: `OCSF 1.8 records as JSON, in the order of their numbers.

  --syslog     RFC 5424 lines instead
  --segments   what the printer sent when it was asked (command log.export): a line a segment, verified again`,
  run: async (values, [serial]) => {
    if (serial === undefined) usage('expected a serial')
    using store = openStore(values)
    if (values.segments) return saySegments(store, serial)
    for (let after = 0; ; ) {
      const items = store.items(serial, 'evt', after, PAGE)
      for (const { value } of items)
        say(values.syslog ? syslogLine(value as OcsfRecord, serial) : JSON.stringify(value))
      const last = items.at(-1)
      if (!last) return
      after = last.seq
    }
  },
}

function saySegments(store: FleetStore, serial: string): void {
  for (let after = 0; ; ) {
    const items = store.items(serial, 'seg', after, PAGE)
    for (const { seq, value } of items) {
      const segment = readSegment(store, serial, value)
      say(JSON.stringify({ segment: seq, isVerified: segment !== undefined, ...segment }))
    }
    const last = items.at(-1)
    if (!last) return
    after = last.seq
  }
}
