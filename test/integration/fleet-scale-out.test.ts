/** Three ingest workers over one store and one shared subscription, killed at random during traffic: every event once, in order, no gap. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { test } from 'tap'
import { FleetStore } from '../../fleet/store.ts'
import { fleet, printer, startCourier, until } from '../fakes/cloud-bench.ts'
import { hasMosquitto } from '../fakes/cloud-broker.ts'
import { seeded } from '../fakes/cloud-random.ts'

const root = join(import.meta.dirname, '../..')
const EVENTS = Number(process.env.KILL_EVENTS ?? 250)
const ROUNDS = Number(process.env.KILL_ROUNDS ?? 9)
const SEED = Number(process.env.KILL_SEED ?? 3)
const WORKERS = ['fleet-1', 'fleet-2', 'fleet-3'] as const
const SERIALS = ['P-1', 'P-2'] as const

function node(file: string, ...args: readonly string[]): ChildProcess {
  const path = join(root, 'test/fakes', file)
  return spawn(process.execPath, ['--disable-warning=ExperimentalWarning', path, ...args], {
    stdio: 'ignore',
  })
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGKILL')
  await once(child, 'exit')
}

test('exactly-once effect over three workers that are killed', { timeout: 200_000 }, async t => {
  if (!hasMosquitto)
    return t.comment('Mosquitto is not installed: shared subscriptions were not tried')
  await using on = await fleet('mosquitto')
  const directory = on.tenant.directory
  const broker = `mqtts://localhost:${on.broker.port}`
  const start = (worker: string) => node('fleet-worker.ts', directory, broker, worker)
  const workers = new Map<string, ChildProcess>(WORKERS.map(name => [name, start(name)]))
  const cores: ChildProcess[] = []
  t.teardown(async () => {
    for (const child of [...workers.values(), ...cores]) await kill(child)
  })
  using store = new FleetStore(join(directory, 'fleet.sqlite'))
  await using couriers = new AsyncDisposableStack()
  for (const serial of SERIALS) {
    const desk = await printer(on, serial)
    cores.push(
      node('cloud-core-process.ts', join(desk.directory, 'config.json'), String(EVENTS), '25'),
    )
    couriers.use(startCourier(desk))
  }
  await until(() => SERIALS.every(serial => store.contiguous(serial, 'evt') > 0))

  const random = seeded(SEED)
  const kills = new Map<string, number>()
  for (let round = 0; round < ROUNDS; round++) {
    await wait(200 + random() * 600)
    // Each in turn at least once, then whom chance chooses.
    const victim = WORKERS[round] ?? WORKERS[Math.floor(random() * WORKERS.length)] ?? 'fleet-1'
    kills.set(victim, (kills.get(victim) ?? 0) + 1)
    await kill(workers.get(victim) as ChildProcess)
    workers.set(victim, start(victim))
  }

  for (const serial of SERIALS) {
    const items = () => store.items(serial, 'evt', 0, 1_000_000)
    const recorded = () =>
      items().filter(
        ({ value }) => (value as { unmapped: { type: string } }).unmapped.type === 'job.received',
      ).length
    await until(async () => {
      await wait(200)
      return store.contiguous(serial, 'evt') >= EVENTS && recorded() >= EVENTS
    })
    await until(() => (store.log(serial)?.proven ?? 0) > 0)
    t.equal(recorded(), EVENTS, `${serial}: every event`)
    t.same(
      items().map(({ seq }) => seq),
      items().map((_, i) => i + 1),
      `${serial}: once each, in order`,
    )
    const { length } = items()
    t.ok((store.log(serial)?.size ?? 0) >= length, 'the chain holds to the end')
    t.same(store.alerts(serial), [])
  }
  for (const worker of WORKERS) {
    const taken = (await readFile(join(directory, `${worker}.taken`), 'utf8')).split('\n')
    const batches = taken.filter(topic => topic.endsWith('/evt')).length
    t.ok(
      batches > 0,
      `${worker} took ${batches} batches of events, killed ${kills.get(worker)} times`,
    )
    t.comment(`${worker}: ${batches} batches of events, killed ${kills.get(worker)} times`)
  }
})
