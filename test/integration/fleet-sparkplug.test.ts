/** The Sparkplug B face over real brokers, heard by a host that decodes with the published schema: births first, no gap in seq, data by alias, deaths, rebirth. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { test } from 'tap'
import { systemClock } from '#lib/clock.ts'
import { SparkplugFace } from '../../fleet/sparkplug/face.ts'
import { FleetStore } from '../../fleet/store.ts'
import { type Fleet, fleet, until } from '../fakes/cloud-bench.ts'
import { hasMosquitto } from '../fakes/cloud-broker.ts'
import {
  type Heard,
  rebirthRequest,
  type SparkplugHost,
  startHost,
} from '../fakes/sparkplug-host.ts'

const NODE = { group: 'Works 1', edge: 'fleet' }
const COMMAND = `spBv1.0/${NODE.group}/NCMD/${NODE.edge}`
const [INT64, DOUBLE, BOOLEAN, STRING] = [4, 10, 11, 12]
const DICTIONARY = [
  ['hw.temperature.bed', 'Cel'],
  ['hw.temperature.bed.target', 'Cel'],
  ['hw.emmc.wear', '%'],
]

function tellState(store: FleetStore, device: string, online: boolean, session = 1): void {
  store.setFact(device, 'birth', 0, { model: 'T', core: '0.1.0', dictionary: DICTIONARY })
  store.setFact(device, 'state', 0, { online, session, state: 'idle', job: null, percent: 0 })
}

/** Batch `seq` with one sample at a time for each pair. */
function tellTemperatures(
  store: FleetStore,
  device: string,
  seq: number,
  samples: readonly (readonly [number, number])[],
): void {
  const t0 = samples[0]?.[0] ?? 0
  const body = JSON.stringify({
    t0,
    dt: samples.slice(1).map(([at], i) => at - (samples[i]?.[0] ?? 0)),
    c: [samples.map(([, bed]) => bed), 60, null],
  })
  const atMs = Date.now()
  store.setFact(device, 'clock', atMs, { clk: 'synced', ts: samples.at(-1)?.[0] })
  store.transact(() =>
    store.receive({
      ...{ device, stream: 'tele', firstSeq: seq, bodies: [body], lost: undefined, atMs },
    }),
  )
}

async function face(on: Fleet, store: FleetStore): Promise<AsyncDisposable> {
  const ending = new AbortController()
  const running = new SparkplugFace({
    ...{ node: NODE, store, clock: systemClock, random: () => 0.05 },
    endpoints: [{ host: 'localhost', port: on.broker.port }],
    ...{ ca: on.tenant.authority.certPem, identity: on.tenant.identity },
  }).run(ending.signal)
  return {
    async [Symbol.asyncDispose]() {
      ending.abort()
      await running
    },
  }
}

/** Where the messages of a session are not what the specification says. */
function faultsOf(heard: readonly Heard[]): readonly string[] {
  const faults: string[] = []
  let next: number | undefined
  const born = new Map<string, ReadonlySet<number>>()
  for (const [
    i,
    { type, device = '', seq, qos, isRetained, timestamp, metrics },
  ] of heard.entries()) {
    const expect = (isTrue: boolean, what: string) =>
      isTrue || faults.push(`message ${i}, ${type} ${device}: ${what}`)
    expect(!isRetained && timestamp !== undefined, 'not retained, with a timestamp')
    if (type === 'NDEATH') {
      expect(seq === undefined, 'no seq')
      continue
    }
    expect(qos === 0, 'QoS 0')
    expect(seq === (type === 'NBIRTH' ? 0 : next), `seq ${seq} after ${next}`)
    next = ((seq ?? 0) + 1) % 256
    const aliases = new Set(metrics.map(({ alias }) => alias ?? -1))
    const named = metrics.filter(
      ({ name, datatype }) => name !== undefined || datatype !== undefined,
    )
    expect(
      metrics.every(metric => metric.timestamp !== undefined),
      'a timestamp each',
    )
    switch (type) {
      case 'NBIRTH':
        born.clear()
        break
      case 'DBIRTH':
        born.delete(device)
        expect(
          named.length === metrics.length && aliases.size === metrics.length,
          'named, an alias each',
        )
        expect(
          [...born.values()].every(others => others.isDisjointFrom(aliases)),
          'aliases of its own',
        )
        born.set(device, aliases)
        break
      case 'DDATA':
        expect(born.get(device)?.isSupersetOf(aliases) === true, 'aliases of its birth')
        expect(named.length === 0, 'by alias alone')
        break
      case 'DDEATH':
        expect(born.delete(device), 'only who lives can die')
        break
      default:
        expect(false, 'not a message of an edge node')
    }
  }
  return faults
}

const bdSeqOf = (message: Heard | undefined) =>
  message?.metrics.find(({ name }) => name === 'bdSeq')?.value

async function heardOf(
  { heard }: SparkplugHost,
  type: string,
  device?: string,
  after = 0,
): Promise<Heard> {
  return until(() =>
    heard.slice(after).find(message => message.type === type && message.device === device),
  )
}

for (const kind of ['aedes', 'mosquitto'] as const)
  test(`a host follows printers over ${kind}`, { timeout: 120_000 }, async t => {
    if (kind === 'mosquitto' && !hasMosquitto)
      return t.comment('Mosquitto is not installed: nothing was told over it')
    await using on = await fleet(kind)
    using store = new FleetStore(join(on.tenant.directory, 'fleet.sqlite'))
    await using host = await startHost(on)
    const { heard } = host
    const nowMs = Date.now()
    // aedes refuses a first CONNECT in MQTT 5, which counts.
    const bdSeq = kind === 'aedes' ? 1 : 0
    tellState(store, 'P-1', true)
    tellTemperatures(store, 'P-1', 1, [[nowMs - 10_000, 58]])
    tellState(store, 'P-2', false)
    {
      await using _face = await face(on, store)
      const node = await heardOf(host, 'NBIRTH')
      t.match(node, { group: 'Works 1', edge: 'fleet', device: undefined })
      t.same(
        node.metrics.map(({ name, datatype, value, alias }) => [name, datatype, value, alias]),
        [
          ['bdSeq', INT64, bdSeq, undefined],
          ['Node Control/Rebirth', BOOLEAN, false, undefined],
        ],
      )
      const { metrics } = await heardOf(host, 'DBIRTH', 'P-1')
      t.ok(
        metrics.every(
          ({ name, alias, datatype, timestamp }) => name && alias && datatype && timestamp,
        ),
      )
      const named = (name: string) => metrics.find(metric => metric.name === name)
      const bed = named('hw/temperature/bed/value')
      t.match(bed, { datatype: DOUBLE, value: 58, unit: 'Cel', timestamp: nowMs - 10_000 })
      t.match(named('hw/temperature/bed/target'), { value: 60 })
      t.match(named('hw/emmc/wear'), { isNull: true, value: undefined })
      t.match(named('State'), { datatype: STRING, value: 'idle' })
      t.match(named('Job'), { datatype: STRING, isNull: true })

      // Held back for an hour, then what is current; unchanged values are not told again.
      tellTemperatures(store, 'P-1', 2, [
        [nowMs - 5000, 58],
        [nowMs, 59.5],
      ])
      const data = await heardOf(host, 'DDATA', 'P-1')
      t.match(data.metrics, [{ alias: bed?.alias, value: 59.5, timestamp: nowMs }])
      t.equal(data.metrics.length, 1)
      const before = heard.length
      tellTemperatures(store, 'P-1', 3, [
        [nowMs - 3_600_000, 20],
        [nowMs + 1000, 59.75],
      ])
      const late = await heardOf(host, 'DDATA', 'P-1', before)
      t.match(late.metrics[0], { isHistorical: true, timestamp: nowMs - 3_600_000 })
      t.match(late.metrics.at(-1), { isHistorical: undefined, value: 59.75, alias: bed?.alias })

      // Another dictionary in the same session is another birth.
      const same = heard.length
      const dictionary = [...DICTIONARY, ['mpf.wire.lines', '1']]
      store.setFact('P-1', 'birth', 0, { model: 'T', core: '0.1.0', dictionary })
      tellTemperatures(store, 'P-1', 4, [[nowMs + 2000, 60]])
      const again = await heardOf(host, 'DBIRTH', 'P-1', same)
      t.equal(again.metrics.length, metrics.length + 1)
      t.match(
        again.metrics.find(({ name }) => name === bed?.name),
        { alias: bed?.alias, value: 60 },
      )

      // Enough births that seq goes round.
      store.transact(() => {
        for (let i = 0; i < 300; i++) tellState(store, `Q-${i}`, true)
      })
      await heardOf(host, 'DBIRTH', 'Q-299')
      tellState(store, 'P-2', true)
      await heardOf(host, 'DBIRTH', 'P-2')
      tellState(store, 'P-1', false)
      t.same((await heardOf(host, 'DDEATH', 'P-1')).metrics, [])

      const asked = heard.length
      await host.publish(COMMAND, new Uint8Array([0xff, 0xff]))
      await host.publish(COMMAND, rebirthRequest())
      const reborn = await heardOf(host, 'NBIRTH', undefined, asked)
      t.equal(bdSeqOf(reborn), bdSeq, 'the session is the same')
      await heardOf(host, 'DBIRTH', 'P-2', asked)
      t.notOk(heard.slice(asked).some(({ device }) => device === 'P-1'))
    }
    t.equal(bdSeqOf(await heardOf(host, 'NDEATH')), bdSeq, 'told before it ends')
    t.same(faultsOf(heard), [])
    t.ok(
      heard.some(({ type, seq }) => type === 'DBIRTH' && seq === 0),
      'seq went round',
    )
  })

test('killed: the broker tells the death, and the next birth is another', {
  timeout: 120_000,
}, async t => {
  await using on = await fleet('aedes')
  await using host = await startHost(on)
  const { directory } = on.tenant
  const start = () =>
    spawn(join(import.meta.dirname, '../../bin/fleet'), [
      ...['--tenant', directory, 'sparkplug', '--group', NODE.group],
      ...['--broker', `mqtts://localhost:${on.broker.port}`],
    ])
  for (const bdSeq of [1, 3]) {
    const after = host.heard.length
    const child = start()
    const born = await heardOf(host, 'NBIRTH', undefined, after)
    child.kill('SIGKILL')
    await once(child, 'exit')
    const died = await heardOf(host, 'NDEATH', undefined, after)
    t.same([bdSeqOf(born), bdSeqOf(died)], [bdSeq, bdSeq])
    t.same([died.qos, died.isRetained, died.seq, died.metrics.length], [1, false, undefined, 1])
  }
})
