/** Rows C2 and C3: what a connected printer costs, in bytes a day and on its own board. */

import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { decodeBatch } from '#cloud'
import { readSent } from '#lib/sent-ring.ts'
import { FleetStore } from '../fleet/store.ts'
import { readSamples } from '../fleet/telemetry.ts'
import { fleet } from '../test/fakes/cloud-bench.ts'
import { costOf, startCourierProcess, startIngestProcess } from '../test/fakes/link-processes.ts'
import { ConnectedPrinter } from './connected-printer.ts'
import type { BenchContext, Row } from './row.ts'

const ROOT = join(import.meta.dirname, '..')
const DAY_S = 86_400
const MB = 1e6
const SETTLING_S = 15
/** Two batches of telemetry each. */
const IDLE_S = 125
const PRINTING_S = 125
const SERIAL = 'P-1'
const OWED = { bytesADayMb: 6.5, rssMb: 90, cpuPercent: 1 } as const

export async function* costRows({ directory, programs, say }: BenchContext): AsyncGenerator<Row> {
  await using on = await fleet('mosquitto')
  // 1 Hz, a batch a minute: CLOUD 3.2.
  const cloud = { sampleIntervalMs: 1000, batchSamples: 60 }
  await using printing = await ConnectedPrinter.start(on, {
    speed: 4,
    baud: 250_000,
    cloud,
    programs,
  })
  await using _ingest = startIngestProcess(on)
  await using courier = startCourierProcess(printing.desk, programs)
  await sleep(SETTLING_S * 1000)
  const idle = await cost(courier.pid, IDLE_S)
  say(`C3 idle: ${shown(idle)}; printing`)
  const gcode = join(directory, 'clip.gcode')
  await writeFile(gcode, await readFile(join(ROOT, 'test/samples/clip.gcode')))
  await printing.print(gcode)
  const busy = await cost(courier.pid, PRINTING_S)
  yield {
    id: 'C3',
    what: 'courier: resident memory and CPU, connected',
    peer: 'none',
    ratio: undefined,
    figure: `idle ${shown(idle)}; printing, 1 Hz, ${shown(busy)}`,
    owed: `<= ${OWED.rssMb} MB, <= ${OWED.cpuPercent} %`,
    isMet: [idle, busy].every(
      ({ rssMb, percent }) => rssMb <= OWED.rssMb && percent <= OWED.cpuPercent,
    ),
    note: `means over ${IDLE_S} and ${PRINTING_S} s; one run`,
  }
  const batches = readSent(join(printing.desk.directory, 'cloud/sent.sqlite')).filter(({ topic }) =>
    topic.endsWith('/tele'),
  )
  const samples = batches.flatMap(({ payload }) => decodeBatch(payload).items)
  const counted = samples.flatMap(sample => (sample as { dt: readonly unknown[] }).dt).length
  const seconds = counted + samples.length
  const bytes = batches.reduce((sum, { payload }) => sum + payload.length, 0)
  const dayMb = ((bytes / seconds) * DAY_S) / MB
  using store = new FleetStore(join(on.tenant.directory, 'fleet.sqlite'))
  const plain = readSamples(store, SERIAL, 0).map(({ atMs, values }) =>
    JSON.stringify({ atMs, ...Object.fromEntries(values) }),
  )
  const plainMb = ((Buffer.byteLength(plain.join('')) / plain.length) * DAY_S) / MB
  yield {
    id: 'C2',
    what: 'telemetry a day at 1 Hz, as sent while printing, signatures included',
    peer: 'the same samples as JSON, a message each',
    ratio: plainMb / dayMb,
    figure: `${dayMb.toFixed(2)} MB, JSON a message each ${plainMb.toFixed(1)} MB; ${seconds} samples in ${batches.length} batches`,
    owed: `<= ${OWED.bytesADayMb} MB`,
    isMet: dayMb <= OWED.bytesADayMb,
  }
}

interface Cost {
  readonly rssMb: number
  readonly percent: number
}

async function cost(pid: number, seconds: number): Promise<Cost> {
  const before = costOf(pid).cpuS
  const rss: number[] = []
  for (let second = 0; second < seconds; second++) {
    await sleep(1000)
    rss.push((costOf(pid).rssKb * 1024) / MB)
  }
  const percent = (100 * (costOf(pid).cpuS - before)) / seconds
  return { rssMb: rss.reduce((sum, one) => sum + one, 0) / rss.length, percent }
}

function shown({ rssMb, percent }: Cost): string {
  return `${rssMb.toFixed(0)} MB, ${percent.toFixed(2)} % of a core`
}
