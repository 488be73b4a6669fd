/** SIGKILL of broker, courier, core and ingest during traffic, in a seeded order: every event once, in order, no gap. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { test } from 'tap'
import { fleet, printer, until } from '../fakes/cloud-bench.ts'
import { hasMosquitto } from '../fakes/cloud-broker.ts'
import { seeded } from '../fakes/cloud-random.ts'

const root = join(import.meta.dirname, '../..')
const EVENTS = Number(process.env.KILL_EVENTS ?? 400)
const ROUNDS = Number(process.env.KILL_ROUNDS ?? 8)
const SEED = Number(process.env.KILL_SEED ?? 7)

const VICTIMS = ['core', 'courier', 'ingest', 'broker'] as const

function node(...args: readonly string[]): ChildProcess {
  return spawn(process.execPath, ['--disable-warning=ExperimentalWarning', ...args], {
    stdio: 'ignore',
  })
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGKILL')
  await once(child, 'exit')
}

for (const kind of hasMosquitto ? (['mosquitto'] as const) : (['aedes'] as const))
  test(`${kind}: ${ROUNDS} kills, ${EVENTS} events`, {
    timeout: 110_000 + ROUNDS * 5000,
  }, async t => {
    await using on = await fleet(kind)
    const desk = await printer(on, 'P-1')
    const file = join(desk.directory, 'config.json')
    const broker = `mqtts://localhost:${on.broker.port}`
    const start = {
      core: () => node(join(root, 'test/fakes/cloud-core-process.ts'), file, String(EVENTS), '8'),
      courier: () => node(join(root, 'firmware/cloud/main.ts'), '--config', file),
      // Its store is another file than the test's: moved below, so that the test reads what the worker wrote.
      ingest: () =>
        node(
          join(root, 'fleet/main.ts'),
          '--tenant',
          on.tenant.directory,
          'serve',
          '--broker',
          broker,
        ),
    }
    const running = { core: start.core(), courier: start.courier(), ingest: start.ingest() }
    t.teardown(async () => {
      for (const child of Object.values(running)) await kill(child)
    })
    const random = seeded(SEED)
    const kills = { core: 0, courier: 0, ingest: 0, broker: 0 }
    for (let round = 0; round < ROUNDS; round++) {
      const victim = VICTIMS[Math.floor(random() * VICTIMS.length)] ?? 'core'
      kills[victim] += 1
      await wait(300 + random() * 700)
      if (victim === 'broker') {
        await on.broker.kill()
        await on.broker.restart()
      } else {
        await kill(running[victim])
        running[victim] = start[victim]()
      }
    }
    const { FleetStore } = await import('../../fleet/store.ts')
    using store = new FleetStore(join(on.tenant.directory, 'fleet.sqlite'))
    const received = () =>
      store
        .items('P-1', 'evt', 0, 1_000_000)
        .filter(
          ({ value }) => (value as { unmapped: { type: string } }).unmapped.type === 'job.received',
        ).length
    await until(async () => {
      await wait(200)
      // Cheap first: what is not contiguous yet need not be read.
      if (store.contiguous('P-1', 'evt') < EVENTS) return false
      return received() >= EVENTS && (store.log('P-1')?.proven ?? 0) > 0
    })
    t.equal(received(), EVENTS)
    const seqs = store.items('P-1', 'evt', 0, 1_000_000).map(({ seq }) => seq)
    t.same(
      seqs,
      Array.from({ length: seqs.length }, (_, i) => i + 1),
    )
    t.equal(store.log('P-1')?.size, seqs.length)
    t.same(store.alerts('P-1'), [])
    t.ok(Math.min(...Object.values(kills)) > 0, `killed: ${JSON.stringify(kills)}`)
  })
