/** Row C5: a fleet on one broker and one ingest: what a printer costs there, and the return of all of them after the broker was killed. */

import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import { FleetStore } from '../fleet/store.ts'
import { type Fleet, fleet } from '../test/fakes/cloud-bench.ts'
import {
  costOf,
  type ProcessCost,
  pidOf,
  startIngestProcess,
} from '../test/fakes/link-processes.ts'
import type { BenchContext, Row } from './row.ts'

const PRINTERS = 2000
const PROCESSES = 2
/** Each printer, before the broker is killed and again while it is away. */
const EVENTS = 10
const STEADY_S = 40
const AWAY_S = 5
const OWED_RECOVERY_S = 60
const LOOK_MS = 100
const PROGRAM = join(import.meta.dirname, 'simulated-printers.ts')

const reportSchema = z.object({
  connected: z.int(),
  recorded: z.int(),
  acknowledged: z.int(),
})
type Report = z.infer<typeof reportSchema>

export async function* stormRows({ say }: Pick<BenchContext, 'say'>): AsyncGenerator<Row> {
  await using on = await fleet('mosquitto')
  await using ingest = startIngestProcess(on)
  await sleep(3000)
  const pids = { broker: pidOf(join(on.directory, 'broker/mosquitto.conf')), ingest: ingest.pid }
  const empty = { broker: costOf(pids.broker), ingest: costOf(pids.ingest) }
  await using printers = new Printers(on)
  say(`C5: ${PRINTERS} printers enrol and connect`)
  await printers.until(({ connected }) => connected === PRINTERS)
  const joined = costOf(pids.broker)
  printers.record(EVENTS)
  await printers.until(isAllAcknowledged(EVENTS))
  const before = { broker: costOf(pids.broker), ingest: costOf(pids.ingest) }
  await sleep(STEADY_S * 1000)
  const steady = { broker: costOf(pids.broker), ingest: costOf(pids.ingest) }
  const brokerCost = perPrinter(empty.broker, before.broker, steady.broker)
  const ingestCost = perPrinter(empty.ingest, before.ingest, steady.ingest)
  const joinMs = ((joined.cpuS - empty.broker.cpuS) * 1000) / PRINTERS
  yield {
    id: 'C5',
    what: `${PRINTERS} printers on one broker and one ingest, a batch a minute each: cost of one`,
    peer: 'none',
    ratio: undefined,
    figure: `Mosquitto ${brokerCost}; ingest ${ingestCost}; Mosquitto ${joinMs.toFixed(1)} ms CPU to connect one`,
    owed: 'reported',
    isMet: undefined,
    note: `means over ${STEADY_S} s; printers in ${PROCESSES} processes on this machine; one run`,
  }

  say('C5: the broker is killed')
  await on.broker.kill()
  printers.record(EVENTS)
  await printers.until(({ connected }) => connected === 0)
  await sleep(AWAY_S * 1000)
  const beganMs = performance.now()
  await on.broker.restart()
  await printers.until(
    report => report.connected === PRINTERS && isAllAcknowledged(2 * EVENTS)(report),
  )
  const seconds = (performance.now() - beganMs) / 1000
  const lost = countLost(on)
  yield {
    id: 'C5',
    what: `all ${PRINTERS} back after a SIGKILL of the broker, ${EVENTS} events each recorded meanwhile`,
    peer: 'none',
    ratio: undefined,
    figure: `${seconds.toFixed(1)} s until the last is connected and acknowledged; ${2 * EVENTS * PRINTERS} events recorded, ${lost} missing`,
    owed: `none missing, <= ${OWED_RECOVERY_S} s`,
    isMet: lost === 0 && seconds <= OWED_RECOVERY_S,
    note: `from the broker's start, after ${AWAY_S} s away; a printer waits at random, longer with each refusal; one run`,
  }
}

function isAllAcknowledged(each: number): (report: Report) => boolean {
  return ({ acknowledged }) => acknowledged === each * PRINTERS
}

function perPrinter(empty: ProcessCost, before: ProcessCost, after: ProcessCost): string {
  const kb = (after.rssKb - empty.rssKb) / PRINTERS
  const cpuMs = ((after.cpuS - before.cpuS) * 1000) / STEADY_S / PRINTERS
  return `${kb.toFixed(1)} KB and ${cpuMs.toFixed(3)} ms CPU a second`
}

/** Looked up in the store of the ingest: events that are not there, or not once and in order. */
function countLost(on: Fleet): number {
  using store = new FleetStore(join(on.tenant.directory, 'fleet.sqlite'))
  let lost = 0
  for (let i = 0; i < PRINTERS; i++) {
    const items = store.items(`S-${i}`, 'evt', 0, 3 * EVENTS)
    const inOrder = items.filter(({ seq }, at) => seq === at + 1).length
    lost += Math.abs(2 * EVENTS - inOrder) + (items.length - inOrder)
  }
  return lost
}

/** The simulated printers' processes and what they last told. */
class Printers implements AsyncDisposable {
  readonly #children: readonly ChildProcess[]
  readonly #reports = new Map<number, Report>()

  constructor(on: Fleet) {
    const each = PRINTERS / PROCESSES
    this.#children = Array.from({ length: PROCESSES }, (_, i) => {
      const place = [on.tenant.directory, on.broker.port, i * each, each].map(String)
      const child = fork(PROGRAM, place, { execArgv: ['--disable-warning=ExperimentalWarning'] })
      child.on('message', message => this.#reports.set(i, reportSchema.parse(message)))
      return child
    })
  }

  record(count: number): void {
    for (const child of this.#children) child.send({ record: count })
  }

  /** @throws Error when a process of printers has ended */
  async until(is: (sum: Report) => boolean): Promise<void> {
    while (!is(this.#sum())) {
      const ended = this.#children.find(({ exitCode, signalCode }) => exitCode ?? signalCode)
      if (ended) throw new Error(`simulated printers ended: ${ended.exitCode}`)
      await sleep(LOOK_MS)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#children) {
      if (child.exitCode !== null || child.signalCode !== null) continue
      child.kill('SIGKILL')
      await once(child, 'exit')
    }
  }

  #sum(): Report {
    const total = { connected: 0, recorded: 0, acknowledged: 0 }
    for (const { connected, recorded, acknowledged } of this.#reports.values()) {
      total.connected += connected
      total.recorded += recorded
      total.acknowledged += acknowledged
    }
    return total
  }
}
